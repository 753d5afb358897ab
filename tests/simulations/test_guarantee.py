"""Differential privacy through a whole run: the ledger, the budget, and what is said of it."""

import json

import numpy as np
import pytest

from clients.budget import allow, spent
from clients.mechanisms.dp_gd import DpGd
from clients.store import Store
from common.failures import BudgetExceeded, ConfigError
from common.files import read_json
from common.reasons import Refused
from simulations import results
from simulations.events import silent
from simulations.experiment_file import read
from simulations.guarantee import NOT_PRIVATE, guarantee
from simulations.loop import federate
from simulations.summary import lines
from tests.worlds import TINY, hashes, stocked, tallies, tiny_with

LINEAR = "clients.teacher = 'frozen_linear'"
DP = "clients.mechanism = { kind = 'dp_gd', epsilon_target = 4.0, steps = 5 }"
SEEDED = "clients.mechanism = { kind = 'dp_gd', epsilon_target = 4.0, steps = 5, noise_seed = 1 }"
ROUNDS = (
    "num_rounds = 2",
    "server.feedback = 'consensus'",
    "clients.refinement = 'digest_revisit'",
)


def run(folder, *words):
    experiment = tiny_with(LINEAR, *words)
    made = stocked(experiment, folder)
    federate(made, silent)
    return made, experiment


def test_the_guarantee_is_read_from_the_ledgers(tmp_path):
    folder, experiment = run(tmp_path / "run", DP)
    found = guarantee(folder, experiment)
    assert found["guarantee"] == "dp_gd"
    assert found["epsilon"] == pytest.approx(4.0)
    assert found["delta"] == 1e-5
    assert "example" in found["unit"]
    ledgers = [spent(Store(folder / "clients" / str(k))) for k in range(4)]
    assert [len(ledger) for ledger in ledgers] == [1, 1, 1, 1]
    assert all(one.private for ledger in ledgers for one in ledger)


def test_r27_seeded_noise_is_not_private_and_says_so(tmp_path):
    """The positive control: the same run with a seed for its noise guarantees nothing."""
    folder, experiment = run(tmp_path / "run", SEEDED)
    found = guarantee(folder, experiment)
    assert found == {"guarantee": NOT_PRIVATE, "epsilon": None, "delta": None, "unit": None}
    again, _ = run(tmp_path / "again", SEEDED)
    assert hashes(folder) == hashes(again)


def test_r27_the_stamp_is_in_summary_and_report(tmp_path):
    finished = {}
    for name, words in (("seeded", SEEDED), ("honest", DP)):
        made = results.run(
            "synthetic", overrides=[*TINY, LINEAR, words], out=tmp_path / name, backend="inline"
        )
        summary = read_json(tmp_path / name / "summary.json")
        assert summary == made.summary
        page = (tmp_path / name / "report.html").read_text()
        told = "\n".join(lines(summary, tmp_path / name))
        finished[name] = summary["privacy"], page, told
    privacy, page, told = finished["seeded"]
    assert NOT_PRIVATE == "NOT PRIVATE (seeded noise)"
    assert privacy["guarantee"] == NOT_PRIVATE
    assert privacy["epsilon"] is privacy["delta"] is None
    assert NOT_PRIVATE in page
    assert NOT_PRIVATE in told
    privacy, page, told = finished["honest"]
    assert privacy["epsilon"] == pytest.approx(4.0)
    assert "NOT PRIVATE" not in page + told


def test_noise_of_the_system_makes_two_runs_differ(tmp_path):
    first, second = (run(tmp_path / name, DP)[0] for name in ("one", "two"))
    assert hashes(first)[1] != hashes(second)[1]


def test_a_teacher_past_the_mechanism_ends_the_guarantee(tmp_path):
    """Positive control: one client's teacher without an entry in its ledger."""
    folder, experiment = run(tmp_path / "run", DP)
    store = Store(folder / "clients" / "2")
    tensors = store.teacher()
    store.keep_teacher(tensors)
    assert guarantee(folder, experiment)["guarantee"] == "none"


def test_one_of_several_teachers_past_the_mechanism_ends_the_guarantee(tmp_path):
    """Positive controls: a second teacher without an entry, and a ledger nobody can read."""
    folder, experiment = run(tmp_path / "run", DP)
    store = Store(folder / "clients" / "2")
    store.keep_teacher(store.teacher(), 2)
    assert guarantee(folder, experiment)["guarantee"] == "none"
    (store.root / "teacher-2.safetensors").write_bytes(b"\xff" * 40)
    assert guarantee(folder, experiment)["guarantee"] == "none"


def test_without_a_mechanism_there_is_none(tmp_path):
    folder, experiment = run(tmp_path / "run")
    assert guarantee(folder, experiment)["guarantee"] == "none"


def test_r28_a_budget_that_would_be_exceeded_is_refused_before_anything_is_trained():
    with pytest.raises(BudgetExceeded, match=r"2 trainings would spend epsilon .* of 4"):
        tiny_with(LINEAR, DP, *ROUNDS)
    assert BudgetExceeded.exit_code == 5
    wide = DP.replace("steps", "budget = 7.0, steps")
    assert tiny_with(LINEAR, wide, *ROUNDS).num_rounds == 2
    with pytest.raises(BudgetExceeded, match="3 trainings"):
        tiny_with(LINEAR, wide, *ROUNDS, "num_rounds = 3")


def test_r28_rounds_are_added_up_by_the_ledger(tmp_path):
    wide = DP.replace("steps", "budget = 7.0, steps")
    folder, experiment = run(tmp_path / "run", wide, *ROUNDS)
    mechanism = experiment.clients.mechanism
    ledger = spent(Store(folder / "clients" / "0"))
    assert len(ledger) == 2
    found = guarantee(folder, experiment)
    assert found["epsilon"] == pytest.approx(mechanism.epsilon(ledger), abs=1e-6)
    assert 4.0 < found["epsilon"] < 7.0


def test_r28_the_client_itself_refuses_what_its_ledger_does_not_allow(tmp_path):
    folder, experiment = run(tmp_path / "run", DP)
    store = Store(folder / "clients" / "1")
    with pytest.raises(Refused):
        allow(experiment.clients.mechanism, store)
    allow(DpGd(epsilon_target=4.0, steps=5, budget=100.0), store)


def test_r28_a_damaged_teacher_is_still_paid_for(tmp_path):
    """It may have spoken before, so it is not trained anew with fresh noise."""
    experiment = tiny_with(LINEAR, DP)
    folder = stocked(experiment, tmp_path / "run")
    federate(folder, silent)
    path = folder / "clients" / "3" / "teacher.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    store = Store(folder / "clients" / "3")
    assert store.teacher() is None
    with pytest.raises(Refused):
        allow(experiment.clients.mechanism, store)
    path.write_bytes(b"\xff" * 40)
    with pytest.raises(Refused):
        allow(experiment.clients.mechanism, store)


def test_teacher_and_ledger_are_one_file(tmp_path):
    folder, _ = run(tmp_path / "run", DP)
    store = Store(folder / "clients" / "0")
    line = store.spendings()[0]
    assert json.loads(line)["steps"] == 5
    path = store.root / "teacher.safetensors"
    forged = path.read_bytes().replace(b'\\"steps\\": 5', b'\\"steps\\": 1')
    assert forged != path.read_bytes()
    path.write_bytes(forged)
    assert store.teacher() is None


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("clients.prior_correction = 0.5",), "prior_correction"),
        (("clients.subclasses = { count = 2 }",), "subclasses"),
        (("disclose = ['familiarity']",), "disclose"),
    ],
)
def test_what_reads_private_examples_past_the_mechanism_is_refused(words, said):
    with pytest.raises(ConfigError, match=said):
        tiny_with(LINEAR, DP, *words)


def test_a_consensus_is_where_the_next_training_sets_out_from(tmp_path):
    """What it teaches is public, and with the noise of a small epsilon it is most of it."""
    wide = "clients.mechanism = { kind = 'dp_gd', epsilon_target = 1e9, budget = 1e12, steps = 5 }"
    folder, _ = run(tmp_path / "run", wide, *ROUNDS)
    store = Store(folder / "clients" / "0")
    first, second = store.teacher(1), store.teacher(2)
    assert first is not None
    assert second is not None
    assert not np.allclose(first["weights"], second["weights"])
    assert set(tallies(folder)) == {0, 1, 2, 3}


def test_the_shipped_experiment_reads():
    assert read("dp_teachers").clients.mechanism is not None
