"""R7: somebody who types Ctrl-C twice waits for nothing, and loses nothing that was done."""

import os
import signal
import subprocess
import sys
import time

import pytest

from common.files import read_json
from tests.reliability.commands import FROZEN, INLINE, ROOT, SMALL, ended, hashes_of

# The command, but client 2 never comes to keep its teacher, not even after Ctrl-C.
STUCK = f"""
{FROZEN}
import os, pathlib, time
from clients.store import Store
real, place = Store.keep_teacher, pathlib.Path(os.environ["STUCK"])
def for_ever(sign):
    (place / sign).touch()
    while True:
        time.sleep(0.01)
def keep_teacher(self, *words, **more):
    if self.root.name != "2":
        return real(self, *words, **more)
    try:
        for_ever("reached")
    finally:
        for_ever("asked once")
Store.keep_teacher = keep_teacher
from simulations.cli import main
main()
"""


def until(path, process):
    while not path.exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_r7_after_ctrl_c_twice_the_run_goes_on_to_the_same_bits(call, undisturbed, tmp_path):
    told = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "STUCK": str(tmp_path)}
    process = subprocess.Popen(
        [sys.executable, "-c", STUCK, "run", *SMALL, *INLINE, "--out", str(tmp_path / "run")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=told,
    )
    until(tmp_path / "reached", process)
    process.send_signal(signal.SIGINT)
    until(tmp_path / "asked once", process)  # it would end in order, and never comes to it
    process.send_signal(signal.SIGINT)
    assert ended(process).code == 130
    folder = tmp_path / "run"
    kept = [(folder / "clients" / str(k) / "teacher.safetensors").exists() for k in range(4)]
    assert kept == [True, True, False, False]
    assert not (folder / "summary.json").exists()
    done = call("run", "--resume", folder, "--quiet")
    assert (done.code, done.err) == (0, "")
    assert hashes_of(folder) == hashes_of(undisturbed)
    assert read_json(folder / "summary.json")["status"] == "complete"
