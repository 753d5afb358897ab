"""Many files are on disk by one wait where that is sure, and one by one elsewhere."""

import os
import sys

import pytest

from common.flushing import settled


def made(folder, count):
    paths = [folder / str(number) for number in range(count)]
    for path in paths:
        path.write_bytes(b"x")
    return paths


@pytest.mark.skipif(os.name == "nt", reason="flushes by itself")
def test_few_are_flushed_one_by_one_in_their_order(tmp_path, flushes):
    paths = [*made(tmp_path, 3), tmp_path]
    settled(paths)
    assert flushes == [path.stat().st_ino for path in paths]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere sync does not wait")
def test_many_are_one_call_on_linux(tmp_path, flushes):
    settled(made(tmp_path, 17))
    assert flushes == ["all"]


@pytest.mark.skipif(os.name == "nt", reason="flushes by itself")
def test_many_are_flushed_one_by_one_where_sync_does_not_wait(tmp_path, flushes, monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    paths = made(tmp_path, 40)
    settled(paths)
    assert flushes == [path.stat().st_ino for path in paths]


def test_nothing_to_do(flushes):
    settled([])
    assert flushes == []


def test_what_is_not_there_is_no_success(tmp_path):
    with pytest.raises(FileNotFoundError):
        settled([tmp_path / "gone"])
