"""``fedknot run --resume``, ``--force-new-run`` and ``fedknot verify``, as they are typed."""

import json
import sys

import pytest

from common.files import read_json
from simulations import cli
from tests.worlds import TINY

SMALL = [word for override in TINY for word in ("--set", override)]


@pytest.fixture(scope="module", autouse=True)
def frozen_code():
    """Who works on the program while its tests run changes its code, and that is refused."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("simulations.identity._code", lambda: "the same code")
        yield


@pytest.fixture
def fedknot(monkeypatch, capsys):
    def call(*words):
        monkeypatch.setattr(sys, "argv", ["fedknot", *map(str, words)])
        code = cli._call()
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture
def finished(fedknot, tmp_path):
    folder = tmp_path / "run"
    words = ["--backend", "inline", "--out", folder, "--quiet"]
    assert fedknot("run", "synthetic", *SMALL, *words)[0] == 0
    return folder


def test_a_complete_run_shows_its_summary(fedknot, finished):
    code, out, err = fedknot("run", "--resume", finished, "--json")
    assert code == 0
    assert json.loads(out) == read_json(finished / "summary.json")
    assert err == f"fedknot: {finished} is complete; nothing is left to do\n"


def test_what_is_left_is_done_where_it_was_begun(fedknot, finished):
    before = read_json(finished / "summary.json")
    (finished / "summary.json").unlink()
    code, out, err = fedknot("run", "synthetic", *SMALL, "--resume", finished)
    after = read_json(finished / "summary.json")
    assert (code, err) == (0, "")
    assert "report:" in out
    assert (after["hashes"], after["student"]) == (before["hashes"], before["student"])
    assert (after["experiment"], after["backend"]) == ("synthetic", "inline")
    assert after["seconds"]["total"] < 60


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["--set", "num_rounds = 2"], "num_rounds: 1 -> 2"),
        (["--seed", 8], "seed: 7 -> 8"),
        (["synthetic"], "clients.encoder.dimensions: 16 -> "),
    ],
)
def test_another_experiment_is_refused_in_one_line(fedknot, finished, words, hint):
    code, out, err = fedknot("run", *words, "--resume", finished)
    assert (code, out, err.count("\n")) == (6, "", 1)
    assert hint in err
    assert "--force-new-run" in err


def test_a_damaged_checkpoint_is_one_line_of_warning(fedknot, finished):
    (finished / "summary.json").unlink()
    (finished / "checkpoint" / "1" / "student.safetensors").write_bytes(b"")
    code, _, err = fedknot("run", "--resume", finished, "--quiet")
    assert (code, err.count("\n")) == (0, 1)
    assert err == (
        "fedknot: warning: the checkpoint of round 1 is not used (student.safetensors is damaged);"
        " going on from the first round\n"
    )


def test_a_new_run_moves_the_old_one_aside(fedknot, finished, tmp_path):
    old = {p.relative_to(finished) for p in finished.rglob("*")}
    where = ["--backend", "inline", "--quiet", "--force-new-run"]
    code, _, err = fedknot("run", "synthetic", *SMALL, *where, "--out", finished, "--seed", 8)
    assert (code, err) == (0, f"fedknot: what was in {finished} is in {finished}.old-1 now\n")
    aside = tmp_path / "run.old-1"
    assert {p.relative_to(aside) for p in aside.rglob("*")} == old
    assert read_json(finished / "summary.json")["seed"] == 8
    assert fedknot("run", *where, "--resume", finished)[0] == 0  # the folder's own experiment
    assert read_json(tmp_path / "run.old-2" / "summary.json")["seed"] == 8
    again = read_json(finished / "summary.json")
    assert (again["seed"], again["experiment"]) == (8, "synthetic")


def test_what_is_no_run_is_not_moved(fedknot, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    words = ["--backend", "inline", "--force-new-run", "--out", tmp_path]
    code, _, err = fedknot("run", "synthetic", *SMALL, *words)
    assert (code, err.count("\n")) == (6, 1)
    assert "left alone" in err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["--resume", "a", "--out", "b"], "leave out --out"),
        (["--force-new-run"], "write --out DIR"),
    ],
)
def test_words_that_contradict_each_other(fedknot, words, hint):
    code, out, err = fedknot("run", *words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert hint in err


def test_verify_says_equal_or_what_differs(fedknot, finished):
    code, out, err = fedknot("verify", finished)
    assert (code, err) == (0, "")
    assert out.startswith("equal")
    code, out, _ = fedknot("verify", finished, "--json")
    assert json.loads(out)["hashes"] == read_json(finished / "summary.json")["hashes"]
    path = finished / "releases" / "1" / "2.bin"
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    code, out, err = fedknot("verify", finished)
    assert (code, out, err.count("\n")) == (7, "", 1)
    assert "the release of client 2 in round 1 differs" in err
