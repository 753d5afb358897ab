"""What a killed run leaves of Ray is found by the name of its session, and ended."""

import os
import secrets
import subprocess
import sys
from pathlib import Path

import pytest

from simulations import owned_cluster
from simulations.owned_cluster import remove_sessions

RENAMING = """
import sys, time, ray._raylet
log = open(sys.argv[1], "w")
ray._raylet.setproctitle("ray::DashboardAgent")
print("renamed", flush=True)
time.sleep(60)
"""


@pytest.fixture
def session(tmp_path, monkeypatch):
    """A session folder that a run folder names, with nobody at work in it."""
    monkeypatch.setattr(owned_cluster, "_ENDING_SECONDS", 0.3)
    made = tmp_path / f"fedknot-ray-{secrets.token_hex(4)}"
    (made / "logs").mkdir(parents=True)
    (tmp_path / "checkpoint").mkdir()
    note(tmp_path).write_text(f"{made}\n")
    return made


def note(folder):
    return folder / "checkpoint" / "ray-session.txt"


@pytest.fixture
def start():
    """Start a process that sleeps and bears these words; ended by the test."""
    made = []

    def run(*words):
        call = [sys.executable, "-c", "import time; time.sleep(60)", *words]
        made.append(subprocess.Popen(call))
        return made[-1]

    yield run
    for process in made:
        process.kill()
        process.wait()


@pytest.fixture
def renamed():
    """Start a process that calls itself an agent of Ray, below the cluster of a session."""
    made = []

    def run(session, log=os.devnull):
        env = {**os.environ, "SPT_NOENV": "1", "FEDKNOT_RAY_SESSION": str(session)}
        call = [sys.executable, "-c", RENAMING, str(log)]
        made.append(subprocess.Popen(call, env=env, stdout=subprocess.PIPE, text=True))
        assert made[-1].stdout.readline() == "renamed\n"
        return made[-1]

    yield run
    for process in made:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    "words",
    [
        lambda s: ("/lib/ray/core/src/ray/gcs/gcs_server", f"--log_dir={s}/logs"),
        lambda s: ("simulations", "cluster", "run", "--session", str(s)),
    ],
    ids=["a service", "who starts it"],
)
def test_what_outlived_its_cluster_is_killed(session, start, words):
    left = start(*words(session))
    remove_sessions(session.parent)
    assert left.wait(5) is not None  # whoever killed it may have taken its code
    assert not session.exists()
    assert not note(session.parent).exists()


def test_bystanders_and_other_sessions_live_on(session, start):
    other = Path(f"{session.parent}/fedknot-ray-{secrets.token_hex(4)}")
    looking = start("-f", f"{session}/logs/monitor.log")
    elsewhere = start("/lib/ray/raylet", f"--log_dir={other}/logs")
    remove_sessions(session.parent)
    assert looking.poll() is elsewhere.poll() is None
    assert not session.exists()


def test_who_took_another_name_is_known_by_what_it_inherited(session, renamed):
    """Ray's agents do; one that lost its cluster while it started waits for it for a minute."""
    ours, another = renamed(session), renamed(session.with_name("fedknot-ray-00000000"))
    remove_sessions(session.parent)
    assert ours.wait(5) is not None
    assert another.poll() is None


def test_or_by_the_log_it_writes(session, renamed):
    elsewhere = session.with_name("fedknot-ray-00000000")
    ours = renamed(elsewhere, session / "logs" / "agent.log")
    another = renamed(elsewhere, session.parent / "agent.log")
    remove_sessions(session.parent)
    assert ours.wait(5) is not None
    assert another.poll() is None


@pytest.mark.parametrize("name", ["fedknot-ray-", "fedknot-ray-zzzzzzzz", "home"])
def test_a_name_that_we_never_draw_names_nothing(tmp_path, start, session, name):
    folder = tmp_path / name
    folder.mkdir()
    note(tmp_path).write_text(f"{folder}\n")
    lives = start("/lib/ray/raylet", f"--log_dir={session}/logs")
    remove_sessions(tmp_path)
    assert folder.exists()
    assert lives.poll() is None
