"""A trusted server that hides whole clients, through a whole run."""

import shutil

import pytest

from common.failures import BudgetExceeded, ConfigError
from common.files import read_json
from common.gaussian_dp import epsilon_of
from server.draws import KEY, LEDGER, Draws
from simulations import results
from simulations.comparing.choices import Asked, choose
from simulations.comparing.comparison import base_of
from simulations.events import silent
from simulations.guarantee import CLIENT_LEVEL, NOT_PRIVATE, guarantee
from simulations.hiding import expected_noise
from simulations.loop import federate
from simulations.preview import preview, table
from simulations.privacy_report import of_folder
from simulations.reporting.privacy import lines as told_of
from simulations.summary import lines
from simulations.verification import verify
from tests.simulations.kills import Death, killed_at
from tests.worlds import TINY, hashes, stocked, tiny_with

PLAIN = "server.weighting = 'uniform'; server.aggregator = 'mean'"
MEAN = "server.hiding = 'noisy_mean'"
SEEDED = "server.hiding = { kind = 'noisy_mean', noise_seed = 1, budget = 100.0 }"
WIDE = "server.hiding = { kind = 'noisy_votes', epsilon_target = 2.0, budget = 100.0 }"
ROUNDS = (
    "num_rounds = 2",
    "server.feedback = 'consensus'",
    "clients.refinement = 'digest_revisit'",
)


def run(folder, *words):
    experiment = tiny_with(PLAIN, *words)
    made = stocked(experiment, folder)
    federate(made, silent)
    return made, experiment


def test_a_whole_run_says_what_was_spent_and_what_is_not_covered(tmp_path):
    folder = tmp_path / "run"
    words = [*TINY, PLAIN, MEAN]
    made = results.run("synthetic", overrides=words, out=folder, backend="inline")
    privacy = made.summary["privacy"]
    assert privacy == read_json(folder / "summary.json")["privacy"]
    assert {key: privacy[key] for key in ("guarantee", "delta", "unit")} == {
        "guarantee": "client-level Gaussian (trusted server)",
        "delta": 1e-3,
        "unit": "client",
    }
    (draw,) = Draws(folder).read()
    assert privacy["epsilon"] == pytest.approx(
        epsilon_of((2 * draw.rows) ** 0.5 / draw.sigma, 1e-3)
    )
    assert privacy["epsilon"] == pytest.approx(8.0)
    noise = f"noise of {draw.sigma / 4:.3g} on every averaged probability"
    assert noise in "\n".join(lines(made.summary, folder))
    assert CLIENT_LEVEL in (folder / "report.html").read_text()
    report = of_folder(folder)
    assert {row["in_account"] for row in report["crossed"]["fields"]} == {"-", "no"}
    told = "\n".join(told_of(report))
    for what in ("1 noised sum(s)", "unit: client", "sees every answer", "the server is trusted"):
        assert what in told
    assert verify(folder, silent)["equal"] is None


def test_the_plan_says_how_large_the_noise_will_be():
    experiment = tiny_with(PLAIN, MEAN)
    plan = preview(experiment)
    assert plan["hiding"] == expected_noise(experiment, plan["rows"]["transfer"])
    assert any(plan["hiding"] in line for line in table(plan))
    assert "hiding" not in preview(tiny_with(PLAIN))


def test_rounds_are_added_up_by_the_ledger(tmp_path):
    folder, experiment = run(tmp_path / "run", WIDE, *ROUNDS)
    entries = Draws(folder).read()
    assert [entry.round for entry in entries] == [1, 2]
    together = sum(entry.mu**2 for entry in entries) ** 0.5
    found = guarantee(folder, experiment)
    assert found["epsilon"] == pytest.approx(epsilon_of(together, 1e-3), abs=1e-6)
    assert 2.0 < found["epsilon"] < 4.0


def test_seeded_noise_is_stamped_and_gives_the_same_bits(tmp_path):
    (one, experiment), (two, _) = (run(tmp_path / name, SEEDED) for name in ("one", "two"))
    assert guarantee(one, experiment)["guarantee"] == NOT_PRIVATE
    assert hashes(one) == hashes(two)
    other, _ = run(tmp_path / "other", SEEDED.replace("noise_seed = 1", "noise_seed = 2"))
    assert hashes(one)[0] != hashes(other)[0]


def test_noise_of_the_system_makes_two_runs_differ(tmp_path):
    (one, _), (two, _) = (run(tmp_path / name, MEAN) for name in ("one", "two"))
    assert hashes(one)[0] != hashes(two)[0]


def test_a_round_without_an_entry_ends_the_guarantee(tmp_path):
    """Positive control: a target past the ledger, and a ledger nobody can read."""
    folder, experiment = run(tmp_path / "run", WIDE, *ROUNDS)
    path = folder / "checkpoint" / LEDGER
    path.write_text(path.read_text().splitlines()[0] + "\n")
    assert guarantee(folder, experiment)["guarantee"] == "none"
    path.write_text("nothing\n")
    assert guarantee(folder, experiment)["guarantee"] == "none"


@pytest.mark.parametrize("words", [SEEDED, WIDE])
def test_killed_around_the_ledger_and_gone_on_with_it_has_the_same_noise(tmp_path, words):
    """Seeded: the student of an undisturbed run. Real noise: every round was paid for once."""
    experiment = tiny_with(PLAIN, words, "num_rounds = 2")
    for name in ("first", "whole"):  # once more, with features in the cache as they will be
        folder = stocked(experiment, tmp_path / name)
        with killed_at(None) as moments:
            federate(folder, silent)
    names = (KEY, LEDGER, "2/manifest.json")
    places = [n for n, what in enumerate(moments) if any(name in str(what) for name in names)]
    assert len(places) >= 8
    for moment in places:
        folder = stocked(experiment, tmp_path / str(moment))
        with killed_at(moment), pytest.raises(Death):
            federate(folder, silent)
        federate(folder, silent)
        assert [entry.round for entry in Draws(folder).read()] == [1, 2]
        if experiment.server.hiding.seed is not None:
            assert hashes(folder) == hashes(tmp_path / "whole")


def test_a_lost_checkpoint_brings_the_same_noise_back(tmp_path):
    """With real noise: the round is done again, and nothing new is to be averaged."""
    folder, experiment = run(tmp_path / "run", MEAN)
    before, ledger = hashes(folder), Draws(folder).read()
    shutil.rmtree(folder / "checkpoint" / "1")
    federate(folder, silent)
    assert hashes(folder) == before
    assert Draws(folder).read() == ledger
    assert guarantee(folder, experiment)["epsilon"] == pytest.approx(8.0)


def test_more_rounds_than_the_budget_lasts_for_are_refused_before_anything_is_trained():
    with pytest.raises(BudgetExceeded, match=r"2 noised rounds would spend epsilon .* of 8") as why:
        tiny_with(PLAIN, MEAN, "num_rounds = 2")
    assert why.value.exit_code == 5
    assert "\n" not in str(why.value)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("server.weighting = 'knot'",), "server.weighting = 'knot'"),
        (("server.weighting = 'size'", "disclose = ['num_examples']"), "'size'"),
        (("server.aggregator = 'keep_all'",), "server.aggregator = 'keep_all'"),
        (("server.aggregator = 'median'",), "server.aggregator = 'median'"),
        (("server.cache = 'soft_labels'", "num_rounds = 2"), "server.cache"),
        (("wire.secure_sum = true; k_min = 2",), "secure sum"),
        (("clients.subclasses = { count = 2 }",), "subclasses"),
        (("disclose = ['num_examples']",), "disclose"),
        (
            ("clients.teacher = 'frozen_linear'", "clients.mechanism = 'dp_gd'"),
            "one guarantee",
        ),
        (
            ("server.pretraining = { teacher = true }", "data.labelled_transfer = 20"),
            "server.pretraining.teacher",
        ),
    ],
)
def test_what_the_noise_would_not_cover_is_refused_in_one_line(words, said):
    with pytest.raises(ConfigError, match=said) as why:
        tiny_with(PLAIN, MEAN, *words)
    assert "; write" in str(why.value)
    assert "\n" not in str(why.value)


def test_compare_learns_without_noise_and_says_so():
    experiment = tiny_with(PLAIN, MEAN)
    base, notes = base_of(experiment, choose(Asked(None, None, None, None), experiment))
    assert base.server.hiding is None
    assert any("server.hiding" in note for note in notes)
