"""A server that is given answers, one round long."""

import itertools

import pytest

from tests.one_round import Server, released
from tests.worlds import stocked


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
