"""``fedknot frontier``: two sweeps and one game a strength, in one table and one page."""

import json
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
from scipy import stats

from common.failures import ConfigError, FolderError
from common.files import read_json
from simulations import cli
from simulations.attacks import Finding, _game
from simulations.attacks._battery import strongest
from simulations.attacks._game import Size, draw
from simulations.attacks._scene import set_up
from simulations.events import silent
from simulations.finished import seeded
from simulations.folder import summary_of
from simulations.frontier import attacked as attacking
from simulations.frontier.asked import Asked, guarded, levels, read_bits, read_epsilons, swept
from simulations.frontier.attacked import attacked, attacks
from simulations.frontier.files import lines
from simulations.frontier.findings import sentences
from simulations.frontier.frontier import frontier
from simulations.frontier.report import build_frontier_report
from simulations.sweeping.grid import cells
from simulations.sweeping.sweep import How
from tests.worlds import TINY

SMALL = Size(40, 40, 20, targets=8, shadows=8)
SHORT = ("clients.mechanism.steps = 3",)
PAIR = {"epsilons": (8.0,), "bits": (8, 1), "seeds": (0, 1), "full": True}


def asked(**how):
    return Asked("synthetic", TINY, SHORT, **(PAIR | how))


@pytest.fixture(scope="module", autouse=True)
def small():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(_game.SIZES, "quick", SMALL)
        yield


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("frontier") / "out"
    return frontier(asked(), folder, How(), silent)


@pytest.fixture(scope="module")
def made(finished):
    return read_json(finished / "frontier.json")


def point(made, epsilon, bits):
    (found,) = [p for p in made["points"] if (p["epsilon"], p["bits"]) == (epsilon, bits)]
    return found


def students(finished, name, values):
    """What the runs of one point scored, by seed."""
    found = read_json(finished / name / "sweep.json")["cells"]
    homes = {c["seed"]: c["name"] for c in found if c["values"] == values}
    return [summary_of(finished / name / "cells" / homes[seed]) for seed in (0, 1)]


def test_every_strength_meets_every_width(made):
    assert [(p["epsilon"], p["bits"]) for p in made["points"]] == [
        (None, 8),
        (None, 1),
        (8.0, 8),
        (8.0, 1),
    ]
    assert all(p["complete"] == 2 for p in made["points"])
    assert made["teachers"] == {"plain": "frozen_mlp", "private": "frozen_linear"}
    assert (made["failed"], made["faults"], made["private"]) == ([], [], True)
    assert point(made, 8.0, 8)["guarantee"] == "dp_gd"
    assert point(made, None, 8)["guarantee"] == "none"


@pytest.mark.parametrize(
    ("epsilon", "bits", "name", "values"),
    [(None, 1, "plain", ["1"]), (8.0, 8, "private", ["8.0", "8"])],
)
def test_use_and_bytes_are_those_of_the_runs(finished, made, epsilon, bits, name, values):
    runs, found = students(finished, name, values), point(made, epsilon, bits)
    scored = [run["student"]["semantic_distance"] for run in runs]
    interval = stats.t.interval(0.95, 1, np.mean(scored), stats.sem(scored))
    told = found["use"]["semantic_distance"]
    assert (told["low"], told["high"]) == pytest.approx(interval)
    assert found["bytes_up_per_client"] == runs[0]["wire"]["bytes_up_per_client"]
    beside = students(finished, "plain", ["8"])
    change = [
        a["student"]["accuracy"] - b["student"]["accuracy"]
        for a, b in zip(runs, beside, strict=True)
    ]
    assert found["change"]["accuracy"]["mean"] == pytest.approx(np.mean(change))


def test_attackers_find_what_they_find_in_a_battery(made):
    """The same models and the same release as those of ``fedknot attack`` at this width."""
    best = []
    for seed in (0, 1):
        experiment = seeded(levels(asked())[0].experiment, seed)
        scene = set_up(draw(experiment, SMALL, silent), silent)
        findings = [found for attack in attacks() for found in attack.run(scene)]
        best.append(strongest(findings))
    found = point(made, None, 8)
    for key in ("auc", "tpr_0.01", "tpr_0.001"):
        told = np.mean([one["8 bits"][key]["value"] for one in best])
        assert found["attack"][key]["mean"] == pytest.approx(told)
    (noise,) = [one for one in made["obfuscations"] if one["name"] == "noise 0.2"]
    told = np.mean([one["noise 0.2"]["auc"]["value"] for one in best])
    assert noise["attack"]["auc"]["mean"] == pytest.approx(told)


def test_a_width_is_attacked_alike_alone_and_among_others(tmp_path):
    both = levels(asked())[1]
    (alone,) = levels(asked(bits=(8,)))[1:]
    found = [attacked(level, 0, "quick", tmp_path) for level in (both, alone)]
    assert set(found[0]["releases"]) == {"8 bits", "1 bits"}
    assert found[0]["releases"]["8 bits"] == found[1]["releases"]["8 bits"]
    assert found[0]["allowed"]["tpr_0.001"] < found[0]["allowed"]["tpr_0.01"] < 1
    assert attacked(both, 0, "quick", tmp_path) == found[0]  # read, not played again


def test_what_is_there_is_kept_and_what_is_missing_comes_again(finished, made):
    kept, lost = sorted((finished / "attacks").glob("off-*.json"))
    before = kept.stat().st_mtime_ns
    lost.unlink()
    frontier(asked(), finished, How(), silent)
    assert kept.stat().st_mtime_ns == before
    again = read_json(finished / "frontier.json")
    assert {**again, "seconds": 0} == {**made, "seconds": 0}


def test_the_page_is_whole_and_needs_nothing_else(finished, made):
    page = build_frontier_report(made)
    assert (finished / "report.html").read_text("utf-8") == build_frontier_report(made)
    HTMLParser().feed(page)
    assert "http" not in page.replace("http://www.w3.org", "")
    assert page.count("<svg") == 2 + 4  # the picture, along each way, four maps
    assert "NOT PRIVATE" not in page
    assert "NOT PRIVATE" in build_frontier_report({**made, "private": False})
    text = "\n".join(lines(made, finished))
    assert all(sentence in text for sentence in made["findings"])


def test_a_picture_without_a_complete_run_is_a_table_of_attacks(made):
    empty = [p | {"use": {}, "change": {}, "complete": 0} for p in made["points"]]
    page = build_frontier_report({**made, "points": empty})
    assert page.count("<svg") == 1 + 2
    told = sentences({**made, "points": empty})
    assert not any("accuracy" in sentence for sentence in told)


def measured(mean, low=None, high=None, n=3):
    return {"n": n, "mean": mean, "std": None, "low": low, "high": high}


def drawn(epsilon, bits, accuracy, auc, rare, allowed=None):
    return {
        "epsilon": epsilon,
        "bits": bits,
        "use": {"accuracy": measured(accuracy)},
        "change": {
            "accuracy": measured(accuracy - 0.5, accuracy - 0.51, accuracy - 0.49),
            "semantic_distance": measured(0.01, -0.02, 0.04),
        },
        "bytes_up_per_client": 1000 * bits,
        "attack": {"auc": measured(auc), "tpr_0.001": measured(rare)},
        "allowed": allowed and {"tpr_0.001": allowed},
    }


def test_sentences_say_what_the_figures_say():
    table = {
        "bits": 8,
        "points": [
            drawn(None, 8, 0.5, 0.99, 0.5),
            drawn(None, 1, 0.45, 0.9, 0.1),
            drawn(8.0, 8, 0.48, 0.59, 0.002, allowed=0.077),
        ],
        "obfuscations": [
            {"name": "noise", "attack": {"auc": measured(0.9), "tpr_0.001": measured(0.09)}}
        ],
    }
    price, unguarded, bounded, bytes_, widths, noise = sentences(table)
    assert price == (
        "Epsilon 8: accuracy changes by -2.0 points [-3.0, -1.0] and semantic distance (lower is "
        "better) by +0.010 [-0.020, +0.040] against the same experiment without a guarantee."
    )
    assert "99% of the time" in unguarded
    assert "50.0% of those" in unguarded
    assert bounded == "Epsilon 8: 59% and 0.2%; the guarantee allows no attack more than 7.7%."
    assert "sends 1,000 bytes and not 8,000" in bytes_
    assert "between 0.450 and 0.500" in bytes_
    assert "at 1 bit, where it finds least, 90%; no width protects as epsilon 8 does" in widths
    assert noise.endswith("noise 90% and 9.0%; each gives away more than epsilon 8 does.")


def test_a_difference_that_seeds_cannot_tell_from_nothing_is_called_so():
    table = {"bits": 8, "obfuscations": []}
    table["points"] = [drawn(None, 8, 0.5, 0.9, 0.5), drawn(8.0, 8, 0.5, 0.51, 0.001)]
    told = sentences(table)
    assert told[0].endswith("3 seeds cannot tell that from nothing.")
    assert len(told) == 3  # of one width nothing is said about widths


def test_an_experiment_with_a_guarantee_keeps_its_teacher_and_another_gets_heads():
    own = Asked("synthetic", (*TINY, "clients.mechanism = { kind = 'dp_gd', delta = 1e-3 }"))
    for level in levels(own)[1:]:
        assert level.experiment.clients.mechanism.delta == 1e-3
        assert level.experiment.clients.mechanism.epsilon_target == level.epsilon
    assert levels(own)[0].experiment.clients.mechanism is None
    recipes = {type(level.experiment.clients.teacher).__name__ for level in levels(own)}
    assert recipes == {"FrozenMlp"}
    assert "FrozenLinear" in str(levels(asked())[1].experiment.clients.teacher)
    seeded_noise = Asked("synthetic", TINY, ("clients.mechanism.noise_seed = 1",))
    assert not levels(seeded_noise)[1].experiment.clients.mechanism.private


def test_without_full_guarantees_stand_at_one_width():
    cross = asked(full=False, epsilons=(1.0, 8.0), bits=(4, 1))
    found = [(level.epsilon, level.bits) for level in levels(cross)]
    assert found == [(None, (8, 4, 1)), (8.0, (8,)), (1.0, (8,))]
    grids = swept(cross, levels(cross))
    assert [len(cells(grid)) for grid in grids.values()] == [3 * 2, 2 * 2]
    assert guarded(cross, levels(cross)[0].experiment)[-1] == SHORT[0]


def test_breaches_are_told_with_the_epsilon_that_they_break():
    level = levels(asked())[1]
    breach = [Finding("lira", "8 bits", "overlap", {}, "", "lira finds too many")]
    fine = [Finding("rmia", "8 bits", "overlap", {}, "")]
    assert attacking._faults(breach + fine, level) == ["epsilon 8: lira finds too many"]


def test_refusals(tmp_path):
    (tmp_path / "other").write_text("mine")
    with pytest.raises(FolderError, match="not empty"):
        frontier(asked(), tmp_path, How(), silent)
    for text in ("3", "8,8", "x", ""):
        with pytest.raises(ConfigError, match="--bits"):
            read_bits(text)
    for text in ("off", "8,8", "x", "-1", "inf", "nan"):
        with pytest.raises(ConfigError, match="--epsilons"):
            read_epsilons(text)
    assert read_epsilons("off, 8,.5") == (8.0, 0.5)
    secure = "wire.secure_sum = true; k_min = 2; server.weighting = 'uniform'"
    with pytest.raises(ConfigError, match="secure_sum"):
        levels(Asked("synthetic", (*TINY, secure, "server.aggregator = 'mean'")))


def test_from_the_outside(finished, monkeypatch, capsys):
    words = ["frontier", "synthetic", "--epsilons", "off,8", "--bits", "8,1", "--seeds", "0,1"]
    for override in TINY:
        words += ["--set", override]
    words += ["--private", SHORT[0], "--full", "--out", str(finished)]

    def called(*more):
        monkeypatch.setattr(sys, "argv", ["fedknot", *words, *more])
        code = cli._call()
        return code, capsys.readouterr()

    code, said = called("--json")
    assert code == 0, said.err
    assert json.loads(said.out) == read_json(finished / "frontier.json")
    code, said = called("--quiet")
    assert (code, said.out.strip()) == (0, str(finished / "report.html"))
    monkeypatch.setattr(sys, "argv", ["fedknot", "frontier", "synthetic", "--bits", "3"])
    assert cli._call() == 2
    assert "--bits" in capsys.readouterr().err
