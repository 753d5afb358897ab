import stat
from pathlib import Path

import pytest

from common.failures import FolderError
from common.places import sites_dir
from common.sites import find, forget, register


def test_a_token_leads_to_the_stores_until_it_is_forgotten(tmp_path):
    register("a1b2", tmp_path / "here" / ".." / "stores")
    assert find("a1b2") == tmp_path / "stores"
    forget("a1b2")
    forget("a1b2")
    with pytest.raises(FolderError, match="holds no store"):
        find("a1b2")


def test_two_runs_are_two_entries(tmp_path):
    register("one", tmp_path / "1")
    register("two", tmp_path / "2")
    assert (find("one"), find("two")) == (tmp_path / "1", tmp_path / "2")


def test_a_relative_path_does_not_depend_on_later_changes_of_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    register("relative", Path("stores"))
    monkeypatch.chdir("/")
    assert find("relative") == tmp_path / "stores"


def test_only_the_owner_may_look(tmp_path):
    register("mode", tmp_path)
    assert stat.S_IMODE(sites_dir().stat().st_mode) == 0o700
    assert stat.S_IMODE((sites_dir() / "mode.json").stat().st_mode) == 0o600


@pytest.mark.parametrize("token", ["", "../one", "a/b", "a.b", "/etc", "a b", "\0", "a" * 300])
def test_whoever_asks_learns_nothing_of_this_site(token, tmp_path):
    register("one", tmp_path)
    with pytest.raises(FolderError) as failure:
        find(token)
    assert str(sites_dir()) not in str(failure.value)
    assert str(failure.value).count("\n") == 0
