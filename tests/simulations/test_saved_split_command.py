"""A split that is used again, as a user types it: where it is looked for, and what is said."""

import json
import sys
import tomllib

import pytest
import tomli_w

from common.configure import dump
from simulations import cli
from simulations.experiment_file import read, to_toml
from simulations.saved_split import read_split
from tests.worlds import stocked, tiny_with

SECRET = "nobody should read this"


@pytest.fixture
def plan(monkeypatch, capsys):
    def call(*words):
        monkeypatch.setattr(sys, "argv", ["fedknot", "plan", *words, "--quick", "--json"])
        code = cli._call()
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A folder with a run, and an experiment in another one that names its split."""
    stocked(tiny_with("data.partition = 'dirichlet'"), tmp_path / "first")
    (tmp_path / "own").mkdir()
    table = tomllib.loads(to_toml(tiny_with()))
    table["data"]["partition"] = {"kind": "from_file", "path": "first/split.json"}
    (tmp_path / "own" / "own.toml").write_text(tomli_w.dumps(table))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_relative_path_is_looked_up_where_the_command_is_typed(home, plan):
    code, out, _ = plan("own/own.toml")
    assert code == 0
    _, saved = read_split(str(home / "first" / "split.json"))
    assert [c["rows"] for c in json.loads(out)["clients"]] == list(map(len, saved.clients))


def test_the_run_keeps_it_in_full(home):
    made = read("own/own.toml")
    assert made.data.partition.path == str(home / "first" / "split.json")
    assert dump(made)["data"]["partition"]["path"] == str(home / "first" / "split.json")


def test_elsewhere_the_line_shows_where_it_was_looked_for(home, plan, monkeypatch):
    monkeypatch.chdir(home / "own")
    code, out, err = plan("own.toml")
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert f"data.partition.path: {home / 'own' / 'first' / 'split.json'} cannot be read" in err


@pytest.mark.parametrize("content", [SECRET, json.dumps({"texts": SECRET}), json.dumps([SECRET])])
def test_what_is_no_split_is_named_and_not_shown(home, plan, content):
    (home / "first" / "split.json").write_text(content)
    code, out, err = plan("own/own.toml")
    assert (code, out) == (4, "")
    assert len(err.splitlines()) == 1
    assert str(home / "first" / "split.json") in err
    assert SECRET not in err


def test_a_path_that_is_typed_may_begin_at_home(home, plan, monkeypatch):
    monkeypatch.setenv("HOME", str(home))
    there = "data.partition = { kind = 'from_file', path = '~/first/split.json' }"
    assert plan("own/own.toml", "--set", there)[0] == 0
