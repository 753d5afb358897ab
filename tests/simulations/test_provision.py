"""What provisioning leaves behind, and how little it takes."""

import os
import stat

import pytest

from clients.store import Store
from common.files import read_json
from simulations.events import silent
from simulations.folder import create
from simulations.provision import provision
from tests.worlds import tiny_with

SEAL = "checkpoint/private/provisioned.json"


@pytest.fixture
def many():
    return tiny_with("data.num_clients = 36", "data.partition = 'iid'")


def stores(folder):
    return {k: Store(folder / "clients" / str(k)) for k in range(36)}


def test_a_store_has_three_inodes_and_only_its_owner_may_look(many, tmp_path):
    folder = create(tmp_path / "run", "synthetic", 7)
    provision(many, folder, silent)
    paths = list((folder / "clients").rglob("*"))
    assert len(paths) == 3 * 36
    for path in paths:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)


def test_flushes_do_not_grow_with_the_clients_and_come_before_the_seal(many, tmp_path, monkeypatch):
    folder = create(tmp_path / "run", "synthetic", 7)
    flushed, synced, fsync = [], [], os.fsync

    def counted(handle):
        flushed.append(handle)
        fsync(handle)

    def seen():
        shards = list((folder / "clients").glob("*/shard.jsonl"))
        synced.append((len(shards), (folder / SEAL).exists()))

    monkeypatch.setattr(os, "fsync", counted)
    monkeypatch.setattr(os, "sync", seen)
    provision(many, folder, silent)
    assert synced == [(36, False)]
    assert len(flushed) < 36


def test_what_was_not_sealed_is_made_anew(many, tmp_path):
    folder = create(tmp_path / "run", "synthetic", 7)
    provision(many, folder, silent)
    before = {k: store.shard()[0] for k, store in stores(folder).items()}
    (folder / SEAL).unlink()
    for half in ("3/shard.jsonl", "4/client.json"):  # as a power cut leaves them
        (folder / "clients" / half).write_bytes(b"")
    (folder / "clients" / "5" / "shard.jsonl").unlink()
    provision(many, folder, silent)
    assert {k: store.shard()[0] for k, store in stores(folder).items()} == before
    assert None not in read_json(folder / SEAL)["clients"].values()
