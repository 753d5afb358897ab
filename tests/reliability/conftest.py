"""A run that nobody disturbed, the command, and disks that are small or closed."""

import os
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest

import simulations.datasets
from simulations.events import silent
from simulations.runner import execute
from tests.reliability import commands
from tests.worlds import tiny_with


@contextmanager
def frozen():
    """Who works on the program while its tests run changes its code, and that is refused."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("simulations.identity._code", lambda: "the same code")
        yield


@pytest.fixture(autouse=True)
def frozen_code():
    with frozen():
        yield


@pytest.fixture
def call(monkeypatch, capsys):
    """The command in this process."""
    return lambda *words: commands.called(monkeypatch, capsys, *words)


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory):
    """The folder of a small run of one round to which nothing happened."""
    return run(tmp_path_factory.mktemp("undisturbed") / "run")


def run(folder, *overrides):
    """A whole run in this process; what fixtures of any scope may call."""
    made = tiny_with(*overrides)
    with frozen():
        return execute(
            made, "synthetic", out=folder, backend="inline", address=None, progress=silent
        )


@pytest.fixture
def odd_texts(monkeypatch):
    """Has the family of data sets one more member, found like any other: by its file."""
    here = str(Path(__file__).parent / "datasets")
    monkeypatch.setattr(simulations.datasets, "__path__", [*simulations.datasets.__path__, here])


class Disk:
    """A file system of its own, in memory, whose size can be changed."""

    def __init__(self, place):
        self.place = place

    def resize(self, size):
        self._mount("-o", f"remount,rw,size={size}")

    def close(self):
        """From now on it can only be read."""
        self._mount("-o", "remount,ro")

    def _mount(self, *words):
        subprocess.run(["mount", *words, str(self.place)], check=True, capture_output=True)


@contextmanager
def mounted(place, size):
    """A :class:`Disk` at ``place``; skips where this user may not mount one."""
    place.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", str(place)]
    try:
        made = subprocess.run(words, capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("this system has no mount")
    if made.returncode or os.geteuid() != 0:
        pytest.skip("only root may mount a small disk")
    try:
        yield Disk(place)
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)
