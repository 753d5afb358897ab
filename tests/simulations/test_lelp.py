"""A whole run with pseudo-subclasses: what crosses, and that everything else works as before."""

from dataclasses import replace

import numpy as np
import pytest

from clients.client import Client
from clients.store import Store
from common.failures import ConfigError
from common.files import read_json
from common.messages import Question
from common.reasons import Reason, Refused
from common.records import decode
from common.subclasses import merged_codes
from common.terms import Terms
from server.aggregators.mean import Mean
from server.archive import open_student
from server.distil import predict
from server.heads import Headed, Heads
from server.students import fingerprint
from simulations.comparing.arms import Arm
from simulations.comparing.replay import open_replay
from simulations.events import silent
from simulations.experiment_file import read, shipped, to_toml
from simulations.folder import create
from simulations.inspection import inspect
from simulations.loop import federate
from simulations.preview import preview
from simulations.provision import provision
from simulations.runner import execute
from tests.simulations.kills import Death, killed_at
from tests.worlds import hashes, outcome, stocked, tiny_with

SPLIT = "clients.subclasses = { count = 3 }"
KL = "server.loss = 'kl'"
FULLER = "data.dataset = { kind = 'synthetic', size = 400, num_labels = 3 }"


@pytest.fixture
def run(tmp_path):
    count = iter(range(100))

    def made(*overrides):
        folder = stocked(tiny_with(KL, FULLER, *overrides), tmp_path / str(next(count)))
        federate(folder, silent)
        return folder

    return made


def records(folder, server_round=1):
    terms = Terms.read(folder / "terms.json")
    shelf = folder / "releases" / str(server_round)
    return [
        decode((shelf / f"{k}.bin").read_bytes(), terms.layout, server_round, k) for k in range(4)
    ]


def test_schema_2_crosses_and_sums_to_what_would_have_crossed(run):
    """Predictions and bias, of every client, code by code."""
    plain, split = run(), run(SPLIT)
    layout = Terms.read(split / "terms.json").layout
    assert (layout.schema, layout.classes, layout.subclasses) == (2, 9, 3)
    assert Terms.read(plain / "terms.json").layout.schema == 1
    uneven = 0
    for one, other in zip(records(plain), records(split), strict=True):
        assert np.array_equal(merged_codes(other.codes, 3), one.codes)
        assert np.array_equal(merged_codes(other.bias, 3), one.bias)
        uneven += np.ptp(other.codes.reshape(-1, 3, 3), axis=2).max() > 9
    assert uneven == 4
    payload = (split / "releases" / "1" / "0.bin").read_bytes()
    assert payload[4:6] == b"\2\0"
    assert inspect(split, None, None)["messages"][0]["bytes"] == layout.length


def test_one_subclass_is_none(run):
    plain, one = run(), run("clients.subclasses = { count = 1 }")
    for a, b in zip(records(plain), records(one), strict=True):
        assert np.array_equal(a.codes, b.codes)
    assert Terms.read(one / "terms.json").schema == 1


def test_two_runs_give_equal_bits_and_settings_others(run):
    first, second = run(SPLIT), run(SPLIT)
    assert hashes(first) == hashes(second)
    harder = run("clients.subclasses = { count = 3, temperature = 0.3 }")
    assert hashes(first)[1] != hashes(harder)[1]


@pytest.mark.parametrize("aggregator", ["keep_all", "aligned"])
def test_the_published_student_is_the_servers(run, aggregator):
    folder = run(SPLIT, f"server.aggregator = '{aggregator}'", "num_rounds = 2")
    student = open_student(folder)
    assert isinstance(student, Headed)
    assert student.heads == Heads(4 if aggregator == "keep_all" else 1, 3)
    assert fingerprint(student) == outcome(folder)["student_sha256"]
    probs = predict(student, np.zeros((5, 16), np.float32))
    assert probs.shape == (5, 3)
    np.testing.assert_allclose(probs.sum(axis=1), 1, atol=1e-5)


def test_clients_that_are_away_have_heads_that_wait(run):
    away = "server.cohort = { kind = 'random_share', share = 0.5 }"
    student = open_student(run(SPLIT, away))
    assert (student.shares > 0).sum() == 2


def test_what_the_server_says_back_is_of_labels(run):
    more = ("num_rounds = 2", "server.feedback = 'consensus'")
    folder = run(SPLIT, *more, "clients.refinement = 'digest_revisit'")
    assert Terms.read(folder / "terms.json").layout_down.classes == 3
    first, second = records(folder), records(folder, 2)
    assert not np.array_equal(first[0].codes, second[0].codes)


def test_a_client_splits_as_it_was_told_and_answers_nothing_else(tmp_path):
    folder = stocked(tiny_with(KL, SPLIT), tmp_path / "run")
    store = Store(folder / "clients" / "1")
    client, binding = Client(store), store.terms().binding
    client.encode()
    client.train()
    with pytest.raises(Refused) as found:
        client.answer(Question(1, 1, binding))
    assert found.value.reason is Reason.wrong_field
    client._own.config = replace(client._own.config, subclasses=None)  # the terms want three
    with pytest.raises(Refused) as found:
        client.answer(Question(1, 2, binding))
    assert found.value.reason is Reason.refused


@pytest.mark.parametrize("moment", [90, 200])
def test_a_run_cut_short_goes_on_to_the_same_end(run, tmp_path, moment):
    overrides = (KL, FULLER, SPLIT, "num_rounds = 2")
    experiment = tiny_with(*overrides)
    folder = create(tmp_path / "cut", "lelp", experiment.seed)
    with pytest.raises(Death), killed_at(moment):
        work(experiment, folder)
    work(experiment, folder)
    assert hashes(folder) == hashes(run(*overrides))


def work(experiment, folder):
    provision(experiment, folder, silent)
    federate(folder, silent)


def test_a_loss_that_cannot_tell_subclasses_apart_is_refused_before_anything_is_encoded(tmp_path):
    experiment = tiny_with(FULLER, SPLIT, "server.loss = 'knot_geomloss'")
    with pytest.raises(ConfigError, match="knot_geomloss"):
        stocked(experiment, tmp_path / "run")
    assert not list((tmp_path / "run" / "clients").iterdir())


def test_a_whole_run_is_measured_and_arms_of_it_compared(tmp_path):
    experiment = tiny_with(KL, FULLER, SPLIT, "bounds = true")
    folder = execute(
        experiment,
        "lelp",
        out=tmp_path / "run",
        backend="inline",
        address=None,
        progress=silent,
    )
    summary = read_json(folder / "summary.json")
    assert summary["wire"]["bytes_up_per_client"] == preview(experiment)["bytes_up"] / 4
    replay, server = open_replay(folder, experiment), experiment.server
    own = Arm(server.loss, server.weighting, server.aggregator, server.geometry).bare()
    assert replay.grade(replay.learn(own))["student"] == summary["hashes"]["student"]
    assert not isinstance(replay.learn(replace(own, aggregator=Mean())), Headed)


def test_without_it_run_ids_are_what_they_were_and_mixing_is_refused():
    assert "subclasses" not in to_toml(tiny_with(KL))
    with pytest.raises(ConfigError, match="aligned"):
        tiny_with(KL, SPLIT, "server.aggregator = 'mean'")


@pytest.mark.parametrize("name", [name for name in shipped() if name.startswith("lelp")])
def test_the_shipped_experiments_are_few_class_ones(name):
    experiment = read(name)
    assert experiment.clients.num_subclasses > 1
