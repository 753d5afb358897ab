"""``fedknot sweep`` from end to end: the grid, failures, interruptions, tables, report."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from html.parser import HTMLParser

import numpy as np
import pytest
from scipy import stats

from common.failures import KINDS
from common.files import read_json
from common.metrics import METRICS
from simulations import cli, sweep
from simulations.events import silent
from simulations.folder import summary_of
from simulations.runner import execute
from simulations.sweeping import sweep as sweeping
from simulations.sweeping.asked import Asked, sweeps, typed
from simulations.sweeping.grid import cells
from simulations.sweeping.sweep import How, complaint
from tests.worlds import TINY, tiny_with

SMALL = [word for override in TINY for word in ("--set", override)]
LOSSES = "server.loss = ['transport', 'kl']"
DAMPED = "server.schedule = [{ steps = 2 }, { steps = 4 }]"


@pytest.fixture
def fedknot(monkeypatch, capsys):
    def call(*words):
        monkeypatch.setattr(sys, "argv", ["fedknot", *map(str, words)])
        code = cli._call()
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture
def swept(fedknot):
    return lambda *words: fedknot("sweep", "synthetic", *SMALL, *words)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sweep") / "out"
    sweeping.sweep(asked(LOSSES, DAMPED, seeds=(0, 1)), folder, How(jobs=2), silent)
    return folder


def asked(*vary, seeds=(0,), overrides=()):
    return typed("synthetic", vary, seeds, [*TINY, *overrides])


def table(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_results_have_a_line_for_each_cell_and_metric(finished):
    rows = table(finished / "results.csv")
    keys = ["experiment", "seed", "server.loss", "server.schedule", "metric", "raw", "fitted"]
    assert list(rows[0]) == keys
    made = read_json(finished / "sweep.json")
    assert [(c["seed"], *c["values"]) for c in made["cells"]] == [
        (seed, loss, steps)
        for loss in ("transport", "kl")
        for steps in ("(steps=2)", "(steps=4)")
        for seed in (0, 1)
    ]
    for cell in made["cells"]:
        run = summary_of(finished / "cells" / cell["name"])
        assert run["status"] == "complete"
        assert cell["raw"] == run["student"]
        assert cell["student"] == run["hashes"]["student"]
    found = {row["metric"] for row in rows}
    assert found <= set(METRICS)
    assert {"accuracy", "macro_f1", "semantic_distance", "ece"} <= found


def test_figures_at_the_fitted_temperature_agree_with_the_run(finished):
    for cell in read_json(finished / "sweep.json")["cells"]:
        raw, fitted = cell["raw"], cell["fitted"]
        assert fitted["semantic_distance"] == raw["semantic_distance_at_temperature"]
        assert fitted["accuracy"] == raw["accuracy"]
        assert "temperature" not in fitted


def test_a_cell_is_the_run_that_it_says(finished, tmp_path):
    """Teachers were lent to it, and nothing came out differently."""
    cell = next(
        c
        for c in read_json(finished / "sweep.json")["cells"]
        if c["values"] == ["kl", "(steps=2)"] and c["seed"] == 1
    )
    made = tiny_with("server.loss = 'kl'; server.schedule = { steps = 2 }; seed = 1")
    alone = execute(
        made, "x", out=tmp_path / "run", backend="inline", address=None, progress=silent
    )
    assert summary_of(alone)["hashes"]["student"] == cell["student"]
    assert summary_of(alone)["student"] == cell["raw"]


def test_intervals_over_seeds_are_students(finished):
    rows = table(finished / "results.csv")
    for mean in table(finished / "means.csv"):
        keys = ("server.loss", "server.schedule", "metric")
        same = [row for row in rows if all(row[key] == mean[key] for key in keys)]
        for state in ("raw", "fitted"):
            values = [float(row[state]) for row in same if row[state]]
            if not values:
                assert mean[f"{state}_mean"] == ""
                continue
            assert float(mean[f"{state}_mean"]) == pytest.approx(np.mean(values))
            assert float(mean[f"{state}_std"]) == pytest.approx(np.std(values, ddof=1))
            error = stats.sem(values)
            if error:
                low, high = stats.t.interval(0.95, len(values) - 1, np.mean(values), error)
                assert float(mean[f"{state}_low"]) == pytest.approx(low)
                assert float(mean[f"{state}_high"]) == pytest.approx(high)


def test_what_is_private_is_gone(finished):
    names = {path.name for path in finished.iterdir()}
    assert "teachers" not in names
    for cell in (finished / "cells").iterdir():
        kept = {path.name for path in cell.rglob("*")}
        assert {"experiment.toml", "summary.json", "clients.csv", "rounds.jsonl"} <= kept
        assert not kept & {"shard.jsonl", "teacher.safetensors", "transfer.jsonl", "split.json"}


def test_the_parquet_file_holds_the_same(finished):
    pytest.importorskip("pyarrow")
    import pandas as pd

    both = (
        pd.read_parquet(finished / "results.parquet"),
        pd.read_csv(finished / "results.csv", keep_default_na=False, na_values=[""]),
    )
    pd.testing.assert_frame_equal(*both)


class Page(HTMLParser):
    """Everything a page would load, and its headings."""

    def __init__(self, text):
        super().__init__()
        self.loaded, self.pictures = [], 0
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.pictures += tag == "svg"
        links = dict(attrs)
        self.loaded += [tag] if tag in ("script", "link", "iframe") else []
        refs = [links.get(key) or "" for key in ("src", "href")]
        self.loaded += [ref for ref in refs if ref and not ref.startswith(("#", "data:"))]


def test_the_report_is_one_page_with_pictures(finished):
    text = (finished / "report.html").read_text()
    page = Page(text)
    assert page.loaded == []
    assert page.pictures == 4 + 6  # a picture a metric, and a heat map for each of its states
    assert "Student's, over seeds" in text
    assert "<code>server.loss</code>: transport; kl" in text


def test_a_second_call_runs_nothing(finished):
    before = {p: p.stat().st_mtime_ns for p in (finished / "cells").rglob("*")}
    told = []
    sweeping.sweep(
        asked(LOSSES, DAMPED, seeds=(0, 1)), finished, How(), lambda *event: told.append(event)
    )
    assert told == []
    assert {p: p.stat().st_mtime_ns for p in (finished / "cells").rglob("*")} == before


def test_a_failed_cell_is_told_and_the_others_go_on(swept, fedknot, tmp_path):
    out = tmp_path / "sweep"
    words = ["--vary", "data.num_clients = [3, 4]", "--seeds", "0", "--out", out]
    code, printed, err = swept(*words)
    assert code == 2  # the one that all failures have in common
    assert err.count("\n") == 1
    assert "1 of 2 cells failed: num_clients=3,seed=0-" in err
    assert f"fedknot sweep --resume {out}" in err
    assert "num_clients 3 (1 of 1 failed)" in printed
    failed, done = table(out / "cells.csv")
    assert (failed["status"], failed["exit_code"]) == ("failed", "2")
    assert "write 4 or a multiple" in failed["reason"]
    assert (done["status"], done["exit_code"], done["reason"]) == ("complete", "0", "")
    assert {row["data.num_clients"] for row in table(out / "results.csv")} == {"4"}
    assert "write 4 or a multiple" in (out / "report.html").read_text()
    again = fedknot("sweep", "--resume", out, "--json")
    assert again[0] == 2
    assert json.loads(again[1])["status"] == "failed"


@pytest.mark.slow
def test_a_process_that_dies_takes_only_its_cell(monkeypatch, tmp_path):
    """A student whose training needs more memory than there is, is killed; so is this one."""
    from simulations.crews import crew

    told = crew.Worker.do

    def struck(self, order):
        if order.experiment.seed == 0:
            self._process.kill()
        return told(self, order)

    monkeypatch.setattr(crew.Worker, "do", struck)
    out = tmp_path / "sweep"
    sweeping.sweep(asked(seeds=(0, 1)), out, How(), silent)
    made = read_json(out / "sweep.json")
    assert [c["status"] for c in made["cells"]] == ["failed", "complete"]
    assert made["cells"][0]["exit_code"] == 1
    assert "cells.log" in made["cells"][0]["reason"]
    monkeypatch.undo()
    sweeping.sweep(asked(seeds=(0, 1)), out, How(), silent)
    assert complaint(read_json(out / "sweep.json"), out) is None


def test_failures_of_several_kinds_are_exit_code_1(finished):
    made = read_json(finished / "sweep.json")
    for cell, code in zip(made["cells"], (2, 4, 2), strict=False):
        cell |= {"status": "failed", "exit_code": code, "reason": "why"}
    said = complaint(made, finished)
    assert said.exit_code == 1
    assert str(said).startswith("3 of 8 cells failed: ")
    for cell in made["cells"]:
        if cell["exit_code"] == 2:
            cell |= {"exit_code": 4}
    assert isinstance(complaint(made, finished), KINDS[4])


def test_a_grown_grid_keeps_the_cells_that_fit(finished, tmp_path):
    out = shutil.copytree(finished, tmp_path / "sweep")
    first = {p.name: p.stat().st_mtime_ns for p in (out / "cells").iterdir()}
    less = "server.schedule = [{ steps = 4 }, { steps = 2 }, { steps = 3 }]"
    grown = asked("server.loss = ['kl']", less)
    sweeping.sweep(grown, out, How(), silent)
    then = {p.name: p.stat().st_mtime_ns for p in (out / "cells").iterdir()}
    assert then.items() > first.items()
    assert len(then) == len(first) + 1
    rows = table(out / "results.csv")
    assert list(dict.fromkeys(row["server.schedule"] for row in rows)) == [
        "(steps=4)",
        "(steps=2)",
        "(steps=3)",
    ]
    assert {row["seed"] for row in rows} == {"0"}


def test_another_experiment_in_the_folder_is_refused_with_the_difference(
    fedknot, finished, tmp_path
):
    words = ["--vary", LOSSES, "--set", "wire.bits = 4", "--out", finished]
    before = (finished / "sweep.toml").read_bytes()
    code, _, err = fedknot("sweep", "synthetic", *SMALL, *words)
    assert code == 6
    assert "wire.bits: 8 -> 4" in err
    assert (finished / "sweep.toml").read_bytes() == before
    (tmp_path / "thesis.txt").write_text("years of work")
    code, _, err = fedknot("sweep", "quick", "--out", tmp_path)
    assert code == 6
    assert "exists and is not empty" in err


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["quik"], "did you mean 'quick'"),
        ([], "say what to sweep: quick"),
        (["synthetic", "--vary", "data.num_clients = 4"], "write a list of values"),
        (["synthetic", "--vary", "data.num_clients = []"], "write a list of values"),
        (["synthetic", "--vary", "data.num_clients = [4, 4]"], "twice"),
        (["synthetic", "--vary", "seed = [1]"], "--seeds 0,1,2"),
        (["synthetic", "--vary", "data.num_client = [4]"], "did you mean 'num_clients'"),
        (["synthetic", "--vary", "data.num_clients = [0]"], "num_clients = 0"),
        (["synthetic", "--vary", "server.loss = [kl]"], "strings in quotes"),
        (["synthetic", "--vary", "server.loss = ['kl', { kind = 'kl' }]"], "the same experiment"),
        (["synthetic", "--seeds", "1,1"], "different whole numbers"),
        (["nowhere.toml"], "no experiment file nowhere.toml"),
        (["quick", "--jobs", "0"], "x>=1"),
        (["quick", "--resume", "somewhere"], "leave out"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_begun(fedknot, tmp_path, words, hint):
    out = [] if "--resume" in words else ["--out", tmp_path / "sweep"]
    code, printed, err = fedknot("sweep", *words, *out)
    assert (code, printed, err.count("\n")) == (2, "", 1)
    assert hint in err
    assert not (tmp_path / "sweep").exists()


def test_resume_needs_the_folder_of_a_sweep(fedknot, tmp_path):
    code, _, err = fedknot("sweep", "--resume", tmp_path)
    assert code == 6
    assert "not the folder of a sweep" in err


def test_every_shipped_sweep_is_one():
    for name in sweeps():
        grid = cells(typed(name))
        assert len(grid) > 1
        assert len({cell.name for cell in grid}) == len(grid)


def test_names_are_safe_and_the_same_in_every_grid():
    one = "server.loss = [{ kind = 'sinkhorn', epsilon = 0.05 }, 'kl']"
    grid = cells(asked(one, "data.transfer_fraction = [0.25, 0.5]"))
    assert grid[0].name.startswith("loss=sinkhorn-epsilon-0.05,transfer_fraction=0.25,seed=0-")
    assert all(set(cell.name) <= SAFE for cell in grid)
    alone = {cell.name[-8:] for cell in cells(asked(one))}  # 0.25 is what it is anyway
    assert alone < {cell.name[-8:] for cell in grid}


SAFE = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.+_-=,")


def test_keys_of_one_name_are_told_apart():
    grid = cells(asked("clients.teacher.hidden = [2]", "server.student.hidden = [4]"))
    assert grid[0].name.startswith("clients.teacher.hidden=2,server.student.hidden=4,")


def test_a_sweep_file_of_a_users(tmp_path):
    (tmp_path / "mine.toml").write_text('num_rounds = 1\n[data]\ndataset = "synthetic"\n')
    path = tmp_path / "grid.toml"
    path.write_text(
        'experiment = "mine.toml"\nset = ["wire.bits = 4"]\nseeds = [3]\n'
        "[vary]\ndata.num_clients = [4, 8]\n"
    )
    made = typed(str(path), ["wire.bits = [2, 8]"], None, ["k_min = 2"])
    assert isinstance(made, Asked)
    assert made.vary == (("data.num_clients", (4, 8)), ("wire.bits", (2, 8)))
    found = [(c.seed, c.experiment.data.num_clients, c.experiment.k_min) for c in cells(made)]
    assert found == [(3, 4, 2), (3, 4, 2), (3, 8, 2), (3, 8, 2)]
    assert {c.experiment.wire.bits for c in cells(made)} == {2, 8}


def test_from_python(tmp_path):
    made = sweep(
        "synthetic",
        vary={"server.loss": ["kl", {"kind": "sinkhorn", "epsilon": 0.1}]},
        seeds=[3],
        overrides=list(TINY),
        out=tmp_path / "sweep",
        keep="all",
    )
    assert made.summary["status"] == "complete"
    assert list(made.cells["server.loss"]) == ["kl", "sinkhorn(epsilon=0.1)"]
    assert set(made.results["seed"]) == {3}
    assert set(made.means["n"]) == {1}
    assert made.means["raw_std"].isna().all()
    whole = tmp_path / "sweep" / made.cells["folder"][0]
    assert (whole / "clients" / "0" / "teacher.safetensors").exists()
    cells = made.summary["cells"]
    if cells[0]["program"] == cells[1]["program"]:  # nobody edits it just now
        other = tmp_path / "sweep" / made.cells["folder"][1]
        lent = "clients/0/teacher.safetensors"
        assert os.path.samefile(whole / lent, other / lent)


def _started(out, *words):
    call = [sys.executable, "-c", "from simulations.cli import main; main()", "sweep", "synthetic"]
    call += [*SMALL, "--vary", LOSSES, "--seeds", "0,1,2", "--out", str(out), *words]
    return subprocess.Popen(call, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)


def _until_some_are_done(process, out, some=1):
    end = time.monotonic() + 120
    while time.monotonic() < end:
        done = len(list(out.glob("cells/*/figures.json")))
        begun = len(list(out.glob("cells/*/experiment.toml")))
        if done >= some and begun > done:
            return
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.01)
    raise TimeoutError


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed") / "out"
    sweeping.sweep(asked(LOSSES, seeds=(0, 1, 2)), folder, How(), silent)
    return (folder / "results.csv").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, 2])
def test_a_killed_sweep_goes_on_to_the_same_results(undisturbed, tmp_path, jobs):
    out = tmp_path / "sweep"
    process = _started(out, "--jobs", str(jobs))
    _until_some_are_done(process, out)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stderr.close()
    kept = {p: p.stat().st_mtime_ns for p in out.glob("cells/*/figures.json")}
    assert 0 < len(kept) < 6
    assert not (out / "results.csv").exists()
    sweeping.sweep(asked(LOSSES, seeds=(0, 1, 2)), out, How(), silent)
    assert (out / "results.csv").read_bytes() == undisturbed
    assert all(p.stat().st_mtime_ns == when for p, when in kept.items())


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_sweep_can_be_gone_on_with(fedknot, undisturbed, tmp_path, number, code):
    out = tmp_path / "sweep"
    process = _started(out)
    _until_some_are_done(process, out)
    process.send_signal(number)
    err = process.communicate(timeout=60)[1]
    assert process.returncode == code
    assert err in ("fedknot: interrupted\n", "fedknot: terminated\n")
    left = [p for p in out.glob("cells/*/summary.json") if read_json(p)["status"] != "complete"]
    assert [read_json(p)["status"] for p in left] in ([], ["interrupted"])
    assert not (out / "lock").exists()
    assert fedknot("sweep", "--resume", out, "--quiet") == (0, f"{out / 'report.html'}\n", "")
    assert (out / "results.csv").read_bytes() == undisturbed


@pytest.mark.slow
def test_two_sweeps_cannot_have_one_folder(fedknot, tmp_path):
    out = tmp_path / "sweep"
    process = _started(out)
    try:
        _until_some_are_done(process, out)
        code, _, err = fedknot("sweep", "--resume", out)
        assert code == 6
        assert "in use" in err
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert os.path.isdir(out / "cells")
