"""Yardsticks against formulas worked out here, and the boundary that they must not weaken."""

import csv
import io
import json
import logging
import math
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from flwr.supercore.task_identity import TaskIdentity
from scipy import stats
from scipy.special import log_softmax, softmax

from common.configure import dump, find, kind_of, kinds, load
from common.failures import ConfigError, FolderError
from common.files import read_json
from common.metrics import at_temperature, evaluate
from server.students import count_parameters
from simulations import cli
from simulations.events import silent
from simulations.measuring.files import lines
from simulations.measuring.measurement import Call, choose, measure, measure_all
from simulations.measuring.table import reached
from simulations.runner import execute
from simulations.world import open_world
from simulations.yardsticks import Yardstick
from simulations.yardsticks._local import Pace, train
from simulations.yardsticks._traffic import Crossing, Traffic
from simulations.yardsticks.fedavg import Fedavg
from simulations.yardsticks.fedprox import Fedprox
from tests.worlds import TINY, tiny_with

ROOT = Path(__file__).parents[2]
LINEAR = "server.student = 'frozen_linear'"
ALONE = "data.num_clients = 1; data.partition = 'iid'"
UNEVEN = "data.partition = { kind = 'dirichlet', alpha = 0.5 }"
WHOLE = Pace(rounds=1, batch_size=10_000, learning_rate=0.5)
EVERY = [load(Yardstick, kind) for kind in kinds(Yardstick)]
BRIEF = Pace(rounds=3, batch_size=8)


def nobody(done, total):
    del done, total


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def run(folder, *overrides):
    experiment = tiny_with("bounds = true", *overrides)
    return execute(experiment, "x", out=folder, backend="inline", address=None, progress=silent)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return open_world(run(tmp_path_factory.mktemp("world") / "run", LINEAR, UNEVEN))


@pytest.fixture(scope="module")
def mlp(tmp_path_factory):
    """A world whose student drops units at random."""
    return open_world(run(tmp_path_factory.mktemp("mlp") / "run"))


@pytest.fixture(scope="module")
def lonely(tmp_path_factory):
    return open_world(run(tmp_path_factory.mktemp("lonely") / "run", LINEAR, ALONE))


def start(world):
    """Weights (C, D) and biases (C,) of the linear student before its first step."""
    return [p.detach().numpy().astype(np.float64) for p in world.student().parameters()]


def loss_gradient(weights, bias, inputs, labels):
    """Of the mean cross entropy of a linear softmax, by hand: (p - y) x^T / M."""
    inputs = inputs.astype(np.float64)
    wrong = softmax(inputs @ weights.T + bias, axis=1) - np.eye(len(bias))[labels]
    return [wrong.T @ inputs / len(labels), wrong.mean(axis=0)]


def predicted(weights, bias, inputs):
    return np.exp(log_softmax(inputs.astype(np.float64) @ weights.T + bias, axis=1))


def together(world):
    shards = world.shards.values()
    return np.concatenate([x for x, _ in shards]), np.concatenate([y for _, y in shards])


# --- FedAvg ---------------------------------------------------------------------------------


def test_one_round_of_whole_batches_is_one_central_step(world):
    """sum_k n_k/n (w - rate grad F_k) = w - rate grad F, with shards of unequal size."""
    sizes = {len(labels) for _, labels in world.shards.values()}
    assert len(sizes) > 1
    outcome = Fedavg(pace=WHOLE).measure(world, nobody)
    begun = start(world)
    slope = loss_gradient(*begun, *together(world))
    stepped = [w - 0.5 * g for w, g in zip(begun, slope, strict=True)]
    np.testing.assert_allclose(
        outcome.probs, predicted(*stepped, world.exam.inputs), rtol=1e-4, atol=1e-6
    )
    plain = np.mean([predicted(*begun, world.exam.inputs)], axis=0)
    assert np.abs(outcome.probs - plain).max() > 1e-3


def test_unweighted_clients_would_give_another_model(world):
    """The oracle above would notice if examples did not count."""
    begun = start(world)
    parts = [loss_gradient(*begun, *shard) for shard in world.shards.values()]
    even = [
        w - 0.5 * np.mean(g, axis=0) for w, g in zip(begun, zip(*parts, strict=True), strict=True)
    ]
    outcome = Fedavg(pace=WHOLE).measure(world, nobody)
    assert np.abs(outcome.probs - predicted(*even, world.exam.inputs)).max() > 1e-4


def test_rounds_are_so_many_central_steps(world):
    begun = start(world)
    for _ in range(7):
        slope = loss_gradient(*begun, *together(world))
        begun = [w - 0.5 * g for w, g in zip(begun, slope, strict=True)]
    outcome = Fedavg(pace=replace(WHOLE, rounds=7)).measure(world, nobody)
    np.testing.assert_allclose(
        outcome.probs, predicted(*begun, world.exam.inputs), rtol=1e-3, atol=1e-5
    )


def test_a_federation_of_one_trains_as_it_would_alone(lonely):
    """Rounds of local epochs are as many epochs of plain descent."""
    weights = start(lonely)
    inputs, labels = lonely.shards[0]
    for _ in range(6):
        slope = loss_gradient(*weights, inputs, labels)
        weights = [w - 0.5 * g for w, g in zip(weights, slope, strict=True)]
    outcome = Fedavg(pace=replace(WHOLE, rounds=3, local_epochs=2)).measure(lonely, nobody)
    np.testing.assert_allclose(
        outcome.probs, predicted(*weights, lonely.exam.inputs), rtol=1e-3, atol=1e-5
    )


def test_the_first_look_is_at_the_students_first_weights(world):
    exam = world.exam
    outcome = Fedavg(pace=WHOLE).measure(world, nobody)
    probs = predicted(*start(world), exam.slice_inputs)
    wanted = evaluate(probs, exam.slice_labels, exam.geometry, validation=None)
    assert len(outcome.curve) == 2
    assert outcome.curve[0]["nll"] == pytest.approx(wanted["nll"], rel=1e-5)
    assert outcome.curve[0]["accuracy"] == wanted["accuracy"]


# --- FedProx --------------------------------------------------------------------------------


@pytest.mark.parametrize("optimiser", ["sgd", "adamw"])
def test_without_its_term_fedprox_is_fedavg_to_the_bit(mlp, optimiser):
    pace = replace(BRIEF, optimiser=optimiser, learning_rate=0.01)
    one, other = (y.measure(mlp, nobody) for y in (Fedavg(pace=pace), Fedprox(mu=0.0, pace=pace)))
    assert one.probs.tobytes() == other.probs.tobytes()
    assert one.curve == other.curve


def test_the_term_changes_something(mlp):
    pace = replace(BRIEF, learning_rate=0.1)
    one, other = (Fedprox(mu=mu, pace=pace).measure(mlp, nobody) for mu in (0.0, 1.0))
    assert one.probs.tobytes() != other.probs.tobytes()


def solved(world, mu, steps=4000):
    """Where descent on F + mu/2 ||w - w_t||^2 ends for client 0."""
    model, (inputs, labels) = world.student(), world.shards[0]
    rate = 1 / (mu + 2)
    pace = Pace(local_epochs=steps, batch_size=10_000, learning_rate=rate)
    given = torch.tensor(inputs), torch.tensor(labels)
    train(model, *given, pace, mu, np.random.default_rng(0))
    return [p.detach().numpy().astype(np.float64) for p in model.parameters()]


@pytest.mark.parametrize("mu", [0.3, 3.0])
def test_at_its_optimum_the_two_slopes_cancel(world, mu):
    """grad F(w) + mu (w - w_t) = 0: the norm is squared, and halved, as in the paper."""
    found = solved(world, mu)
    slope = loss_gradient(*found, *world.shards[0])
    for g, w, begun in zip(slope, found, start(world), strict=True):
        np.testing.assert_allclose(g, -mu * (w - begun), atol=2e-5)


def test_a_large_term_keeps_the_model_where_it_was(world):
    """||w - w_t|| <= ||grad F(w_t)|| / mu, for F is convex here."""
    begun = start(world)
    slope = loss_gradient(*begun, *world.shards[0])
    reach = math.sqrt(sum((g**2).sum() for g in slope))
    gone = []
    for mu in (1.0, 10.0, 100.0, 1000.0):
        found = solved(world, mu, 300)
        gone.append(math.sqrt(sum(((w - b) ** 2).sum() for w, b in zip(found, begun, strict=True))))
        assert gone[-1] <= 1.01 * reach / mu
    assert gone == sorted(gone, reverse=True)
    pace = replace(WHOLE, rounds=5, local_epochs=20, learning_rate=1e-4)
    outcome = Fedprox(mu=9_000, pace=pace).measure(world, nobody)
    np.testing.assert_allclose(outcome.probs, predicted(*begun, world.exam.inputs), atol=1e-3)


def test_a_term_that_throws_descent_about_is_refused():
    with pytest.raises(ValueError, match="write mu less than 20"):
        Fedprox(mu=20.0, pace=Pace(learning_rate=0.1))
    Fedprox(mu=20.0, pace=Pace(learning_rate=0.1, optimiser="adamw"))


# --- Bytes ----------------------------------------------------------------------------------


def npy_bytes(world):
    """What a model's parameters weigh as numpy writes them, one array after the other."""
    total = 0
    for parameter in world.student().parameters():
        file = io.BytesIO()
        np.save(file, parameter.detach().numpy())
        total += len(file.getvalue())
    return total


def test_bytes_are_parameters_rounds_and_headers(mlp):
    outcome = Fedavg(pace=BRIEF).measure(mlp, nobody)
    traffic, student = outcome.traffic, mlp.student()
    tensors, parameters = len(list(student.parameters())), count_parameters(student)
    header = npy_bytes(mlp) - 4 * parameters
    assert header == 128 * tensors  # one block of 128 bytes for each array
    assert len(traffic.crossings) == 3 * 4
    for crossing in traffic.crossings:
        assert crossing.bytes_down == crossing.bytes_up == 4 * parameters + header
        assert 0 < crossing.envelope_down < 1000
        assert 0 < crossing.envelope_up < 1000
    assert sum(c.bytes_up for c in traffic.crossings) == 3 * 4 * (4 * parameters + header)
    assert traffic.formula_bytes_per_client == 2 * 4 * parameters * 3
    both = traffic.per_client(lambda c: c.bytes_down + c.bytes_up)
    assert both == traffic.formula_bytes_per_client + 2 * 3 * header


def test_the_formula_is_that_of_the_summary(mlp):
    wire = read_json(mlp.folder / "summary.json")["wire"]
    outcome = Fedavg(pace=replace(BRIEF, rounds=1)).measure(mlp, nobody)
    assert outcome.traffic.formula_bytes_per_client == wire["fedavg_bytes_per_client"]


def test_a_fraction_of_the_clients_is_asked(mlp):
    pace = replace(BRIEF, rounds=12, fraction=0.5)
    one, other = (Fedavg(pace=pace).measure(mlp, nobody) for _ in range(2))
    asked = [{c.client for c in one.traffic.crossings if c.round == r} for r in range(1, 13)]
    assert {len(clients) for clients in asked} == {2}
    assert set().union(*asked) == {0, 1, 2, 3}
    assert len(set(map(frozenset, asked))) > 1
    assert one.traffic == other.traffic
    assert one.probs.tobytes() == other.probs.tobytes()
    least = Fedavg(pace=replace(pace, fraction=0.01)).measure(mlp, nobody).traffic
    assert len(least.crossings) == 12


def test_when_a_federation_was_first_as_accurate():
    crossings = tuple(Crossing(r, k, 10, 7, 1, 1) for r in (1, 2, 3) for k in (0, 1))
    traffic = Traffic(crossings, num_clients=2, num_rounds=3, parameters=5).table()
    row = {"traffic": traffic, "curve": [{"accuracy": a} for a in (0.1, 0.4, 0.3, 0.6)]}
    assert reached(row, 0.1) == {"round": 0, "bytes_per_client": 0}
    assert reached(row, 0.4) == {"round": 1, "bytes_per_client": 17}
    assert reached(row, 0.5) == {"round": 3, "bytes_per_client": 51}
    assert reached(row, 0.7) is None
    assert reached(row | {"traffic": None}, 0.1) is None


# --- Laws of all ----------------------------------------------------------------------------


@pytest.mark.parametrize("yardstick", EVERY, ids=kind_of)
def test_every_yardstick_is_graded_as_the_observer_grades(mlp, yardstick):
    row = json.loads(json.dumps(measure(yardstick, mlp, silent), allow_nan=False))
    assert row["settings"] == {"kind": kind_of(yardstick)} | dump(yardstick)
    assert (
        row["parameters_cross"] == (row["crosses"] == "parameters") == (row["traffic"] is not None)
    )
    assert row["fitted"]["semantic_distance"] == pytest.approx(
        row["raw"]["semantic_distance_at_temperature"]
    )
    outcome, exam = yardstick.measure(mlp, nobody), mlp.exam
    if outcome.probs is None:
        assert row["clients"].keys() == {"0", "1", "2", "3"}
        column = [found["raw"]["w1"] for found in row["clients"].values()]
        assert row["raw"]["w1"] == pytest.approx(np.mean(column))
        return
    warm = at_temperature(outcome.probs, row["raw"]["temperature"])
    for probs, told in ((outcome.probs, row["raw"]), (warm, row["fitted"])):
        found = evaluate(probs, exam.labels, exam.geometry, validation=None, gold=exam.gold)
        assert {key: told[key] for key in ("accuracy", "ece", "w1", "rps")} == {
            key: found[key] for key in ("accuracy", "ece", "w1", "rps")
        }


@pytest.mark.parametrize("yardstick", EVERY, ids=kind_of)
def test_every_yardstick_gives_the_same_bits_again(mlp, yardstick):
    one, other = (yardstick.measure(open_world(mlp.folder), nobody) for _ in range(2))
    assert one.grades.raw == other.grades.raw
    assert one.curve == other.curve


@pytest.mark.parametrize("yardstick", EVERY, ids=kind_of)
def test_every_yardstick_leaves_everything_as_it_was(mlp, yardstick):
    random.seed(5)
    torch.manual_seed(5)
    before = random.getstate(), torch.get_rng_state().numpy().tobytes()
    level, run_id = logging.getLogger("flwr").level, TaskIdentity.__dict__["_run_id"]
    files = {p: p.stat().st_mtime_ns for p in mlp.folder.rglob("*")}
    yardstick.measure(mlp, nobody)
    assert (random.getstate(), torch.get_rng_state().numpy().tobytes()) == before
    assert (logging.getLogger("flwr").level, TaskIdentity.__dict__["_run_id"]) == (level, run_id)
    assert {p: p.stat().st_mtime_ns for p in mlp.folder.rglob("*")} == files


def test_bounds_of_the_run_are_the_yardsticks(mlp):
    bounds = read_json(mlp.folder / "summary.json")["bounds"]
    found = {kind_of(y): measure(y, mlp, silent) for y in EVERY}
    for kind in ("centralised", "ensemble"):
        assert found[kind]["raw"] == bounds[kind]
    alone = [row["raw"] for row in found["local_only"]["clients"].values()]
    assert alone == bounds["teachers"]


@pytest.mark.slow
def test_a_student_that_reads_texts_is_averaged_too(tmp_path):
    student = "server.student = { kind = 'transformer', layers = 1, width = 8, vocabulary = 600 }"
    world = open_world(run(tmp_path / "run", student, "bounds = false"))
    outcome = Fedavg(pace=replace(BRIEF, rounds=1)).measure(world, nobody)
    crossing = outcome.traffic.crossings[0]
    assert crossing.bytes_up == npy_bytes(world)
    assert np.isfinite(outcome.probs).all()


def test_training_that_diverges_says_what_to_write(world):
    pace = replace(WHOLE, rounds=2, local_epochs=3, learning_rate=1e38)
    with pytest.raises(ConfigError, match="write a smaller learning_rate"):
        Fedavg(pace=pace).measure(world, nobody)


# --- The command ----------------------------------------------------------------------------


@pytest.fixture
def fedknot(monkeypatch, capsys):
    def call(*words):
        given = [word for override in TINY for word in ("--set", override)]
        monkeypatch.setattr(sys, "argv", ["fedknot", "yardsticks", "synthetic", *given, *words])
        code = cli._call()
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("yardsticks") / "out"
    chosen = choose(
        "fedavg, {kind = 'fedprox', pace = {rounds = 2}}, local_only, ensemble, centralised"
    )
    call = Call(tiny_with(), "synthetic", chosen, (0, 1))
    assert measure_all(call, folder, silent) == folder
    return folder


def test_the_table_has_every_yardstick_and_our_student(finished):
    made = read_json(finished / "yardsticks.json")
    found = {y["settings"]["kind"]: y for y in made["yardsticks"]}
    assert found.keys() == {"fedknot", *kinds(Yardstick)}
    assert made["parameters_cross"]
    assert {k for k, y in found.items() if y["parameters_cross"]} == {"fedavg", "fedprox"}
    for seed in ("0", "1"):
        summary = read_json(finished / "seeds" / seed / "summary.json")
        ours = found["fedknot"]["per_seed"][seed]
        assert ours["raw"] == summary["student"]
        wire = summary["wire"]
        assert ours["traffic"]["bytes_up_per_client"] == wire["bytes_up"] / 4
    text = "\n".join(lines(made, finished))
    assert "parameters cross: yes, of fedavg, fedprox; a fedknot run never sends any" in text


def test_intervals_over_seeds_are_students(finished):
    made = read_json(finished / "yardsticks.json")
    for yardstick in made["yardsticks"]:
        column = [found["raw"]["w1"] for found in yardstick["per_seed"].values()]
        told = yardstick["raw"]["w1"]
        assert told["mean"] == pytest.approx(np.mean(column))
        if np.std(column):
            low, high = stats.t.interval(0.95, 1, np.mean(column), stats.sem(column))
            assert (told["low"], told["high"]) == pytest.approx((low, high))


def test_results_csv_holds_every_figure(finished):
    with (finished / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [
        "experiment",
        "seed",
        "yardstick",
        "crosses",
        "metric",
        "raw",
        "fitted",
    ]
    made = read_json(finished / "yardsticks.json")
    found = {(r["yardstick"], r["seed"], r["metric"]): (r["raw"], r["fitted"]) for r in rows}
    assert len(found) == len(rows)
    for yardstick in made["yardsticks"]:
        for seed, kept in yardstick["per_seed"].items():
            raw, fitted = found[yardstick["name"], seed, "accuracy"]
            assert (float(raw), float(fitted)) == (
                kept["raw"]["accuracy"],
                kept["fitted"]["accuracy"],
            )
            sent = found.get((yardstick["name"], seed, "bytes_up_per_client"))
            assert (sent is not None) == (kept["traffic"] is not None)


def test_what_is_measured_is_not_measured_again(finished, monkeypatch):
    before = (finished / "yardsticks.jsonl").read_bytes()

    def again(self, world, progress):
        raise AssertionError("measured again")

    monkeypatch.setattr(Fedavg, "measure", again)
    measure_all(Call(tiny_with(), "synthetic", choose("fedavg"), (1, 0)), finished, silent)
    assert (finished / "yardsticks.jsonl").read_bytes() == before


def test_a_folder_of_something_else_is_refused(finished, tmp_path):
    (tmp_path / "arms.jsonl").write_text("")
    call = Call(tiny_with(), "synthetic", choose("ensemble"), (0,))
    with pytest.raises(FolderError, match="not empty"):
        measure_all(call, tmp_path, silent)
    other = replace(call, experiment=tiny_with("data.num_clients = 3"))
    with pytest.raises(FolderError, match=r"data\.num_clients = 4, now it is 3"):
        measure_all(other, finished, silent)


def test_the_command_prints_one_json_object(fedknot, tmp_path):
    code, out, err = fedknot(
        "--only", "ensemble", "--seeds", "3", "--out", tmp_path / "x", "--json"
    )
    assert (code, err) == (0, "")
    made = json.loads(out)
    assert made == read_json(tmp_path / "x" / "yardsticks.json")
    assert not made["parameters_cross"]
    assert "parameters cross: no" in "\n".join(lines(made, tmp_path))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--only", "fedavgg"), "unknown --only 'fedavgg'; did you mean 'fedavg'?"),
        (("--only", " "), "nothing to measure; write one of centralised, ensemble, fedavg"),
        (("--only", "{kind = 'fedprox', mu = -1.0}"), "--only.mu must be at least 0"),
        (("--only", "{kind = 'fedavg', pace = {round = 2}}"), "did you mean 'rounds'?"),
        (("--seeds", "1,1"), "--seeds must be different whole numbers"),
    ],
)
def test_a_wrong_call_is_one_line_and_exit_code_2(fedknot, words, told):
    code, out, err = fedknot(*words)
    assert (code, out) == (2, "")
    assert told in err
    assert err.count("\n") == 1


# --- The boundary ---------------------------------------------------------------------------


@pytest.mark.slow
def test_a_run_never_loads_a_yardstick(tmp_path):
    """Not even one with bounds, whose figures are those of some yardsticks."""
    code = f"""
import sys
from simulations.events import silent
from simulations.runner import execute
from tests.worlds import tiny_with
execute(tiny_with("bounds = true"), "x", out=__import__("pathlib").Path({str(tmp_path / "r")!r}),
        backend="inline", address=None, progress=silent)
print([n for n in sys.modules if n.startswith(("simulations.yardsticks", "simulations.measuring"))])
"""
    call = [sys.executable, "-c", code]
    done = subprocess.run(call, capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"


def test_neither_side_may_import_a_yardstick():
    """The contract is there, and names both sides and every part of a run."""
    import tomllib

    table = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    contract = next(c for c in table["contracts"] if "yardstick" in c["name"])
    assert contract["type"] == "forbidden"
    assert not contract.get("ignore_imports")
    assert not contract.get("allow_indirect_imports")
    assert {"clients", "server", "common", "simulations.runner", "simulations.observe"} <= set(
        contract["source_modules"]
    )
    assert "simulations.yardsticks" in contract["forbidden_modules"]


def test_every_kind_is_named_like_its_file():
    for kind in kinds(Yardstick):
        assert kind_of(find(Yardstick, kind)()) == kind
