"""R14, R30: another experiment or program is refused; folders of other versions are read or named.

What an earlier version left is what this one leaves, less what was added since. The list was
taken from folders that commits of the first days really made.
"""

import json
import shutil

import pytest

from common.files import read_json, write_json
from simulations import load
from simulations.folder import SCHEMA
from tests.reliability.commands import summary_of
from tests.reliability.conftest import run

ADDED = {
    "summary.json": ("faults", "intervals"),
    "checkpoint/server.json": ("audit_head",),
    "pictures.json": ("diagnostics", "transport"),
}
GONE = ("checkpoint/private", "checkpoint/1", "checkpoint/geometry.json")
GONE += ("checkpoint/weights.safetensors",)


@pytest.fixture
def earlier(undisturbed, tmp_path):
    """The folder of a run as the first version left it."""
    folder = shutil.copytree(undisturbed, tmp_path / "earlier")
    for name in GONE:
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    for name, keys in ADDED.items():
        table = read_json(folder / name)
        write_json(folder / name, {k: v for k, v in table.items() if k not in keys})
    return folder


def test_r30_a_folder_of_an_earlier_version_is_read(call, earlier):
    assert call("report", earlier).code == 0
    done = call("inspect", earlier, "--json")
    assert (done.code, done.err) == (0, "")
    assert len(json.loads(done.out)["messages"]) == 4
    result = load(earlier)
    assert list(result.clients["status"]) == ["answered"] * 4
    assert result.student(["any text"]).shape == (1, 3)
    assert call("run", "--resume", earlier, "--quiet").code == 0  # it is complete


def test_r30_a_folder_of_an_earlier_version_cannot_be_gone_on_with(call, earlier):
    (earlier / "summary.json").unlink()
    done = call("run", "--resume", earlier, "--quiet")
    assert done.code == 6
    assert done.is_one_line("by a version that could not resume", "--force-new-run")


@pytest.mark.parametrize("words", [("report",), ("inspect",), ("verify",)])
def test_r30_a_folder_of_a_later_version_is_one_line(call, undisturbed, tmp_path, words):
    folder = shutil.copytree(undisturbed, tmp_path / "later")
    write_json(folder / "summary.json", summary_of(folder) | {"schema": SCHEMA + 1})
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    done = call(*words, folder)
    assert (done.code, done.out) == (6, "")
    assert done.is_one_line(f"by a later version of fedknot (schema {SCHEMA + 1}", "install")
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_r30_a_folder_of_a_later_version_is_not_gone_on_with(call, undisturbed, tmp_path):
    """Whatever its status: it may be a run that this version cannot know to be complete."""
    folder = shutil.copytree(undisturbed, tmp_path / "later")
    write_json(folder / "summary.json", summary_of(folder) | {"schema": SCHEMA + 1})
    done = call("run", "--resume", folder, "--quiet")
    assert done.code == 6
    assert done.is_one_line("by a later version of fedknot")
    assert summary_of(folder)["schema"] == SCHEMA + 1


CHANGES = {
    "num_rounds: 1 -> 2": ("--set", "num_rounds = 2"),
    "data.num_clients: 4 -> 8": ("--set", "data.num_clients = 8"),
    "seed: 7 -> 8": ("--seed", "8"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_r14_another_experiment_is_refused_unless_forced(call, undisturbed, tmp_path, change):
    """As typed; the other changes are in ``tests/simulations/test_resume.py``."""
    folder = shutil.copytree(undisturbed, tmp_path / "run")
    done = call("run", "--resume", folder, *CHANGES[change])
    assert (done.code, done.out) == (6, "")
    assert done.is_one_line(change, "--force-new-run")


def test_r14_forced_it_begins_anew_beside_the_old_one(call, tmp_path):
    folder = run(tmp_path / "run")
    was = summary_of(folder)
    done = call("run", "--resume", folder, "--force-new-run", "--backend", "inline", "--quiet")
    assert done.code == 0
    assert summary_of(tmp_path / "run.old-1") == was
    assert summary_of(folder)["hashes"] == was["hashes"]
