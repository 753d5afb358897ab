import os
import stat
from pathlib import Path

import platformdirs
import pytest

from common.failures import FolderError
from common.places import cache_dir, cache_root, sites_dir


def test_the_environment_names_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("FEDKNOT_CACHE", str(tmp_path / "deep" / "cache"))
    assert cache_root() == tmp_path / "deep" / "cache"
    assert not cache_root().exists()
    assert cache_dir() == cache_root()
    assert cache_dir().is_dir()


@pytest.mark.parametrize("unset", [True, False])
def test_without_it_the_operating_system_does(unset, monkeypatch):
    monkeypatch.setenv("FEDKNOT_CACHE", "")
    if unset:
        monkeypatch.delenv("FEDKNOT_CACHE")
    assert cache_root() == Path(platformdirs.user_cache_dir("fedknot"))


def test_a_relative_name_does_not_depend_on_later_changes_of_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FEDKNOT_CACHE", "here")
    assert cache_root() == tmp_path / "here"


def test_a_tilde_is_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("FEDKNOT_CACHE", "~/cache")
    assert cache_root() == tmp_path / "cache"


def test_only_the_owner_may_look(tmp_path, monkeypatch):
    monkeypatch.setenv("FEDKNOT_CACHE", str(tmp_path / "cache"))
    before = os.umask(0)
    try:
        folders = [cache_dir(), sites_dir()]
    finally:
        os.umask(before)
    assert [stat.S_IMODE(folder.stat().st_mode) for folder in folders] == [0o700, 0o700]


def test_an_open_folder_of_sites_is_closed(tmp_path, monkeypatch):
    monkeypatch.setenv("FEDKNOT_CACHE", str(tmp_path))
    (tmp_path / "sites").mkdir(mode=0o755)
    assert stat.S_IMODE(sites_dir().stat().st_mode) == 0o700


@pytest.mark.parametrize("place", [cache_dir, sites_dir])
def test_a_file_in_the_way_is_named_with_the_way_out(place, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FEDKNOT_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(FolderError, match="set FEDKNOT_CACHE") as caught:
        place()
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_cache_is_named_with_the_way_out(tmp_path, monkeypatch):
    tmp_path.chmod(0o500)
    monkeypatch.setenv("FEDKNOT_CACHE", str(tmp_path))
    with pytest.raises(FolderError, match="set FEDKNOT_CACHE"):
        cache_dir()
