import json
import shutil

import numpy as np
import ot
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import pdist, squareform
from sklearn.decomposition import KernelPCA

from common.files import read_json, read_lines
from common.labels import LabelGeometry
from common.quantise import to_probs
from common.records import decode
from common.terms import Terms
from server.archive import open_geometry, open_student, open_weights
from server.transport.cost import LabelCost
from simulations import diagnostics, disputes
from simulations.diagnostics import diagnose, shortened
from simulations.disputes import most_disputed
from simulations.events import silent
from simulations.loop import federate
from simulations.reporting import plane
from tests.worlds import stocked, tiny_with

SIZE = 6
RNG = np.random.default_rng(5)
CLOUD = squareform(pdist(RNG.normal(size=(SIZE, 4))))
LINE = np.array([0.0, 0.4, 1.0, 1.1, 3.0, 3.5])
COSTS = {
    "line": squareform(pdist(LINE[:, None])),
    "line, dealt anew": squareform(pdist(LINE[[3, 0, 5, 1, 4, 2]][:, None])),
    "even": 2.5 * (1 - np.eye(SIZE)),
    "metric": CLOUD,
    "no metric": squareform(pdist(LINE[:, None])) ** 2,
}


def drawn(rng, *shape, size=SIZE, alpha=0.4):
    return rng.dirichlet(np.full(size, alpha), size=shape)


def price(q, p, cost):
    return ot.emd2(p / p.sum(), q / q.sum(), cost)


@pytest.mark.parametrize("kind", COSTS)
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), alpha=st.sampled_from([0.1, 1.0]))
def test_a_plan_moves_the_teacher_to_the_student_at_the_least_cost(kind, seed, alpha):
    q, p = drawn(np.random.default_rng(seed), 2, alpha=alpha)
    cost = LabelCost(COSTS[kind])
    made = disputes.plan(q, p, cost)
    assert made.min() >= 0
    assert made.sum(axis=1) == pytest.approx(p, abs=1e-9)
    assert made.sum(axis=0) == pytest.approx(q, abs=1e-9)
    assert (made * cost.matrix).sum() == pytest.approx(price(q, p, cost.matrix), abs=1e-9)
    if cost.is_metric:
        assert np.diag(made) == pytest.approx(np.minimum(q, p), abs=1e-9)


@pytest.mark.parametrize("kind", COSTS)
def test_who_agrees_moves_nothing(kind):
    p = drawn(RNG)
    assert disputes.plan(p, p, LabelCost(COSTS[kind])) == pytest.approx(np.diag(p), abs=1e-12)


@pytest.mark.parametrize("size", [SIZE, 10])
@pytest.mark.parametrize("kind", ["line", "even", "metric", "no metric"])
def test_the_most_disputed_are_those_an_exhaustive_search_finds(kind, size, monkeypatch):
    monkeypatch.setattr(disputes, "_AT_ONCE", 7)
    rng = np.random.default_rng(size)
    points = np.sort(rng.normal(size=size)) if kind in ("line", "no metric") else None
    spread = rng.normal(size=(size, 3)) if points is None else points[:, None]
    apart = squareform(pdist(spread)) ** (2 if kind == "no metric" else 1)
    cost = LabelCost(1 - np.eye(size) if kind == "even" else apart)
    q, p = drawn(rng, 60, size=size), drawn(rng, 5, 60, size=size)
    weights = rng.dirichlet(np.ones(5), size=60).T
    prices = np.array([[price(q[n], p[k, n], cost.matrix) for n in range(60)] for k in range(5)])
    means = (weights * prices).sum(axis=0)
    wanted = np.argsort(-means)[:3]
    found = most_disputed(q.astype(np.float32), p.astype(np.float32), weights, cost, 3)
    assert [dispute.row for dispute in found] == wanted.tolist()
    for dispute in found:
        assert dispute.mean == pytest.approx(means[dispute.row], abs=1e-5)
        assert dispute.costs == pytest.approx(prices[:, dispute.row], abs=1e-5)


def test_of_few_samples_all_are_disputed():
    found = most_disputed(drawn(RNG, 2), drawn(RNG, 1, 2), np.ones((1, 2)), LabelCost(CLOUD), 3)
    assert len(found) == 2
    assert found[0].mean >= found[1].mean


def test_labels_on_a_line_lie_on_it_whatever_their_order():
    for kind in ("line", "line, dealt anew"):
        points, stress = plane.in_plane(COSTS[kind])
        assert stress == 0
        assert not points[:, 1].any()
        assert pdist(points) == pytest.approx(squareform(COSTS[kind]))
    assert plane.on_line(COSTS["line"])[0] == 0
    assert plane.on_line(COSTS["line"][::-1, ::-1])[0] == 0
    assert [plane.on_line(COSTS[kind]) for kind in ("even", "metric", "no metric")] == [None] * 3
    assert plane.on_line(np.zeros((3, 3))).tolist() == [0, 0, 0]


def test_what_is_flat_is_shown_as_it_is():
    cost = squareform(pdist(RNG.normal(size=(7, 2))))
    points, stress = plane.in_plane(cost)
    assert squareform(pdist(points)) == pytest.approx(cost)
    assert stress == pytest.approx(0, abs=1e-9)


def test_the_plane_is_classical_scaling_and_says_what_it_gets_wrong():
    points, stress = plane.in_plane(CLOUD)
    ours, theirs = pdist(points), pdist(_scaled(CLOUD))
    assert ours == pytest.approx(theirs)
    wanted = np.sqrt(((theirs - squareform(CLOUD)) ** 2).sum() / (theirs**2).sum())
    assert stress == pytest.approx(wanted)
    assert 0.01 < stress < 0.5


def _scaled(cost):
    """By scikit-learn: kernel PCA of the doubly centred squared distances."""
    return KernelPCA(2, kernel="precomputed").fit_transform(-0.5 * cost**2)


def test_labels_all_equally_far_apart_stand_on_a_circle_of_the_best_size():
    points, stress = plane.in_plane(COSTS["even"])
    radii = np.linalg.norm(points, axis=1)
    assert radii == pytest.approx(np.full(SIZE, radii[0]))
    assert len(np.unique(points.round(6), axis=0)) == SIZE
    distances = pdist(points)
    for scale in (0.95, 1.05):
        other = scale * distances
        assert stress < np.sqrt(((other - 2.5) ** 2).sum() / (other**2).sum())


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("  two\n\tlines  ", "two lines"),
        ("a\u202eb\x00c\ud800", "a b c?"),
        ("x" * 160, "x" * 160),
        ("word " * 40, ("word " * 32)[:159].rstrip() + "…"),
        ("", ""),
    ],
)
def test_texts_become_one_short_line(text, wanted):
    assert shortened(text) == wanted
    assert len(shortened(text)) <= 160
    shortened(text).encode("utf-8")


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    experiment = tiny_with("num_rounds = 2")
    folder = stocked(experiment, tmp_path_factory.mktemp("served") / "run")
    federate(folder, silent)
    return folder, experiment


def looked_at(folder, experiment):
    terms = Terms.read(folder / "terms.json")
    return diagnose(folder, terms, experiment.server, open_student(folder))


def test_the_server_keeps_what_it_believed(served):
    folder, _ = served
    terms = Terms.read(folder / "terms.json")
    geometry, (clients, weights) = open_geometry(folder), open_weights(folder)
    assert geometry.names == terms.labels
    assert np.array_equal(geometry.cost, terms.geometry.cost)
    assert np.array_equal(geometry.points, terms.geometry.points)
    assert clients.tolist() == [0, 1, 2, 3]
    assert weights.shape == (4, terms.rows)
    assert weights.dtype == np.float32
    distances = []
    for client in range(4):  # KNOT: how far each prediction is from the same teacher's bias
        payload = (folder / "releases" / "2" / f"{client}.bin").read_bytes()
        record = decode(payload, terms.layout, 2, client)
        probs, bias = to_probs(record.codes, 8), to_probs(record.bias, 8)
        distances.append(np.linalg.norm(probs.astype(float) - bias, axis=1))
    assert weights == pytest.approx(np.array(distances) / np.sum(distances, axis=0), abs=1e-5)


def test_a_run_is_looked_at_with_what_is_public_and_released_only(served, tmp_path):
    folder, experiment = served
    found = looked_at(folder, experiment)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    copy = shutil.copytree(folder, tmp_path / "run")
    shutil.rmtree(copy / "clients")
    for private in ("split.json", "validation.jsonl"):
        (copy / private).unlink()
    assert looked_at(copy, experiment) == found
    assert found["given"] is None
    assert found["used"]["line"]
    assert found["used"]["cost"] == Terms.read(folder / "terms.json").cost
    assert (found["loss"], found["loss_uses_cost"]) == ("transport", True)


def test_every_number_of_a_dispute_can_be_found_again(served):
    folder, experiment = served
    terms = Terms.read(folder / "terms.json")
    texts = [row["text"] for row in read_lines(folder / "transfer.jsonl")]
    _, weights = open_weights(folder)
    found = looked_at(folder, experiment)["disputes"]
    assert len(found) == 3
    assert [one["cost"] for one in found] == sorted((one["cost"] for one in found), reverse=True)
    for one in found:
        row, q = one["row"], np.array(one["student"])
        assert one["text"] == texts[row]
        assert one["num_teachers"] == 4
        told = [teacher["weight"] for teacher in one["teachers"]]
        assert told == pytest.approx(sorted(weights[:, row], reverse=True), abs=1e-5)
        mean = sum(teacher["weight"] * teacher["cost"] for teacher in one["teachers"])
        assert one["cost"] == pytest.approx(mean, abs=1e-4)
        for teacher in one["teachers"]:
            client, p = teacher["client"], np.array(teacher["probs"])
            payload = (folder / "releases" / "2" / f"{client}.bin").read_bytes()
            codes = decode(payload, terms.layout, 2, client).codes[row]
            assert p == pytest.approx(codes / 255, abs=1e-4)
            assert teacher["cost"] == pytest.approx(price(q, p, terms.geometry.cost), abs=1e-3)
            paid = sum(mass * terms.cost[a][b] for a, b, mass in teacher["moves"])
            assert paid == pytest.approx(teacher["cost"], abs=5e-3)


def test_who_did_not_answer_is_not_shown(tmp_path):
    experiment = tiny_with("server.loss = 'kl'; server.geometry = 'permuted'")
    folder = stocked(experiment, tmp_path / "run")
    shutil.rmtree(folder / "clients" / "2")
    federate(folder, silent)
    found = looked_at(folder, experiment)
    assert {t["client"] for one in found["disputes"] for t in one["teachers"]} == {0, 1, 3}
    assert (found["loss"], found["loss_uses_cost"]) == ("kl", False)
    assert found["geometry"] == "permuted"
    assert found["given"]["cost"] == Terms.read(folder / "terms.json").cost
    assert found["used"]["cost"] != found["given"]["cost"]
    assert found["used"]["line"]
    assert read_json(folder / "checkpoint" / "geometry.json")["cost"] == found["used"]["cost"]


def test_of_many_teachers_the_heaviest_are_shown():
    geometry = LabelGeometry.ordinal("abc")
    weights = RNG.random((200, 5))
    p, q = drawn(RNG, 200, 5, size=3), drawn(RNG, 5, size=3)
    found = diagnostics.disputes(q, p, np.arange(200) + 7, weights, geometry, ["text"] * 5)
    assert len(found) == 3
    for one in found:
        heaviest = np.argsort(-weights[:, one["row"]])[:4] + 7
        assert [teacher["client"] for teacher in one["teachers"]] == heaviest.tolist()
        assert one["num_teachers"] == 200
    assert len(json.dumps(found)) < 6000
