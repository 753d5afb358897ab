"""What one cell of a sweep worked out, another does not: no teacher is fitted, none is asked."""

import os
import shutil
from collections import Counter

import pytest

from clients.speaker import Speaker
from clients.store import Store
from clients.teachers.frozen_mlp import FrozenMlp
from simulations.events import silent
from simulations.folder import summary_of
from simulations.identity import keep_identity
from simulations.runner import execute
from simulations.sweeping import cell, lending
from simulations.sweeping._lent_answers import _kept
from simulations.sweeping.cell import Order, do
from simulations.sweeping.notebook import TEACHERS
from tests.worlds import stocked, tiny_with

KNOT = "server.weighting = { kind = 'knot' }"
OTHER_SERVER = (
    "server.loss = 'kl'; server.weighting = 'uniform'; "
    "server.student = { kind = 'frozen_linear' }; num_rounds = 2"
)


@pytest.fixture(autouse=True)
def frozen_code(monkeypatch):
    """Who works on the program while its tests run changes its code, and then nothing is lent."""
    monkeypatch.setattr("simulations.identity._code", lambda: "the same code")


@pytest.fixture
def counted(monkeypatch):
    """How often a teacher was fitted, and asked about public texts, by clients."""
    counts: Counter[str] = Counter()
    fit, asked = FrozenMlp.fit, Speaker._predict

    def fitted(self, *args):
        counts["fits"] += 1
        return fit(self, *args)

    def predicted(self, *args):
        counts["asked"] += 1
        return asked(self, *args)

    monkeypatch.setattr(FrozenMlp, "fit", fitted)
    monkeypatch.setattr(Speaker, "_predict", predicted)
    return counts


def done(sweep, name, *overrides, whole=True):
    """The run folder of one cell, done in this process."""
    home = sweep / "cells" / name
    home.parent.mkdir(parents=True, exist_ok=True)
    do(Order(home, "synthetic", tiny_with(*overrides), "inline", whole))
    return home


def hashes(home):
    return summary_of(home)["hashes"]


def alone(folder, *overrides):
    made = tiny_with(*overrides)
    return execute(made, "x", out=folder, backend="inline", address=None, progress=silent)


def test_a_cell_that_differs_at_the_server_only_asks_no_client(counted, tmp_path):
    done(tmp_path, "first", KNOT)
    assert counted["fits"] == 4
    assert counted["asked"] == 8  # about the shared texts, and about the blanks
    counted.clear()
    second = done(tmp_path, "second", OTHER_SERVER)
    assert counted == {}
    cold = alone(tmp_path / "cold", OTHER_SERVER)
    assert counted == {"fits": 4, "asked": 4}  # in the second round as in the first
    assert hashes(second) == hashes(cold)
    assert summary_of(second)["student"] == summary_of(cold)["student"]
    for client in range(4):
        warm, apart = (Store(home / "clients" / str(client)) for home in (second, cold))
        assert dict(warm.releases()) == dict(apart.releases())


def test_the_count_sees_that_lending_has_stopped(counted, monkeypatch, tmp_path):
    monkeypatch.setattr(cell.lending, "lend", lambda home, shelf: None)
    done(tmp_path, "first", KNOT)
    counted.clear()
    done(tmp_path, "second", OTHER_SERVER)
    assert counted == {"fits": 4, "asked": 4}


@pytest.mark.parametrize(
    ("change", "fits", "asked"),
    [
        (f"{KNOT}; wire.bits = 4", 0, 8),
        (f"{KNOT}; data.validation_size = 20", 4, 8),
        (f"{KNOT}; clients.mechanism = {{ kind = 'randomised_answers' }}", 4, None),
        ("clients.teacher.epochs = 2; " + KNOT, 4, 8),
    ],
)
def test_what_clients_would_say_otherwise_is_asked_anew(counted, tmp_path, change, fits, asked):
    done(tmp_path, "first", KNOT)
    counted.clear()
    try:
        second = done(tmp_path, "second", change)
    finally:
        assert counted["fits"] == fits
    assert asked is None or counted["asked"] == asked
    if asked is not None:
        assert hashes(second) == hashes(alone(tmp_path / "cold", change))


def test_more_extras_are_asked_for_and_kept(counted, tmp_path):
    done(tmp_path, "first", "server.weighting = 'uniform'")
    counted.clear()
    done(tmp_path, "second", KNOT)
    assert counted == {"asked": 8}
    counted.clear()
    third = done(tmp_path, "third", KNOT, "server.loss = 'kl'")
    assert counted == {}
    assert hashes(third) == hashes(alone(tmp_path / "cold", KNOT, "server.loss = 'kl'"))


def test_a_damaged_shelf_is_no_shelf(counted, tmp_path):
    done(tmp_path, "first", KNOT)
    for path in (tmp_path / TEACHERS).rglob("said-*"):
        assert path.stat().st_mode & 0o777 == 0o600
        path.write_bytes(path.read_bytes()[:-3])
        assert _kept(path) is None
    counted.clear()
    done(tmp_path, "second", KNOT, "server.loss = 'kl'")
    assert counted == {"asked": 8}
    lending.clear(tmp_path / TEACHERS)
    assert not (tmp_path / TEACHERS).exists()


def test_the_shelf_is_bounded_and_what_was_dropped_is_made_anew(counted, monkeypatch, tmp_path):
    monkeypatch.setenv("FEDKNOT_CACHE_MB", "0")
    first = done(tmp_path, "first", KNOT)
    shelf = tmp_path / TEACHERS
    assert [path for path in shelf.rglob("*") if path.is_file()] == []
    assert (first / "clients" / "0" / "teacher.safetensors").exists()  # the cell has its own
    counted.clear()
    second = done(tmp_path, "second", KNOT, "server.loss = 'kl'")
    assert counted == {"fits": 4, "asked": 8}
    monkeypatch.delenv("FEDKNOT_CACHE_MB")
    assert hashes(second) == hashes(done(tmp_path / "other", "second", KNOT, "server.loss = 'kl'"))


def test_what_was_lent_last_stays_longest(tmp_path):
    done(tmp_path, "first", KNOT)
    shelf = tmp_path / TEACHERS
    files = sorted(path for path in shelf.rglob("*") if path.is_file())
    for path in files:
        os.utime(path, ns=(0, 10**18))
    lent = stocked(tiny_with(KNOT), tmp_path / "run")
    keep_identity(lent, tiny_with(KNOT))
    shutil.rmtree(lent / "clients" / "3")
    lending.lend(lent, shelf)
    used = {path for path in files if path.stat().st_mtime_ns > 10**18}
    assert 0 < len(used) < len(files)
    assert {len([p for p in used if p.parent == key]) for key in shelf.iterdir()} == {0, 3}
    size = sum(path.stat().st_size for path in used)
    lending.trimmed(shelf, size, shelf, "*/*")
    assert {path for path in shelf.rglob("*") if path.is_file()} == used
