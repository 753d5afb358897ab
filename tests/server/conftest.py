"""The tiny experiment, served in a hurry or by the loop, and a server that is given answers."""

import itertools
import shutil
from functools import cache

import pytest

from server.app import serve
from simulations.events import silent
from simulations.loop import federate
from tests.local_grid import LocalGrid
from tests.one_round import Server, released
from tests.worlds import stocked, tiny_with

# The local grid has every reply ready when it is asked first: only the silent are waited for.
HASTE = "server.timeouts = { encode = 0.2, teachers = 0.2, predict = 0.2 }"


@pytest.fixture
def run(tmp_path, hasty):
    """Serves the tiny experiment to so many nodes; gives run folder and grid."""
    count = iter(range(100))

    def made(nodes, *overrides, before=lambda folder: None, **grid):
        folder = stocked(tiny_with(HASTE, *overrides), tmp_path / f"served {next(count)}")
        before(folder)
        nodes = LocalGrid(nodes, **grid)
        serve(nodes, folder, silent)
        return folder, nodes

    return made


@pytest.fixture
def hasty(monkeypatch):
    monkeypatch.setattr("server.patience._POLL_SECONDS", 0.001)
    monkeypatch.setattr("server.nodes._CONNECT_SECONDS", 0.5)


@pytest.fixture(scope="package")
def inline(tmp_path_factory):
    """The same by the loop, without clients 'gone'; made once and only to be read."""

    @cache
    def made(*overrides, gone=()):
        folder = stocked(tiny_with(*overrides), tmp_path_factory.mktemp("inline") / "run")
        for client in gone:
            shutil.rmtree(folder / "clients" / str(client))
        federate(folder, silent)
        return folder

    return made


@pytest.fixture(scope="package")
def answers(tiny, tmp_path_factory):
    """What the four clients of ``tiny`` answer; the same whatever folder they live in."""
    folder = stocked(tiny, tmp_path_factory.mktemp("answers") / "run")
    return released(folder, 1)


@pytest.fixture
def server(provisioned):
    return Server(provisioned)


@pytest.fixture
def fresh(tiny, tmp_path):
    """Makes servers, each in a fresh folder of the same experiment."""
    names = itertools.count()
    return lambda: Server(stocked(tiny, tmp_path / f"fresh {next(names)}"))
