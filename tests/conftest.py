"""What every test may ask for: a cache of its own, a small experiment, a run folder of it."""

import os
import tempfile
from pathlib import Path

import hypothesis
import pytest

from simulations.experiment_file import read
from tests.worlds import TINY, stocked

CACHE = "FEDKNOT_CACHE"
hypothesis.settings.register_profile("fedknot", deadline=None)  # machines are shared
hypothesis.settings.load_profile("fedknot")
OURS, THEIRS = pytest.StashKey[str](), pytest.StashKey[str | None]()


def pytest_configure(config):
    folder = tempfile.TemporaryDirectory(prefix="fedknot-cache-")
    config.add_cleanup(folder.cleanup)
    config.stash[OURS], config.stash[THEIRS] = folder.name, os.environ.get(CACHE)


@pytest.hookimpl(tryfirst=True)  # pytest-xdist reads the groups in the same hook
def pytest_collection_modifyitems(items):
    """One cluster at a time: two on one machine take each other's time, and may fail by it.

    Benches that watch and kill processes count those of other benches as their own. Slow tests
    are patient and mostly wait, so three lines of them go beside each other: those that search or
    watch whole runs, those whose workers die, and all others.
    """
    for item in items:
        watches = item.path.name.startswith("test_bench_")
        if item.get_closest_marker("ray") or watches:
            line = "ray"
            if item.get_closest_marker("slow"):
                watches |= item.path.parent.name == "taint"
                dies = item.path.name == "test_workers.py"
                line = "watching" if watches else "dying" if dies else line
            item.add_marker(pytest.mark.xdist_group(line))


def pytest_collection_finish(session):
    """Where pytest-xdist forgets the groups, as it does with a pytest that is too new, say so."""
    config = session.config
    grouped = [item for item in session.items if item.get_closest_marker("xdist_group")]
    if hasattr(config, "workerinput") and config.option.loadgroup and grouped:
        assert "@" in grouped[0].nodeid, "groups are forgotten; run: make setup"


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """Before any fixture, of whatever scope: only tests of real data see the real cache."""
    wanted = item.config.stash[THEIRS if item.get_closest_marker("data") else OURS]
    if wanted is None:
        os.environ.pop(CACHE, None)
    else:
        os.environ[CACHE] = wanted


def pytest_unconfigure(config):
    if config.stash.get(THEIRS, None) is None:
        os.environ.pop(CACHE, None)
    else:
        os.environ[CACHE] = config.stash[THEIRS]


@pytest.fixture
def cache():
    """The cache of this session, shared by all tests that are not marked ``data``."""
    return Path(os.environ[CACHE])


@pytest.fixture(scope="session")
def tiny():
    """Four clients with 18 short texts each, three labels, four steps of training."""
    return read("synthetic", list(TINY))


@pytest.fixture
def provisioned(tiny, tmp_path):
    """A run folder of ``tiny`` in which everybody holds their part and nobody has acted."""
    return stocked(tiny, tmp_path / "run")


@pytest.fixture
def flushes(monkeypatch):
    """What the operating system was asked for, in order."""
    calls, fsync, sync = [], os.fsync, getattr(os, "sync", None)

    def one(handle):
        calls.append(os.fstat(handle).st_ino)
        fsync(handle)

    def everything():
        calls.append("all")
        sync()

    monkeypatch.setattr(os, "fsync", one)
    if sync is not None:
        monkeypatch.setattr(os, "sync", everything)
    return calls
