import stat

import pytest

from common.failures import DataError, FolderError
from simulations import prepared


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("FEDKNOT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


VALUE = {"text": ["a\nb", "\ud800", "ä"], "votes": [[1, 0], [2, 3], [0, 1]]}


def test_what_is_saved_is_loaded():
    assert not prepared.is_there("made_up", "1")
    path = prepared.save("made_up", "1", VALUE)
    assert prepared.is_there("made_up", "1")
    assert path == prepared.path_of("made_up", "1")
    assert prepared.load("made_up", "1") == VALUE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("position", [0, 30, 90, 110, -1])
def test_one_flipped_bit_is_noticed(position):
    path = prepared.save("made_up", "1", VALUE)
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"damaged.*type: fedknot data fetch made_up") as caught:
        prepared.load("made_up", "1")
    assert caught.value.exit_code == 4
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("length", [0, 10, 100])
def test_a_torn_file_is_noticed(length):
    path = prepared.save("made_up", "1", VALUE)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(DataError, match="damaged"):
        prepared.load("made_up", "1")


def test_a_missing_file_says_what_to_type():
    with pytest.raises(DataError, match="fedknot data fetch made_up"):
        prepared.load("made_up", "1")


def test_only_our_own_files_are_listed():
    path = prepared.save("made_up", "1", VALUE)
    (path.parent / "notes.json").write_text("{}")
    (path.parent / "folder.json").mkdir()
    assert prepared.files_of("made_up") == [path]
    assert prepared.files_of("never_heard_of") == []


def test_a_cache_that_cannot_be_written(cache):
    cache.write_text("a file in the way")
    assert not prepared.is_there("made_up", "1")
    with pytest.raises(FolderError, match="FEDKNOT_CACHE"):
        prepared.save("made_up", "1", VALUE)


def test_a_folder_in_the_way_of_the_file(cache):
    prepared.path_of("made_up", "1").mkdir(parents=True)
    with pytest.raises(FolderError, match="FEDKNOT_CACHE"):
        prepared.save("made_up", "1", VALUE)
    with pytest.raises(DataError, match="cannot be read"):
        prepared.load("made_up", "1")
