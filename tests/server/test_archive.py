"""What a commit has on disk, and how often it waits for that."""

import os
import sys

import pytest

from common.labels import LabelGeometry
from server.archive import Archive


def archive(folder, clients):
    for name in ("audit", "releases"):
        (folder / name).mkdir()
    made = Archive(folder, range(clients))
    for client in range(clients):
        made.keep_release(1, client, b"said")
    return made


def numbers(folder, clients):
    """The inodes of all that a commit of round 1 names."""
    home = folder / "releases" / "1"
    paths = [home / f"{client}.bin" for client in range(clients)]
    return [path.stat().st_ino for path in (*paths, home, home.parent)]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere sync does not wait")
def test_many_releases_are_one_wait_on_linux(tmp_path, flushes):
    archive(tmp_path, 17)._settle(1)
    log = (tmp_path / "audit" / "server.jsonl").stat().st_ino
    assert flushes == ["all", log]


@pytest.mark.skipif(os.name == "nt", reason="flushes by itself")
@pytest.mark.parametrize(("clients", "system"), [(3, sys.platform), (17, "darwin")])
def test_otherwise_every_release_is_waited_for(tmp_path, flushes, monkeypatch, clients, system):
    made = archive(tmp_path, clients)
    monkeypatch.setattr(sys, "platform", system)
    made._settle(1)
    assert set(numbers(tmp_path, clients)) <= set(flushes)
    assert "all" not in flushes


@pytest.mark.skipif(os.name == "nt", reason="flushes by itself")
def test_what_the_server_believed_is_waited_for_with_the_round(tmp_path, flushes):
    made, home = archive(tmp_path, 3), tmp_path / "checkpoint"
    home.mkdir()
    made.keep_beliefs(LabelGeometry.discrete(("a", "b")), b"weights")
    assert flushes == []
    made._settle(1)
    paths = [home / "geometry.json", home / "weights.safetensors"]
    assert {path.stat().st_ino for path in paths} <= set(flushes)
