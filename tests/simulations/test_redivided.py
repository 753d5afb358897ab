"""Whoever opens a run's data again finds what the run had, or refuses."""

import ast
import csv
from pathlib import Path

import pytest

import simulations
from common.configure import dump, load
from common.failures import CheckFailed, DataError, FolderError
from common.files import read_json, write_json
from common.terms import Terms
from simulations.attacks._game import SIZES
from simulations.attacks._stores import open_run
from simulations.comparing.replay import open_replay
from simulations.events import silent
from simulations.experiment import Experiment
from simulations.experiment_file import read
from simulations.finished import finished_run
from simulations.folder import summary_of
from simulations.identity import keep_identity
from simulations.observe import observe
from simulations.ranking.scene import _on_slice
from simulations.redivided import divide_again
from simulations.resumption import resume
from simulations.runner import execute
from simulations.sweeping.grading import grade
from simulations.verification import verify
from simulations.world import open_world
from tests.tables import LABELS, rows, write_csv
from tests.worlds import tiny_with

NAMES = LABELS["names"]
OTHER = dict(zip(NAMES, [*NAMES[1:], NAMES[0]], strict=True))
CHANGES = {
    "label": lambda row: row | {"label": OTHER[row["label"]]},
    "text": lambda row: row | {"text": row["text"][::-1]},
    "site": lambda row: row | {"site": f"far {row['site']}"},
    "bad": lambda row: row | {"bad": row["good"], "good": row["bad"]},
}
"""Of every row one cell, so that no row moves from one owner to another."""


def own_files(path):
    """An experiment on a table of the user's."""
    table = dump(tiny_with("data.partition = 'iid'"))
    gold = {"text": "text", "label": "label", "group": "site", "gold": NAMES}
    settings = {"paths": [str(path)], "labels": LABELS, "columns": gold}
    table["data"]["dataset"] = {"kind": "files"} | settings
    return load(Experiment, table)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A table, and a run on it."""
    home = tmp_path_factory.mktemp("own")
    votes = ({"bad": 1 + i % 5, "fair": 2, "good": 6} for i in range(240))
    path = write_csv(home / "own.csv", [row | v for row, v in zip(rows(240), votes, strict=True)])
    done = execute(
        own_files(path), "own", out=home / "run", backend="inline", address=None, progress=silent
    )
    return path, done


@pytest.fixture
def spoiled(made):
    """Change every row of the table; the test over, it is what it was."""
    path, _ = made
    whole = path.read_bytes()

    def spoil(column):
        with path.open(newline="") as file:
            found = list(csv.DictReader(file))
        write_csv(path, [CHANGES[column](row) for row in found])

    yield spoil
    path.write_bytes(whole)


def slice_of(run, experiment):
    _on_slice(experiment, run, Terms.read(run / "terms.json"))


OPENERS = {
    "the observer": lambda run, experiment: observe(run, silent),
    "yardsticks": lambda run, experiment: open_world(run),
    "compare and poison": open_replay,
    "attacks": lambda run, experiment: open_run(run, SIZES["quick"]),
    "sweeps": grade,
    "leagues": slice_of,
    "measure": lambda run, experiment: finished_run(experiment, "own", run, "inline"),
}


@pytest.mark.parametrize("opener", OPENERS)
@pytest.mark.parametrize("column", CHANGES)
def test_changed_data_is_refused(made, spoiled, opener, column):
    _, run = made
    before = (run / "summary.json").read_bytes()
    spoiled(column)
    with pytest.raises(DataError, match=r"the data (set )?has changed since") as refused:
        OPENERS[opener](run, read(str(run / "experiment.toml")))
    assert "\n" not in str(refused.value)
    assert (run / "summary.json").read_bytes() == before


@pytest.mark.parametrize("opener", OPENERS)
def test_unchanged_data_is_opened(made, opener):
    _, run = made
    student = summary_of(run)["student"]
    OPENERS[opener](run, read(str(run / "experiment.toml")))
    assert summary_of(run)["student"] == student


@pytest.mark.parametrize("part", ["clients", "transfer", "validation", "test"])
def test_rows_that_moved_are_refused(made, part):
    _, run = made
    whole = read_json(run / "split.json")
    other = dict(reversed(whole[part].items())) if part == "clients" else whole[part][1:]
    moved = {"0": other["1"], "1": other["0"]} if part == "clients" else {}
    table = whole | {part: whole[part] | moved if moved else other}
    write_json(run / "split.json", table)
    try:
        with pytest.raises(DataError, match="has changed since"):
            divide_again(run, read(str(run / "experiment.toml")))
    finally:
        write_json(run / "split.json", whole)


def test_a_folder_that_says_less_is_believed(made, spoiled):
    """Runs of earlier versions hold no hash of the data: nobody can know."""
    _, run = made
    whole = read_json(run / "split.json")
    spoiled("label")
    write_json(run / "split.json", {k: v for k, v in whole.items() if not k.endswith("_sha256")})
    try:
        divide_again(run, read(str(run / "experiment.toml")))
    finally:
        write_json(run / "split.json", whole)


def test_a_folder_without_a_split_is_one_line(made, tmp_path):
    _, run = made
    with pytest.raises(FolderError, match="missing or damaged") as refused:
        divide_again(tmp_path, read(str(run / "experiment.toml")))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("column", CHANGES)
def test_verify_says_that_it_is_the_data(made, spoiled, column):
    _, run = made
    spoiled(column)
    what = "texts and labels" if column in ("label", "text") else "groups and raters"
    with pytest.raises(CheckFailed, match=rf"the data set \({what}\) differs.*content of data"):
        verify(run, silent)


def test_an_interrupted_run_does_not_go_on_with_other_data(made, spoiled, tmp_path):
    path, _ = made

    def stop(phase, done, total):
        if phase == "distil":
            raise CheckFailed("here")

    def go_on():
        return resume(
            tmp_path / "run", None, None,
            backend=None, address=None, progress=silent, say=lambda line: None,
        )  # fmt: skip

    with pytest.raises(CheckFailed):
        execute(
            own_files(path), "own", out=tmp_path / "run",
            backend="inline", address=None, progress=stop,
        )  # fmt: skip
    whole = path.read_bytes()
    spoiled("label")
    with pytest.raises(FolderError, match=r"content of data\.dataset: .* put back what it was"):
        go_on()
    path.write_bytes(whole)
    assert summary_of(go_on())["status"] == "complete"


def test_a_saved_split_is_content_too(made, tmp_path):
    _, run = made
    path = tmp_path / "split.json"
    path.write_bytes((run / "split.json").read_bytes())
    table = dump(read(str(run / "experiment.toml")))
    table["data"]["partition"] = {"kind": "from_file", "path": str(path)}
    experiment = load(Experiment, table)
    keep_identity(tmp_path, experiment)
    before = read_json(tmp_path / "checkpoint" / "private" / "identity.json")["content"]
    assert set(before) == {"content of data.dataset", "content of data.partition"}
    path.write_text(path.read_text() + "\n")
    keep_identity(tmp_path, experiment)
    after = read_json(tmp_path / "checkpoint" / "private" / "identity.json")["content"]
    assert after != before
    path.unlink()  # what cannot be read is not known, and whoever needs it says so
    keep_identity(tmp_path, experiment)
    after = read_json(tmp_path / "checkpoint" / "private" / "identity.json")["content"]
    assert set(after) == {"content of data.dataset"}


UNCHECKED = {
    "provision.py": "makes it",
    "redivided.py": "checks it",
    "preview.py": "of an experiment that was not run",
    "attacks/_game.py": "likewise",
}


def test_nobody_divides_a_runs_data_without_looking():
    home = Path(simulations.__file__).parent
    calling = {
        path.relative_to(home).as_posix()
        for path in home.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "divide"
    }
    assert calling == set(UNCHECKED)
