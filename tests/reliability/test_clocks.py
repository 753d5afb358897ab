"""R23: the wall clock may jump; what waits and what measures does not look at it."""

import ast
import time
from pathlib import Path

import pytest

from tests.reliability.commands import INLINE, ROOT, SMALL, fedknot, hashes_of, summary_of

PACKAGES = ("common", "clients", "server", "simulations")
WALL_CLOCK = {"time.time", "datetime.now", "datetime.utcnow", "time.time_ns"}
MAY_ASK = {
    "common/audit.py": "the time of an entry, which is never read again",
    "common/encoders/_shelf.py": "which features were used last, by what the file system says",
    "simulations/runner.py": "when a run was begun",
    "simulations/__main__.py": "likewise, by hand",
    "simulations/resumption.py": "likewise, less the time in which nobody worked on it",
    "simulations/benches/_storm.py": "what the file system says of the age of folders",
    "simulations/benches/_watched.py": "when a run was called, beside the times of its files",
    "simulations/sweeping/cell.py": "likewise, of one cell",
    "simulations/observe.py": "the seconds in all, over several processes",
}

# Two hours back after three seconds, then two days ahead, in every Python process.
JUMPING = """
import time
real, begun = time.time, time.monotonic()
def jumping():
    passed = time.monotonic() - begun
    return real() + (0 if passed < 3 else -7200 if passed < 6 else 172800 if passed < 9 else -7200)
time.time = jumping
"""


def names(path):
    """Of every attribute, with what it stands behind: ``time.time``."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield f"{node.value.id}.{node.attr}"


def test_r23_only_these_ask_the_wall_clock():
    """Every timeout and every duration is monotonic; a new reader has to be added here."""
    asking = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if WALL_CLOCK & set(names(path))
    }
    assert asking <= set(MAY_ASK)


def test_r23_a_clock_that_is_set_back(call, undisturbed, tmp_path, monkeypatch):
    """Between any two looks at it."""
    real, looks = time.time, []

    def falling():
        looks.append(0)
        return real() - 3600 * len(looks)

    monkeypatch.setattr(time, "time", falling)
    done = call("run", *SMALL, *INLINE, "--out", tmp_path / "run")
    monkeypatch.undo()
    assert len(looks) >= 2
    assert (done.code, done.err) == (0, "")
    assert hashes_of(tmp_path / "run") == hashes_of(undisturbed)
    seconds = summary_of(tmp_path / "run")["seconds"]
    assert min(seconds.values()) >= 0
    assert seconds["total"] >= seconds["evaluate"]


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.filterwarnings("default")
def test_r23_clocks_that_jump_in_every_process_on_ray(undisturbed, tmp_path):
    (tmp_path / "clock").mkdir()
    (tmp_path / "clock" / "sitecustomize.py").write_text(JUMPING)
    env = {"PYTHONPATH": f"{tmp_path / 'clock'}:{Path(ROOT)}"}
    done = fedknot("run", *SMALL, "--quiet", "--out", tmp_path / "run", env=env)
    assert (done.code, done.err) == (0, "")
    assert hashes_of(tmp_path / "run") == hashes_of(undisturbed)
    assert min(summary_of(tmp_path / "run")["seconds"].values()) >= 0
