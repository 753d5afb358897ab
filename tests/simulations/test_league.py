"""A league from its file to its tables: groups, stages, resuming, corrected intervals."""

import csv
import io
import json
import shutil
import sys

import numpy as np
import pytest
import torch
from scipy import stats

from common.configure import dump, load
from common.failures import ConfigError, FolderError
from common.files import read_json, read_lines
from server.archive import open_student
from server.students import fingerprint
from simulations import cli
from simulations.events import silent
from simulations.experiment_file import read, shipped
from simulations.finished import seeded
from simulations.ranking import scene
from simulations.ranking.definition import League, is_league, leagues, read_league
from simulations.ranking.groups import grouped
from simulations.ranking.league import Call, run_league
from simulations.ranking.table import summarised, tabulate
from simulations.runner import execute
from tests.worlds import TINY

UNIFORM = {
    "name": "uniform_kl",
    "title": "uniform, KL",
    "set": ["server.weighting = 'uniform'; server.loss = 'kl'; server.aggregator = 'mean'"],
}
NEAR = {
    "name": "near",
    "title": "familiarity",
    "set": ["server.weighting = 'familiarity'; disclose = ['familiarity']"],
}
ROUNDS = {
    "name": "rounds",
    "title": "two rounds",
    "few": True,
    "set": [
        "num_rounds = 2; server.feedback = 'consensus'",
        "clients.refinement = { kind = 'digest_revisit', digest_epochs = 1, revisit_epochs = 1 }",
    ],
}
TOGETHER = {"name": "centralised", "title": "centralised", "yardstick": "centralised"}
PERSON = {"name": "person", "title": "one more rater", "human": True}
SETTING = {"name": "tiny", "title": "tiny", "experiment": "synthetic", "set": list(TINY)}


def table(*arms, **more):
    return {
        "settings": [SETTING],
        "arms": [*arms],
        "choosing": {"seeds": [100]},
        "references": ["uniform_kl"],
        "seeds": [0, 1],
        "few": [0],
    } | more


def written(path, made):
    import tomli_w

    path.write_text(tomli_w.dumps(made))
    return str(path)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A league on test rows, the file it was read from, and its folder."""
    home = tmp_path_factory.mktemp("league")
    arms = [UNIFORM, {"name": "own", "title": "own"}, NEAR, ROUNDS, TOGETHER, PERSON]
    name = written(home / "tiny.toml", table(*arms, references=["uniform_kl", "centralised"]))
    return name, run_league(Call(name), home / "final", silent)


def rows(folder):
    return {(row["arm"], row["seed"]): row for row in read_lines(folder / "cells.jsonl")}


# --- the file


@pytest.mark.parametrize("name", leagues())
def test_every_arm_of_a_shipped_league_is_a_runnable_experiment(name):
    league = read_league(name)
    for stage in ("choose", "final"):
        for setting in league.settings:
            assert setting.experiment in shipped()
            for arm in league.arms_of(setting):
                league.experiment(setting, arm, stage)
    for arm in league.arms:
        assert set(arm.only or ()) <= {setting.name for setting in league.settings}


def test_the_league_of_the_issue_is_shipped_under_that_name():
    league = read_league("league")
    assert is_league("league")
    assert len(league.seeds) == 5
    assert len(league.few) == 3
    assert {"knot_plus", "knot_plus_familiarity", "fedavg", "centralised", "one_rater"} <= {
        arm.name for arm in league.arms
    }


@pytest.mark.parametrize("name", ["knot_plus", "knot_plus_familiarity"])
def test_the_league_runs_knot_plus_as_it_is_shipped(name):
    league = read_league("league")
    setting = next(setting for setting in league.settings if setting.name == "vader_k4")
    arm = next(arm for arm in league.arms if arm.name == name)
    assert league.experiment(setting, arm, "final") == read(name)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"few": [7]}, "few"),
        ({"choosing": {"seeds": [1]}}, "choosing.seeds"),
        ({"references": ["unifrom_kl"]}, "did you mean 'uniform_kl'"),
        ({"settings": [SETTING, SETTING]}, "one name"),
        ({"arms": [UNIFORM | {"human": True}]}, "one of set, yardstick and human"),
        ({"arms": [UNIFORM | {"sets": []}]}, "did you mean 'set'"),
    ],
)
def test_what_is_wrong_about_a_league_is_told(wrong, told):
    with pytest.raises(ConfigError, match=told):
        load(League, table(UNIFORM) | wrong)


def test_seeds_depend_on_the_arm_and_the_stage():
    league = load(League, table(UNIFORM, ROUNDS))
    one, few = league.arms
    assert league.seeds_of(one, "final") == (0, 1)
    assert league.seeds_of(few, "final") == (0,)
    assert league.seeds_of(few, "choose") == (100,)


# --- what learns from the same predictions


def test_arms_share_a_run_where_clients_do_the_very_same():
    softer = {"name": "softer", "title": "s", "set": ["clients.prior_correction = 0.5"]}
    league = load(League, table(UNIFORM, NEAR, ROUNDS, TOGETHER, softer))
    groups = grouped(league, league.settings[0], "final", 0)
    named = sorted(sorted(arm.name for arm, _ in group.arms) for group in groups)
    assert named == [["centralised", "near", "uniform_kl"], ["rounds"], ["softer"]]
    shared = next(group for group in groups if len(group.arms) == 3)
    assert shared.replayed
    assert shared.base.disclose == ("familiarity",)
    # Without its few seeds, the whole run is not there.
    assert len(grouped(league, league.settings[0], "final", 1)) == 2


# --- a league end to end


def test_every_cell_is_measured_with_the_seeds_that_are_wanted(made):
    found = rows(made[1])
    twice = {(name, s) for name in ("uniform_kl", "own", "near", "centralised") for s in (0, 1)}
    assert set(found) - {("person", 0), ("person", 1)} == twice | {("rounds", 0)}
    assert not any("refused" in row for row in found.values())


@pytest.mark.parametrize("arm", ["uniform_kl", "near", "rounds"])
def test_an_arm_comes_out_as_it_would_alone_bit_for_bit(made, tmp_path, arm):
    name, folder = made
    league = read_league(name)
    chosen = next(found for found in league.arms if found.name == arm)
    alone = seeded(league.experiment(league.settings[0], chosen, "final"), 0)
    run = execute(alone, "x", out=tmp_path / "r", backend="inline", address=None, progress=silent)
    row, summary = rows(folder)[arm, 0], read_json(run / "summary.json")
    assert row["student"] == fingerprint(open_student(run))
    assert row["raw"] == summary["student"]
    wire = summary["wire"]
    assert row["bytes"] == (wire["bytes_up"] + wire["bytes_down"]) / 4


def test_the_tables_say_what_the_cells_say(made):
    _, folder = made
    told = read_json(folder / "league.json")
    found = rows(folder)
    arms = {arm["name"]: arm for arm in told["settings"][0]["arms"]}
    values = [found["own", s]["raw"]["semantic_distance"] for s in (0, 1)]
    assert arms["own"]["raw"]["semantic_distance"]["mean"] == pytest.approx(np.mean(values))
    lines = list(csv.DictReader(io.StringIO((folder / "results.csv").read_text())))
    one = [r for r in lines if (r["arm"], r["seed"], r["metric"]) == ("near", "1", "accuracy")]
    assert [float(r["raw"]) for r in one] == [found["near", 1]["raw"]["accuracy"]]
    text = (folder / "results.md").read_text()
    assert all(arm["title"] in text for arm in arms.values())
    assert "Graded on test rows" in text
    page = (folder / "report.html").read_text()
    assert all(arm["title"] in page for arm in arms.values())
    assert not (folder / "runs").exists()
    assert not (folder / "features").exists()


def test_what_is_there_is_not_measured_again(made, tmp_path, monkeypatch):
    name, whole = made
    folder = tmp_path / "again"
    shutil.copytree(whole, folder)
    before = (folder / "league.json").read_bytes()
    lines = (folder / "cells.jsonl").read_bytes().splitlines(keepends=True)
    # The last cell was cut off while it was written, and the one before is lost.
    (folder / "cells.jsonl").write_bytes(b"".join(lines[:-2]) + lines[-1][:40])
    ran = []
    monkeypatch.setattr(
        "simulations.ranking.task.staged",
        lambda *words: ran.append(words[0].seed) or scene.staged(*words),
    )
    run_league(Call(name), folder, silent)
    assert len(ran) == 1
    assert untimed(folder / "league.json") == untimed_text(before)
    run_league(Call(name), folder, silent)
    assert len(ran) == 1


def test_processes_side_by_side_find_the_same(made, tmp_path):
    name, whole = made
    folder = run_league(Call(name), tmp_path / "two", silent, jobs=2)
    assert untimed(folder / "league.json") == untimed(whole / "league.json")
    assert sorted(rows(folder)) == sorted(rows(whole))
    assert (folder / "workers.log").exists()
    assert not (folder / "runs").exists()


def test_a_failure_in_another_process_keeps_its_kind(tmp_path):
    from simulations.ranking.task import Errand

    errand = Errand("knot_plus_search", "choose", "vader_k4", 100, 0, str(tmp_path), ("key",))
    assert Errand.read(errand.line()) == errand
    gone = {"name": "gone", "title": "gone", "experiment": "sick"}
    name = written(tmp_path / "l.toml", table(UNIFORM, settings=[SETTING, gone], seeds=[0]))
    folder = run_league(Call(name), tmp_path / "x", silent, jobs=2)
    assert "fedknot data fetch sick" in (folder / "results.md").read_text()
    assert set(rows(folder)) == {("uniform_kl", 0)}


def untimed(path):
    return untimed_text(path.read_bytes())


def untimed_text(text):
    def strip(found):
        if isinstance(found, dict):
            return {k: strip(v) for k, v in found.items() if k not in ("seconds", "key")}
        return [strip(v) for v in found] if isinstance(found, list) else found

    return strip(json.loads(text))


# --- stages


def test_choosing_never_opens_test_rows(tmp_path, monkeypatch):
    def refuse(*words):
        raise AssertionError("test rows were opened")

    monkeypatch.setattr(scene, "open_examination", refuse)
    monkeypatch.setattr(scene, "_on_test", refuse)
    name = written(tmp_path / "l.toml", table(UNIFORM, ROUNDS, TOGETHER))
    folder = run_league(Call(name, "choose"), tmp_path / "c", silent)
    assert read_json(folder / "league.json")["graded_on"] == "validation"
    found = rows(folder)
    assert {seed for _, seed in found} == {100}
    # 16 validation rows: an accuracy is a whole number of them.
    for row in found.values():
        assert row["raw"]["accuracy"] * 16 == pytest.approx(round(row["raw"]["accuracy"] * 16))
    with pytest.raises(FolderError, match="--stage choose"):
        run_league(Call(name, "final"), folder, silent)


def test_what_is_run_on_test_rows_is_frozen(made, tmp_path):
    _, whole = made
    folder = tmp_path / "f"
    shutil.copytree(whole, folder)
    other = written(tmp_path / "o.toml", table(UNIFORM))
    with pytest.raises(FolderError, match="frozen"):
        run_league(Call(other), folder, silent)


def test_a_league_without_seeds_is_for_choosing_only(tmp_path):
    name = written(tmp_path / "l.toml", table(UNIFORM, seeds=[], few=[]))
    with pytest.raises(ConfigError, match="--stage choose"):
        run_league(Call(name), tmp_path / "x", silent)


def test_a_setting_without_its_data_is_skipped_and_told(tmp_path, monkeypatch):
    from common.failures import DataError

    def missing(*words):
        raise DataError("sick is not here; write fedknot data fetch sick")

    monkeypatch.setattr("simulations.ranking.task.staged", missing)
    name = written(tmp_path / "l.toml", table(UNIFORM))
    folder = run_league(Call(name), tmp_path / "x", silent)
    assert "fedknot data fetch sick" in (folder / "results.md").read_text()


# --- intervals


def cells(values):
    """Rows of three arms with these accuracies and distances, by arm and seed."""
    return {
        (arm, seed): {
            "raw": {"accuracy": a, "semantic_distance": 1 - a},
            "fitted": {"semantic_distance": 1 - a},
            "sharpened": {},
            "bytes": None,
            "seconds": 1.0,
        }
        for arm, found in values.items()
        for seed, a in enumerate(found)
    }


def test_intervals_are_corrected_for_the_arms_by_hand():
    values = [0.50, 0.52, 0.55, 0.49, 0.51]
    found = summarised([{"accuracy": v} for v in values], 7)["accuracy"]
    error = np.std(values, ddof=1) / np.sqrt(5)
    assert found["half"] == pytest.approx(stats.t.ppf(0.975, 4) * error)
    assert found["half_corrected"] == pytest.approx(stats.t.ppf(1 - 0.05 / 7 / 2, 4) * error)
    assert summarised([{"accuracy": 0.5}], 7)["accuracy"]["half"] is None


def test_differences_are_taken_within_a_seed_and_corrected_by_holm():
    seeds = [0, 1, 2, 3]
    two = {"name": "two", "title": "two"}
    three = {"name": "three", "title": "three", "set": ["server.loss = 'kl'"]}
    league = load(League, table(UNIFORM, two, three, seeds=seeds))
    values = {
        "uniform_kl": [0.40, 0.42, 0.41, 0.43],
        "two": [0.50, 0.521, 0.512, 0.529],
        "three": [0.41, 0.40, 0.42, 0.42],
    }
    told = tabulate("x", league, "final", {"tiny": cells(values)}, {})
    found = {
        (arm["name"], d["measure"]): d
        for arm in told["settings"][0]["arms"]
        for d in arm["differences"]
    }
    assert len(found) == 6
    tests = {}
    for name, measure in found:
        sign = 1 if measure == "accuracy" else -1
        gaps = sign * (np.array(values[name]) - np.array(values["uniform_kl"]))
        assert found[name, measure]["mean"] == pytest.approx(gaps.mean())
        tests[name, measure] = stats.ttest_1samp(gaps, 0).pvalue
    ranked = sorted(tests.values())
    adjusted, worst = [], 0.0
    for rank, p in enumerate(ranked):
        worst = max(worst, min(1.0, (6 - rank) * p))
        adjusted.append(worst)
    assert sorted(d["p_holm"] for d in found.values()) == pytest.approx(adjusted)
    # Of "two" all intervals leave out zero, of "three" none.
    for (name, _), d in found.items():
        assert (d["low"] > 0 or d["high"] < 0) == (name == "two")


def test_how_much_of_the_gap_is_closed():
    arms = [UNIFORM, TOGETHER, {"name": "own", "title": "own"}]
    league = load(League, table(*arms, references=["uniform_kl", "centralised"]))
    values = {"uniform_kl": [0.3, 0.4], "centralised": [0.5, 0.6], "own": [0.45, 0.55]}
    told = tabulate("x", league, "final", {"tiny": cells(values)}, {})
    own = next(arm for arm in told["settings"][0]["arms"] if arm["name"] == "own")
    assert own["gap_closed"]["accuracy"] == pytest.approx(0.75)
    assert own["gap_closed"]["distance"] == pytest.approx(0.75)


# --- the command


@pytest.fixture
def fedknot(monkeypatch, capsys):
    def call(*words):
        monkeypatch.setattr(sys, "argv", ["fedknot", *words])
        code = cli._call()
        return code, *capsys.readouterr()

    return call


def test_the_command_runs_a_league_and_refuses_what_means_nothing(tmp_path, fedknot):
    name = written(tmp_path / "l.toml", table(UNIFORM))
    words = ["sweep", name, "--seeds", "1", "--only", "tiny", "--out", str(tmp_path / "o")]
    code, out, _ = fedknot(*words, "--json")
    assert code == 0
    assert json.loads(out)["settings"][0]["arms"][0]["seeds"] == [1]
    for wrong, told in (
        ([*words, "--vary", "num_rounds = [1]"], "--vary"),
        (["sweep", "quick", "--stage", "choose"], "--stage"),
        ([*words[:2], "--only", "huge"], "huge"),
        ([*words[:2], "--seeds", "9"], "seed 9"),
    ):
        code, _, err = fedknot(*wrong)
        assert code == 2
        assert told in err


def test_equal_definitions_have_equal_digests():
    league = load(League, table(UNIFORM))
    assert league.digest("final") == load(League, dump(league)).digest("final")
    assert league.digest("final") != load(League, table(UNIFORM, seeds=[0])).digest("final")
