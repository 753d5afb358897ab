"""Flower and Ray change where clients run, never what they answer; nothing of them stays."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from common.files import read_lines
from simulations.events import silent
from simulations.experiment_file import read
from simulations.runner import execute
from tests.owned import sessions, workers
from tests.superlinks import flower, superlink

pytestmark = [pytest.mark.ray, pytest.mark.filterwarnings("default")]

TASK = "server.schedule.steps = 20; data.dataset.size = 600; num_rounds = 2"


def summary_of(folder: Path) -> dict:
    return json.loads((folder / "summary.json").read_text())


def _there(sessions: list[Path]) -> list[Path]:
    return [session for session in sessions if session.exists()]


def relatives(folder: Path) -> list[psutil.Process]:
    """Every process that was started for this run folder and is alive."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        words = process.info["cmdline"] or []
        if str(folder) in " ".join(words) and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(process)
    return found


@pytest.fixture(scope="module")
def inline(tmp_path_factory: pytest.TempPathFactory) -> dict:
    folder = tmp_path_factory.mktemp("inline")
    return summary_of(_run(folder, "inline", TASK))


def _run(folder: Path, backend: str, overrides: str, progress=silent) -> Path:
    experiment = read("synthetic", [overrides])
    return execute(
        experiment, "synthetic", out=folder, backend=backend, address=None, progress=progress
    )


def test_the_same_bits_on_ray_although_a_worker_is_killed(tmp_path: Path, inline: dict) -> None:
    """One worker dies by SIGKILL while teachers train; its task is run again elsewhere."""
    ours: list[Path] = []
    killed, seen = [], []

    def kill_one_worker(phase: str, done: int, total: int) -> None:
        seen.append(phase)
        if phase == "teachers" and not killed:
            ours.extend(sessions(os.getpid()))
            killed.append(workers(os.getpid())[0])
            killed[0].kill()

    folder = _run(tmp_path / "run", "ray", TASK, kill_one_worker)
    made = summary_of(folder)
    assert killed
    assert made["hashes"] == inline["hashes"]
    assert made["student"] == inline["student"]
    assert made["clients"] == {"asked": 4, "answered": 4, "lost": 0, "quarantined": 0}
    assert (made["isolated"], inline["isolated"]) == (True, False)
    assert made["memory"]["worker_peak_mb"] > 50
    assert made["wire"]["envelope_up"] > 0
    assert set(seen) >= {"encode", "teachers", "predict", "aggregate", "distil"}
    assert (folder / "logs" / "serve.log").stat().st_size > 0
    assert (folder / "logs" / "ray").is_dir()
    assert ours
    assert not _there(ours)
    assert relatives(folder) == []


NOISY = """
import sys, threading, time
if "default_worker.py" in " ".join(sys.orig_argv):
    def chatter():
        for _ in range(200):
            print("CANARY-OUT", flush=True)
            print("CANARY-ERR", file=sys.stderr, flush=True)
            time.sleep(0.1)
    threading.Thread(target=chatter, daemon=True).start()
"""


def test_what_clients_print_reaches_nobody(tmp_path: Path, monkeypatch) -> None:
    """Every worker prints all the time; with Flower's default the server's log has it all."""
    (tmp_path / "noisy").mkdir()
    (tmp_path / "noisy" / "sitecustomize.py").write_text(NOISY)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "noisy"))
    folder = _run(tmp_path / "run", "ray", TASK)
    texts = [row for path in folder.glob("clients/*/shard.jsonl") for row in read_lines(path)]
    secrets = ["CANARY-OUT", "CANARY-ERR", *(row["text"] for row in texts)]
    assert len(secrets) > 200
    for path in folder.rglob("*"):
        if path.is_file() and folder / "clients" not in path.parents:
            content = path.read_bytes().decode("utf-8", "replace")
            assert not [secret for secret in secrets if secret in content], path


def _training(folder: Path) -> "subprocess.Popen[str]":
    """The command, in the middle of teacher training."""
    call = [sys.executable, "-c", "from simulations.cli import main; main()", "run", "synthetic"]
    call += ["--set", "clients.teacher.min_steps = 50000000", "--out", str(folder)]
    process = subprocess.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + 120
    while not list(folder.glob("clients/*/features.npy")) and time.monotonic() < end:
        time.sleep(0.2)
    time.sleep(2)
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_the_middle_of_training_ends_everything(
    tmp_path: Path, number: signal.Signals
) -> None:
    folder = tmp_path / "run"
    process = _training(folder)
    ours, started = sessions(process.pid), time.monotonic()
    assert ours
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert time.monotonic() - started < 10
    assert (out, len(err.splitlines())) == ("", 1)
    assert summary_of(folder)["status"] == "interrupted"
    assert relatives(folder) == []
    assert not _there(ours)


@pytest.mark.slow
def test_a_killed_command_takes_everything_with_it(tmp_path: Path) -> None:
    """SIGKILL cannot be caught; the parts notice that who started them is gone."""
    folder = tmp_path / "run"
    process = _training(folder)
    ours = sessions(process.pid)
    process.kill()
    process.communicate(timeout=60)
    end = time.monotonic() + 20
    while (relatives(folder) or _there(ours)) and time.monotonic() < end:
        time.sleep(0.5)
    assert relatives(folder) == []
    assert ours
    assert not _there(ours)


def test_flwr_run_by_hand_gives_the_same_bits(tmp_path: Path, inline: dict) -> None:
    """On a private, throw-away SuperLink with two SuperNodes, as the guide says."""
    out = tmp_path / "by hand"
    with superlink(tmp_path / "flower") as (env, _):
        config = f'experiment="synthetic" set="{TASK}" out="{out}"'
        call = [flower("flwr"), "run", str(Path(__file__).parents[2]), "--stream"]
        call += ["--run-config", config]
        call += [
            "--federation-config",
            "num-supernodes=2 client-resources-num-cpus=1 init-args-log-to-driver=false",
        ]
        done = subprocess.run(
            call, env=env, cwd=tmp_path / "flower" / "cwd", capture_output=True, text=True
        )
    assert (out / "summary.json").exists(), done.stdout[-3000:] + done.stderr[-3000:]
    made = summary_of(out)
    assert made["status"] == "complete"
    assert made["hashes"] == inline["hashes"]
