"""The cache of features has an end: what was not used longest goes, what is read stays."""

import fcntl
import os
import time
from pathlib import Path

import pytest
from typing_extensions import override

from common.component import component
from common.encoders import Encoder, cache_key, encode_cached
from common.encoders._shelf import leftovers, taken, trimmed, used
from common.encoders.hashing import Hashing
from common.failures import ConfigError
from common.places import cache_bytes
from simulations import data


def shelf(folder: Path, *names: str, size: int = 10) -> list[Path]:
    """Files of one size, the first not used longest."""
    paths = [folder / f"{name}.npy" for name in names]
    for age, path in enumerate(reversed(paths)):
        path.write_bytes(b"x" * size)
        os.utime(path, ns=(0, 10**18 - age))
    return paths


def there(folder: Path) -> set[str]:
    return {path.stem for path in folder.iterdir()}


def test_what_was_not_used_longest_goes_first(tmp_path):
    *_, newest = shelf(tmp_path, "a", "b", "c", "d")
    trimmed(tmp_path, 29, newest)
    assert there(tmp_path) == {"c", "d"}
    trimmed(tmp_path, 20, newest)
    assert there(tmp_path) == {"c", "d"}


def test_reading_is_using(tmp_path):
    first, *_, newest = shelf(tmp_path, "a", "b", "c")
    assert taken(first) == b"x" * 10
    trimmed(tmp_path, 20, newest)
    assert there(tmp_path) == {"a", "c"}


def test_the_newest_stays_even_alone_too_large(tmp_path):
    *_, newest = shelf(tmp_path, "a", "b")
    os.utime(newest, ns=(0, 0))  # a clock that was set back
    trimmed(tmp_path, 0, newest)
    assert there(tmp_path) == {"b"}


def test_what_somebody_reads_stays(tmp_path):
    first, _, newest = shelf(tmp_path, "a", "b", "c")
    with first.open("rb") as reader:
        fcntl.flock(reader, fcntl.LOCK_SH)
        trimmed(tmp_path, 10, newest)
        assert there(tmp_path) == {"a", "c"}
        assert reader.read() == b"x" * 10
    trimmed(tmp_path, 10, newest)
    assert there(tmp_path) == {"c"}


def test_nothing_else_is_touched(tmp_path):
    (tmp_path / "mine.txt").write_text("a")
    *_, newest = shelf(tmp_path, "a", "b")
    trimmed(tmp_path, 0, newest)
    assert there(tmp_path) == {"mine", "b"}


def test_leftovers_of_killed_writers_go_once_they_are_old(tmp_path):
    (newest,) = shelf(tmp_path, "a")
    old, young = tmp_path / ".b.npy.0123abcd.part", tmp_path / ".c.npy.0123abcd.part"
    for path in (old, young):
        path.write_bytes(b"half")
    os.utime(old, (0, time.time() - 7200))
    assert leftovers(tmp_path) == [old]
    trimmed(tmp_path, 100, newest)
    assert not old.exists()
    assert young.exists()


@component
class Wide(Encoder):
    @override
    def encode(self, texts, progress=None):
        return Hashing(dimensions=50_000).encode(texts)

    @override
    def fingerprint(self):
        return "wide"


def test_cached_features_have_the_limit_of_the_variable(tmp_path, monkeypatch):
    """Each file has 2 MB; the second is used again, so the first has to make room."""
    monkeypatch.setenv("FEDKNOT_CACHE_MB", "5")
    made = [[f"{name} {i}" for i in range(10)] for name in "abc"]
    names = [cache_key("wide", texts) for texts in made]
    encode_cached(Wide(), made[1], tmp_path)
    encode_cached(Wide(), made[0], tmp_path)
    for name, age in zip(names, (1, 2, 0), strict=True):
        path = tmp_path / f"{name}.npy"
        if path.exists():
            os.utime(path, ns=(0, 10**18 - age))
    encode_cached(Wide(), made[1], tmp_path)
    encode_cached(Wide(), made[2], tmp_path)
    assert there(tmp_path) == {names[1], names[2]}


def test_the_limit_is_a_number(monkeypatch):
    monkeypatch.delenv("FEDKNOT_CACHE_MB", raising=False)
    assert cache_bytes() == 4 * 10**9
    monkeypatch.setenv("FEDKNOT_CACHE_MB", "250")
    assert cache_bytes() == 250 * 10**6
    for wrong in ("-1", "1.5", "much", "²"):
        monkeypatch.setenv("FEDKNOT_CACHE_MB", wrong)
        with pytest.raises(ConfigError, match="a whole number of megabytes"):
            cache_bytes()


def test_clearing_takes_leftovers_along(tmp_path, monkeypatch):
    monkeypatch.setenv("FEDKNOT_CACHE", str(tmp_path))
    home = tmp_path / "features"
    home.mkdir()
    shelf(home, "a", "b")
    old = home / ".c.npy.0123abcd.part"
    old.write_bytes(b"half")
    os.utime(old, (0, 0))
    assert data.clear() == 24
    assert not home.exists()


def test_files_in_folders_are_one_shelf(tmp_path):
    for age, name in enumerate("cba"):
        (tmp_path / name).mkdir()
        path = tmp_path / name / "teacher.safetensors"
        path.write_bytes(b"x" * 10)
        os.utime(path, ns=(0, 10**18 - age))
    stale = tmp_path / "b" / ".teacher.safetensors.1.part"
    stale.write_bytes(b"x")
    os.utime(stale, ns=(0, 0))
    used(tmp_path / "a" / "teacher.safetensors")
    used(tmp_path / "a" / "nothing")
    trimmed(tmp_path, 20, tmp_path, "*/*")
    assert {path.parent.name for path in tmp_path.glob("*/*")} == {"a", "c"}
    trimmed(tmp_path, 0, tmp_path, "*/*")
    assert list(tmp_path.glob("*/*")) == []
