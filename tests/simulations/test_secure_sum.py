"""Experiments with secure sums: what is refused, what stays the same, what comes of it."""

from dataclasses import replace

import numpy as np
import pytest

from common.confidence import claims
from common.configure import dump, kinds, load
from common.failures import ConfigError
from common.files import read_json, read_lines
from common.records import decode
from common.terms import Terms
from server.admission import predictions
from server.aggregators import Aggregator
from server.aggregators.mean import Mean
from server.archive import open_student
from server.distil import predict
from server.plan import open_coordinator
from server.summing import summed_up
from server.weightings import Weighting
from simulations.comparing.choices import Asked, choose
from simulations.comparing.comparison import base_of
from simulations.events import silent
from simulations.experiment_file import read, to_toml
from simulations.inspection import inspect, table
from simulations.loop import federate
from simulations.preview import preview
from simulations.results import run
from simulations.verification import verify
from tests.secure import SECURE, secure_with
from tests.worlds import TINY, hashes, outcome, stocked, tiny_with

LONG = "server.loss = 'kl'; server.schedule = { steps = 40, learning_rate = 0.02 }"
# What teachers that know nothing say differs from a shrug by less than the least claim.
LEARNED = "clients.teacher = { kind = 'frozen_mlp', hidden = 8, epochs = 1, min_steps = 150 }"


def test_an_experiment_without_it_keeps_its_run_id():
    plain = tiny_with()
    assert plain.run_id == tiny_with("wire.secure_sum = false").run_id
    assert "secure_sum" not in dump(plain)["wire"]
    assert secure_with().run_id != tiny_with("k_min = 2").run_id


def test_it_is_written_and_read():
    made = secure_with("wire.contributors = 2")
    assert made.wire.secure_sum is True
    assert load(type(made), dump(made)) == made
    assert "secure_sum = true" in to_toml(made)


def test_nothing_is_disclosed():
    assert tiny_with().disclosed == ("bias",)
    assert secure_with().disclosed == ()


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ("k_min = 1", "write k_min = 2 or more"),
        ("wire.contributors = 3", "write k_min = 3 or more"),
        ("data.num_clients = 4096", "write data.num_clients = 4095 or less"),
        ("disclose = ['num_examples']", r"write disclose = \[\]"),
        ("server.cohort = 'round_robin'", "write server.cohort = 'everyone'"),
        ("server.aggregator = 'keep_all'", "write server.aggregator = 'mean'"),
        (
            "data.labelled_transfer = 5; server.pretraining = { teacher = true }",
            "write server.pretraining.teacher = false",
        ),
        ("wire.secure_sum = false; wire.contributors = 2", "write wire.secure_sum = true"),
    ],
)
def test_what_cannot_be_is_refused_with_what_to_write(settings, told):
    with pytest.raises(ConfigError, match=told):
        secure_with(settings)


def test_of_every_weighting_and_aggregator_it_is_known_whether_sums_will_do():
    """By the components themselves; those that will not do are refused, the others are not."""
    summed = {"mean", "geometric_mean"}
    for kind in kinds(Aggregator):
        if kind in summed:
            secure_with(f"server.aggregator = '{kind}'")
        else:
            with pytest.raises(ConfigError, match=r"server\.aggregator|clients\.subclasses"):
                secure_with(f"server.aggregator = '{kind}'")
    alone = {"uniform", "size", "knot", "entropy", "margin", "variance"}
    for kind in kinds(Weighting):
        settings = (f"server.weighting = '{kind}'", "data.labelled_transfer = 8")
        if kind in alone:
            assert secure_with(*settings).server.weighting.own_rule
        else:
            with pytest.raises(ConfigError, match="write "):
                secure_with(*settings)


def test_size_needs_no_disclosure_of_its_own():
    with pytest.raises(ConfigError, match="disclose"):
        tiny_with("server.weighting = 'size'")
    assert secure_with("server.weighting = 'size'").disclosed == ()


def served(folder, *settings):
    made = stocked(tiny_with(*settings), folder)
    federate(made, silent)
    return made


@pytest.fixture(scope="module")
def clear(tmp_path_factory):
    """A run of the same teachers in clear; it weighs by knot, so the bias crosses."""
    home = tmp_path_factory.mktemp("clear")
    return served(home / "run", "data.partition = 'iid'", LONG, LEARNED)


def said(folder):
    """What every client said in a run in clear: shapes (K, N, C) and (K, C), sizes."""
    terms, answers = Terms.read(folder / "terms.json"), []
    for client in range(terms.num_clients):
        data = (folder / "releases" / "1" / f"{client}.bin").read_bytes()
        answers.append(predictions(decode(data, terms.layout, 1, client), terms.bits))
    sizes = [
        len((folder / "clients" / str(k) / "shard.jsonl").read_text().split("\n")) - 1
        for k in range(terms.num_clients)
    ]
    return [a.probs for a in answers], [a.bias for a in answers], sizes


def apart(one, two):
    """The furthest two students are from each other on made-up inputs."""
    inputs = np.abs(np.random.default_rng(0).standard_normal((50, 16)).astype(np.float32))
    first, second = predict(one, inputs), predict(two, inputs)
    assert np.ptp(first, axis=0).max() > 0.02
    return np.abs(first - second).max()


@pytest.mark.parametrize("weighting", ["uniform", "size", "knot", "entropy", "margin", "variance"])
def test_the_student_is_that_of_the_mean_with_the_same_weights(clear, tmp_path, weighting):
    """Targets up to the rounding of words, 2 K / (2^20 sum of weights).

    The training that follows is the same, and may make twenty times as much of it. The weights of
    ``size`` are small, a few hundredths of the most, and their rounding is the coarsest.
    """
    settings = (LONG, LEARNED, f"server.weighting = '{weighting}'")
    secure = served(tmp_path / "secure", *SECURE, *settings)
    terms, (probs, biases, sizes) = Terms.read(secure / "terms.json"), said(clear)
    rule = terms.secure.rule
    weights = np.stack(
        [claims(rule, p, m, n) for p, m, n in zip(probs, biases, sizes, strict=True)]
    )
    targets = Mean().combine(np.stack(probs), weights, terms.geometry)
    total = np.frombuffer((secure / "sums" / "1.sum").read_bytes(), "<u4")
    made = summed_up(total.reshape(terms.rows, -1), terms)
    bound = 2 * len(probs) / (2**20 * weights.sum(axis=0))
    assert (np.abs(made.targets.probs - targets.probs)[0].max(axis=1) <= bound + 1e-7).all()
    again = stocked(secure_with(*settings), tmp_path / "again")
    coordinator, _ = open_coordinator(again, silent)
    aim = replace(made, targets=targets)
    coordinator.learner.learn(1, aim)
    assert apart(coordinator.learner.student, open_student(secure)) < max(2e-3, 20 * bound.max())


@pytest.mark.parametrize("aggregator", ["mean", "geometric_mean"])
def test_with_even_weights_it_is_the_student_of_answers_in_clear(tmp_path, aggregator):
    settings = (f"server.aggregator = '{aggregator}'; server.weighting = 'uniform'", LONG, LEARNED)
    clear = served(tmp_path / "clear", "data.partition = 'iid'", *settings)
    secure = served(tmp_path / "secure", *SECURE, *settings)
    assert apart(open_student(clear), open_student(secure)) < 2e-3
    assert hashes(clear)[1] != hashes(secure)[1]


def test_two_runs_have_other_masks_and_the_same_hashes(tmp_path):
    one, two = served(tmp_path / "one", *SECURE), served(tmp_path / "two", *SECURE)
    assert hashes(one) == hashes(two)
    name = "releases/1/0.bin"
    assert (one / name).read_bytes() != (two / name).read_bytes()


def test_bytes_are_counted_as_planned(tmp_path):
    folder = served(tmp_path / "run", *SECURE)
    terms, planned = Terms.read(folder / "terms.json"), preview(secure_with())
    each = 56 + 4 * terms.rows * (len(terms.labels) + 2) + 32
    assert planned["bytes_up_per_client_and_round"] == each == terms.answer_bytes
    assert outcome(folder)["bytes_up"] == planned["bytes_up"] == 4 * each
    assert [line["bytes_up"] for line in read_lines(folder / "rounds.jsonl")] == [4 * each]


def test_a_whole_run_is_reported_inspected_and_verified(tmp_path):
    settings = [*TINY, *SECURE, "num_rounds = 2"]
    made = run("synthetic", overrides=settings, out=tmp_path / "run", backend="inline")
    assert made.summary["status"] == "complete"
    assert "masked words" in (made.folder / "report.html").read_text()
    found = inspect(made.folder, None, None)
    assert found["sides_agree"]
    assert set(found["fields"]) == {"header", "masked words", "public key"}
    assert len(found["messages"]) == 16
    assert table(found)
    assert verify(made.folder, silent)["equal"]
    assert read_json(made.folder / "terms.json")["secure_sum"] == {
        "rule": "knot_l2",
        "crowd": 2,
        "floor": None,
    }


def test_there_is_nothing_to_compare_on():
    made = secure_with()
    with pytest.raises(ConfigError, match=r"wire\.secure_sum = false"):
        base_of(made, choose(Asked(None, None, None, None), made))


def test_the_shipped_experiment_has_a_secure_sum(tmp_path):
    made = read("secure_sum")
    assert made.wire.secure_sum
    assert made.k_min >= 2
    assert made.data.num_clients > made.k_min
