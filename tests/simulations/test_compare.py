"""``fedknot compare`` from end to end, on a small synthetic world."""

import csv
import json
import shutil
import socket
import sys
from dataclasses import replace

import numpy as np
import psutil
import pytest
from scipy import stats

from common.configure import find, kind_of, kinds
from common.failures import ConfigError
from common.files import read_json, read_lines
from common.seeds import stream
from server.geometries import Geometry
from server.geometries.given import Given
from server.geometries.permuted import Permuted
from server.losses import DistillationLoss
from server.losses.kl import Kl
from server.losses.transport import Transport
from server.weightings import Weighting
from simulations import cli
from simulations.comparing.arms import Arm
from simulations.comparing.choices import Asked, choose, split_list
from simulations.comparing.comparison import Call, arm_row, compare
from simulations.comparing.files import lines
from simulations.comparing.lineup import Entry, line_up
from simulations.comparing.replay import open_replay
from simulations.comparing.report import build_compare_report
from simulations.comparing.standings import standings
from simulations.events import silent
from simulations.runner import execute
from tests.worlds import TINY, tiny_with

SMALL = [word for override in TINY for word in ("--set", override)]


@pytest.fixture
def fedknot(monkeypatch, capsys):
    def call(*words):
        monkeypatch.setattr(sys, "argv", ["fedknot", *map(str, words)])
        code = cli._call()
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture
def compared(fedknot):
    return lambda *words: fedknot("compare", "synthetic", *SMALL, *words)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compare") / "out"
    compare(call(), folder, silent)
    return folder


def call(*overrides, seeds=(0, 1), **lists):
    made = tiny_with("bounds = true", *overrides)
    return Call(made, "synthetic", Asked(**lists), seeds, "inline")


def arms(folder):
    return {arm["name"]: arm for arm in read_json(folder / "compare.json")["arms"]}


def test_controls_are_there_without_being_asked(finished):
    found = {name: arm["role"] for name, arm in arms(finished).items()}
    asked = [f"{w} + {x}" for w in ("knot", "uniform") for x in ("transport", "kl", "symmetric_kl")]
    controls = [
        f"{w} + transport, {g}" for w in ("knot", "uniform") for g in ("permuted", "discrete")
    ]
    assert found == dict.fromkeys(asked, "asked") | dict.fromkeys(controls, "control")


def test_an_arm_is_what_a_whole_run_would_have_been(finished, tmp_path):
    server = "server.loss = 'transport'; server.geometry = 'discrete'; server.weighting = 'uniform'"
    experiment = tiny_with(server, "seed = 1")
    folder = execute(
        experiment, "x", out=tmp_path / "run", backend="inline", address=None, progress=silent
    )
    arm = arms(finished)["uniform + transport, discrete"]["per_seed"]["1"]
    summary = read_json(folder / "summary.json")
    assert arm["student"] == summary["hashes"]["student"]
    assert arm["raw"] == summary["student"]


def test_the_own_arm_is_checked_against_the_run(finished):
    made = read_json(finished / "compare.json")
    for seed, student in made["base"]["students"].items():
        run = read_json(finished / "seeds" / seed / "summary.json")
        assert student == run["hashes"]["student"]
        assert arms(finished)[made["base"]["arm"]]["per_seed"][seed]["raw"] == run["student"]


def test_figures_at_the_fitted_temperatures_are_those_of_the_metrics(finished):
    for arm in arms(finished).values():
        for found in arm["per_seed"].values():
            raw, distance = found["raw"], "semantic_distance"
            assert found["fitted"][distance] == raw[f"{distance}_at_temperature"]
            assert found["sharpened"][distance] == raw[f"{distance}_at_sharpening_temperature"]
            assert found["fitted"]["accuracy"] == raw["accuracy"]


def test_differences_are_paired_and_corrected_together(finished):
    made = read_json(finished / "compare.json")
    every = [d for arm in made["arms"] for d in arm["differences"]]
    assert made["comparisons"] == len(every) == 2 * 4 * 4
    found = arms(finished)
    arm = found["knot + transport"]
    control = found[arm["controls"]["permuted"]]
    seeds = list(map(str, made["seeds"]))
    for d in arm["differences"]:
        if (d["control"], d["measure"]) == ("permuted", "fitted"):
            one, other = (
                [a["per_seed"][s]["fitted"]["semantic_distance"] for s in seeds]
                for a in (arm, control)
            )
            assert d["values"] == (np.array(one) - np.array(other)).tolist()
            assert d["p"] == pytest.approx(stats.ttest_rel(one, other).pvalue)
    smallest = min(every, key=lambda d: d["p"])
    assert smallest["p_holm"] == pytest.approx(min(1, len(every) * smallest["p"]))


def test_means_and_deviations(finished):
    arm = arms(finished)["knot + kl"]
    column = [found["raw"]["w1"] for found in arm["per_seed"].values()]
    assert arm["mean"]["raw"]["w1"] == pytest.approx(np.mean(column))
    assert arm["std"]["raw"]["w1"] == pytest.approx(np.std(column, ddof=1))


def test_every_arm_with_geometry_has_one_sentence(finished):
    for name, arm in arms(finished).items():
        expected = "transport" in name and arm["role"] == "asked"
        assert (arm["verdict"] is not None) == expected
        if expected:
            assert arm["verdict"]["sentence"].startswith(f"{name}: ")


def test_results_csv_is_as_promised(finished):
    with (finished / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    header = "experiment,seed,loss,weighting,aggregator,geometry,metric,raw,fitted"
    assert ",".join(rows[0]) == header
    found = arms(finished)["uniform + transport, permuted"]["per_seed"]["1"]
    picked = {
        row["metric"]: row
        for row in rows
        if (row["seed"], row["weighting"], row["geometry"]) == ("1", "uniform", "permuted")
    }
    assert float(picked["nll"]["raw"]) == found["raw"]["nll"]
    assert float(picked["nll"]["fitted"]) == found["fitted"]["nll"]
    assert picked["temperature"]["fitted"] == ""
    assert {row["geometry"] for row in rows} == {"given", "none", "permuted", "discrete"}


def test_the_table_is_short_and_ends_with_verdicts_and_the_report(compared, finished):
    code, out, err = compared("--set", "bounds = true", "--seeds", "0,1", "--out", finished)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[-1] == f"report: {finished / 'report.html'}"
    assert lines[2].split()[3:] == ["accuracy", "macro-F1", "SD", "SD", "at", "T", "W1", "ECE"]
    assert lines.index("", 2) <= 25
    assert [line.split(":")[0] for line in lines if "+ transport:" in line] == [
        "knot + transport",
        "uniform + transport",
    ]
    assert "centralised bound" in out


def test_json_and_quiet(compared, finished):
    words = ["--set", "bounds = true", "--seeds", "0,1", "--out", finished]
    code, out, err = compared(*words, "--json")
    assert (code, err, json.loads(out)) == (0, "", read_json(finished / "compare.json"))
    assert compared(*words, "--quiet") == (0, f"{finished / 'report.html'}\n", "")


def test_a_finished_folder_is_not_computed_again(finished):
    before = {name: (finished / name).read_bytes() for name in ("arms.jsonl", "compare.json")}
    compare(call(), finished, silent)
    assert before == {name: (finished / name).read_bytes() for name in before}
    assert not (finished / "lock").exists()


class Stopped(KeyboardInterrupt):
    pass


def test_interrupted_anywhere_it_goes_on_to_the_same_end(finished, tmp_path):
    def stop(phase, done, total):
        if done == 12:
            raise Stopped

    with pytest.raises(Stopped):
        compare(call(), tmp_path, stop)
    arms_file = tmp_path / "arms.jsonl"
    assert len(read_lines(arms_file)) == 12
    # A line that was being written, and a base run that had not ended.
    whole = arms_file.read_bytes()
    arms_file.write_bytes(whole + b'{"key": "ab')
    (tmp_path / "seeds" / "1" / "summary.json").unlink()
    compare(call(), tmp_path, silent)
    assert arms_file.read_bytes().startswith(whole)
    assert len(read_lines(arms_file)) == 20
    assert (tmp_path / "compare.json").read_bytes() == (finished / "compare.json").read_bytes()
    assert (tmp_path / "report.html").read_bytes() == (finished / "report.html").read_bytes()


def test_more_seeds_and_arms_go_into_the_same_folder(tmp_path):
    compare(call(seeds=(0,), losses="kl", weightings="knot"), tmp_path, silent)
    first = (tmp_path / "arms.jsonl").read_bytes()
    assert len(read_lines(tmp_path / "arms.jsonl")) == 3
    assert [arm["role"] for arm in arms(tmp_path).values()] == ["asked", "control", "base"]
    compare(call(seeds=(0, 1), weightings="knot"), tmp_path, silent)
    assert (tmp_path / "arms.jsonl").read_bytes().startswith(first)
    assert len(read_lines(tmp_path / "arms.jsonl")) == 2 * 5


def test_one_seed_has_no_interval_and_says_so(tmp_path):
    compare(call(seeds=(3,), losses="transport", weightings="knot"), tmp_path, silent)
    arm = arms(tmp_path)["knot + transport"]
    assert arm["std"]["raw"]["w1"] is None
    assert arm["differences"][0]["low"] is None
    assert arm["verdict"]["finding"] == "one_seed"


def test_another_experiment_does_not_get_the_folder(compared, finished):
    words = ["--set", "bounds = true; server.schedule.steps = 5", "--out", finished]
    code, out, err = compared(*words)
    assert (code, out) == (6, "")
    assert "begun with server.schedule.steps = 4, now it is 5" in err


def test_a_folder_of_something_else_is_left_alone(compared, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    code, _, err = compared("--out", tmp_path)
    assert code == 6
    assert "exists and is not empty" in err
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_folder_in_use_is_refused(compared, tmp_path):
    me = psutil.Process()
    owner = {"pid": me.pid, "host": socket.gethostname(), "started": me.create_time()}
    (tmp_path / "lock").write_text(json.dumps(owner))
    code, _, err = compared("--out", tmp_path)
    assert code == 6
    assert "is in use" in err
    assert read_json(tmp_path / "lock") == owner


def test_an_arm_that_is_not_the_run_is_found_out(compared, finished, tmp_path):
    folder = shutil.copytree(finished, tmp_path / "copy")
    rows = read_lines(folder / "arms.jsonl")
    rows[0]["student"] = "00" * 32
    (folder / "arms.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = ["--set", "bounds = true", "--seeds", "0,1", "--out", folder]
    code, out, err = compared(*words)
    assert (code, out) == (7, "")
    assert "seed 0: the run's own arm gives another student" in err
    (folder / "arms.jsonl").write_text("")
    release = folder / "seeds" / "0" / "releases" / "1" / "2.bin"
    release.write_bytes(release.read_bytes()[:-1] + b"\x00")
    code, _, err = compared(*words)
    assert code == 6
    assert "has been changed" in err
    (folder / "arms.jsonl").write_text("not json\n")
    assert compared(*words)[0] == 6


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["--losses", "symmetric-kl"], "did you mean 'symmetric_kl'"),
        (["--losses", "{ kind = 'sinkhorn', epsilom = 1 }"], "did you mean 'epsilon'"),
        (["--losses", "{ kind = 'sinkhorn'"], "is not TOML"),
        (["--losses", "{ epsilon = 1.0 }"], "say which kind"),
        (["--losses", ","], "nothing to compare"),
        (["--weightings", "knott"], "did you mean 'knot'"),
        (["--aggregators", "keepall"], "did you mean 'keep_all'"),
        (["--geometries", "givn"], "did you mean 'given'"),
        (["--seeds", "0,0"], "--seeds"),
        (["--seeds", "0;1"], "write 0,1,2"),
        (["--seeds", ""], "write 0,1,2"),
        (["--los", "kl"], "--los"),
        (["--backend", "rai"], "'ray', 'inline', 'auto'"),
        (["--set", "num_round = 1"], "did you mean 'num_rounds'"),
    ],
)
def test_bad_input_is_one_line(compared, tmp_path, words, hint):
    code, out, err = compared(*words, "--out", tmp_path / "out")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert hint in err
    assert not (tmp_path / "out").exists()


def test_what_clients_do_not_disclose_cannot_be_compared(compared, tmp_path):
    for kind in kinds(Weighting):
        for name in find(Weighting, kind).needs & {"familiarity", "num_examples"}:
            code, _, err = compared("--weightings", kind, "--out", tmp_path / kind)
            assert code == 2
            assert f"write disclose = ['{name}']" in err


def test_an_arm_that_needs_the_bias_has_it_cross(tmp_path):
    made = call(
        "server.weighting = 'uniform'; num_rounds = 2",
        seeds=(0,),
        losses="kl",
        weightings="uniform, knot",
    )
    compare(made, tmp_path, silent)
    notes = " ".join(read_json(tmp_path / "compare.json")["notes"])
    assert "one round instead of 2" in notes
    assert "base runs weigh by knot" in notes
    assert read_json(tmp_path / "seeds" / "0" / "terms.json")["disclosed"] == ["bias"]


def lined_up(**lists):
    made = tiny_with("bounds = true")
    choices = choose(Asked(**lists), made)
    labels = made.data.dataset.load(stream(0, "data")).geometry
    server = made.server
    own = Arm(server.loss, server.weighting, server.aggregator, server.geometry)
    return choices, *line_up(choices, own, labels)


def test_all_means_every_kind_that_can_serve():
    choices, entries, notes = lined_up(losses="all", weightings="all", geometries="given,discrete")
    asked = [entry.arm for entry in entries if entry.role == "asked"]
    told = " ".join([*choices.notes, *notes])
    for family, key in ((DistillationLoss, "loss"), (Weighting, "weighting")):
        found = {kind_of(getattr(arm, key)) for arm in asked}
        assert found <= set(kinds(family))
        assert all(f"{kind} " in told for kind in set(kinds(family)) - found)
    assert all(entry.refused is None for entry in entries if entry.role == "asked")
    assert len({entry.name for entry in entries}) == len(entries)
    for arm in asked:
        assert (arm.geometry is not None) >= arm.loss.uses_geometry


def test_all_geometries_are_those_that_need_no_settings():
    choices = choose(Asked(geometries="all"), tiny_with())
    told = " ".join(choices.notes)
    found = [kind_of(geometry) for geometry in choices.geometries]
    assert {"given", "permuted", "discrete"} <= set(found)
    assert all(kind in found or f"{kind} is left out" in told for kind in kinds(Geometry))


def test_every_arm_with_geometry_has_its_own_controls():
    _, entries, _ = lined_up(losses="transport,kl", geometries="given, learned, permuted")
    names = {entry.arm: entry.name for entry in entries}
    held = {e.name: {k: names[a] for k, a in e.controls.items()} for e in entries if e.controls}
    assert held["knot + transport"] == {
        "kl": "knot + kl",
        "symmetric_kl": "knot + symmetric_kl",
        "permuted": "knot + transport, permuted",
        "discrete": "knot + transport, discrete",
    }
    learned = held["uniform + transport, learned"]
    assert learned["permuted"] == "uniform + transport, permuted of learned"
    assert not [name for name in held if name.endswith((", permuted", "kl"))]


def test_what_is_learned_sets_out_from_permuted_labels_in_its_control():
    _, entries, _ = lined_up(losses="transport", weightings="uniform", geometries="learned")
    labels = tiny_with().data.dataset.load(stream(0, "data")).geometry
    (arm,) = (e.arm for e in entries if e.name.endswith("permuted of learned"))
    plain = replace(arm, over=None).cost(labels)
    assert np.array_equal(arm.cost(labels).cost, Permuted().build(plain).cost)
    assert type(arm.cost(labels)) is type(plain)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("kl, transport", ["kl", "transport"]),
        ("{ kind = 'a', x = [1, 2] },b", ["{ kind = 'a', x = [1, 2] }", "b"]),
        ("{ kind = 'a', x = \"p,}q\" }, b,", ["{ kind = 'a', x = \"p,}q\" }", "b"]),
        (" , ", []),
    ],
)
def test_lists_are_cut_outside_of_braces_brackets_and_strings(text, parts):
    assert split_list(text) == parts


def test_inline_tables_are_arms_of_their_own_and_repetitions_are_not():
    _, entries, _ = lined_up(
        losses="kl,kl, { kind = 'sinkhorn', epsilon = 0.05 }, sinkhorn", weightings="uniform"
    )
    asked = [entry.name for entry in entries if entry.role == "asked"]
    assert asked == ["uniform + kl", "uniform + sinkhorn(epsilon=0.05)", "uniform + sinkhorn"]


def test_a_loss_that_cannot_serve_is_refused_by_name():
    with pytest.raises(ConfigError, match="server"):
        lined_up(losses="knot_geomloss", geometries="discrete")
    _, _, notes = lined_up(losses="all", geometries="discrete")
    start = "knot_geomloss with the discrete geometry is left out"
    assert any(note.startswith(start) for note in notes)


def test_an_aggregator_that_looks_at_geometry_is_held_against_the_mean(tmp_path):
    compare(
        call(seeds=(0,), losses="kl", weightings="uniform", aggregators="barycentre"),
        tmp_path,
        silent,
    )
    arm = arms(tmp_path)["uniform + kl, barycentre"]
    assert arm["controls"]["kl"] == "uniform + kl, mean"
    assert arm["controls"]["permuted"] == "uniform + kl, barycentre, permuted"
    assert arm["verdict"] is not None


def test_a_base_run_that_fails_leaves_the_folder_free(tmp_path):
    steep = "server.schedule = { steps = 40, learning_rate = 1e30 }"
    with pytest.raises(ConfigError, match="diverged"):
        compare(call(steep, seeds=(0,)), tmp_path, silent)
    assert not (tmp_path / "lock").exists()


def test_an_arm_that_cannot_learn_is_marked_and_stops_nothing(finished):
    made = tiny_with("seed = 0; bounds = true")
    steep = tiny_with("seed = 0; server.schedule = { steps = 40, learning_rate = 1e30 }")
    replay = replace(open_replay(finished / "seeds" / "0", made), experiment=steep)
    arm = Arm(Kl(), made.server.weighting, made.server.aggregator, None)
    row = arm_row(replay, arm)
    assert "diverged" in row["refused"]
    entry = Entry(arm, "knot + kl", "asked", None, {})
    own = Entry(Arm(Transport(), arm.weighting, arm.aggregator, Given()), "own", "base", None, {})
    good = read_lines(finished / "arms.jsonl")[0]
    found = standings("x", made, [0], [entry, own], {(arm, 0): row, (own.arm, 0): good})
    assert found["arms"][0]["refused"] == row["refused"]
    assert found["arms"][0]["mean"] is None
    page = build_compare_report(found | {"notes": [], "bounds": None})
    assert "training diverged" in page.replace("\n", " ")
    assert "not served" in page


def test_the_page_stands_alone(finished):
    made = read_json(finished / "compare.json")
    page = build_compare_report(made)
    assert page == build_compare_report(made) == (finished / "report.html").read_text("utf-8")
    assert "http" not in page
    assert "<script" not in page
    assert page.count("<svg") == 1 + 2
    for arm in made["arms"]:
        assert arm["name"] in page
        if arm["verdict"]:
            assert arm["verdict"]["sentence"].replace("'", "&#39;") in page
    assert "Nothing was selected on these figures" in page


def test_many_arms_are_cut_and_yardsticks_are_not(finished):
    made = read_json(finished / "compare.json")
    many = made | {"arms": made["arms"] * 4}
    table = lines(many, finished)
    table = table[3 : table.index("", 2)]
    assert len(table) == 19
    assert table[-1] == "and 25 more arms in report.html"
    assert table[-2].startswith("centralised bound")


def test_from_python(tmp_path):
    from simulations.results import compare as compare_from_python

    made = compare_from_python(
        "synthetic", overrides=TINY, seeds=[0], losses=["kl"], out=tmp_path / "out"
    )
    assert made.summary["seeds"] == [0]
    assert set(made.results["loss"]) == {"kl", "symmetric_kl", "transport"}
    assert made.folder == tmp_path / "out"
