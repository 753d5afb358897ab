"""R15: one folder, one process; whose owner was killed is free again."""

import json
import os
import signal
import time

import pytest

from tests.reliability.commands import INLINE, SMALL, begun, ended, fedknot, hashes_of


def held_by(process, folder, seconds=120):
    """Wait until the command has the lock of its folder, then stop it where it is."""
    end = time.monotonic() + seconds
    while not (folder / "lock").exists() and time.monotonic() < end:
        assert process.poll() is None
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGSTOP)
    return json.loads((folder / "lock").read_text() or "{}")


def test_r15_two_processes_on_one_folder(call, undisturbed, tmp_path):
    """The first is stopped in its tracks, so that it holds the folder for as long as we like."""
    folder = tmp_path / "run"
    with begun("run", *SMALL, *INLINE, "--out", folder) as first:
        held_by(first, folder)
        again = call("run", *SMALL, *INLINE, "--out", folder)
        assert again.code == 6
        assert again.is_one_line("give another --out")
        resumed = call("run", "--resume", folder, "--quiet")
        assert resumed.code == 6
        assert resumed.is_one_line(f"in use by process {first.pid}")
        first.kill()
        assert ended(first).code == -signal.SIGKILL
    assert (folder / "lock").exists()
    done = call("run", *SMALL, "--resume", folder, "--backend", "inline", "--quiet")
    assert (done.code, done.err) == (0, "")
    assert not (folder / "lock").exists()
    assert hashes_of(folder) == hashes_of(undisturbed)


@pytest.mark.slow
def test_r15_of_five_that_begin_at_once_one_runs(undisturbed, tmp_path):
    words = ("run", *SMALL, *INLINE, "--out", tmp_path / "run")
    processes = [begun(*words) for _ in range(5)]
    results = [ended(process) for process in processes]
    assert sorted(done.code for done in results) == [0, 6, 6, 6, 6]
    assert all(done.is_one_line("give another --out") for done in results if done.code)
    assert hashes_of(tmp_path / "run") == hashes_of(undisturbed)


@pytest.mark.slow
def test_r15_of_five_that_go_on_at_once_one_does(undisturbed, tmp_path):
    """After a kill, with a stale lock that all of them find."""
    folder = tmp_path / "run"
    with begun("run", *SMALL, *INLINE, "--out", folder) as first:
        held_by(first, folder)
        first.kill()
        ended(first)
    words = ("run", *SMALL, "--resume", folder, *INLINE)
    results = [ended(process) for process in [begun(*words) for _ in range(5)]]
    assert {done.code for done in results} <= {0, 6}
    assert 0 in {done.code for done in results}
    assert not [done for done in results if "Traceback" in done.err]
    assert fedknot("inspect", folder).code == 0
    assert hashes_of(folder) == hashes_of(undisturbed)
