"""Runs that are killed on purpose, in small; and what the benchmark must find, put there."""

import json
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import psutil
import pytest

from common.failures import CheckFailed, Failure, FolderError
from common.files import read_json, write_json
from simulations import cli
from simulations.benches import _place, _processes, _storm, soak
from simulations.benches._command import Command
from simulations.benches._place import Calm, Place, Plan
from simulations.benches._processes import MARK, alive, end, kind_of, sessions
from simulations.benches._small_world import NAME, overrides
from simulations.benches._storm import Run, refuse_changed_code
from simulations.benches._strikes import Marksman
from simulations.benches._traces import differences, litter, newborn, stage, trace
from simulations.events import silent
from simulations.experiment_file import read
from simulations.runner import execute
from tests.simulations.watched_commands import FEDKNOT, FORGED, python

SLEEP = python("import time; time.sleep(60)")


def plan(kills=3, rounds=3, backend="inline"):
    return Plan(kills, rounds, 4, 7, backend)


@pytest.fixture(scope="module")
def soaked(tmp_path_factory):
    """What came of three kills, what was said, and the folder."""
    home, said = tmp_path_factory.mktemp("soak") / "out", []
    made = soak.soak(plan(), home, silent, said.append, FEDKNOT)
    return made, said, home


@pytest.mark.timeout(600)
def test_every_run_ends_as_if_nothing_had_been(soaked):
    made, said, home = soaked
    assert made["findings"] == []
    assert made["kills"] == {"driver": 3}
    assert sum(made["stages"].values()) == 3
    assert made["resumes"] == 3
    assert made["exits"] == {"-9": 3, "0": made["runs"]}
    assert made["complete"] == made["runs"] == len(said) - 1
    soak.check(made)
    assert "same bits" in soak.lines(made)[-1]
    assert read_json(home / "soak.json") == {k: v for k, v in made.items() if k != "folder"}
    kept = {"cache", "undisturbed", "undisturbed.log", "soak.json"}
    assert {path.name for path in home.iterdir()} == kept


@pytest.mark.timeout(600)
def test_the_command_finds_what_is_forged_and_fails(tmp_path, monkeypatch, capsys):
    """The positive control: the run says another hash than the undisturbed one."""
    monkeypatch.setattr(soak, "COMMAND", FORGED)
    monkeypatch.setattr(soak, "_MOST_FAILURES", 1)
    sizes = ["--kills", "1", "--rounds", "1", "--clients", "2", "--backend", "inline"]
    words = ["bench", "soak", *sizes, "--out", str(tmp_path / "out"), "--json"]
    with pytest.raises(CheckFailed, match="not as promised") as failure:
        cli.app(words, standalone_mode=False)
    assert failure.value.exit_code == 7
    shown = capsys.readouterr()
    (found,) = json.loads(shown.out)["findings"]
    assert any(what.startswith("hashes: ") for what in found["what"])
    assert Path(found["folder"], "summary.json").exists()
    assert "NOT AS PROMISED" in shown.err


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.timeout(3000)
def test_on_ray(tmp_path):
    made = soak.soak(plan(1, 2, "ray"), tmp_path / "out", silent, print, FEDKNOT)
    assert made["findings"] == []
    assert sum(n for kind, n in made["kills"].items() if kind != "none") == 1


def test_a_folder_in_use_is_refused(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(FolderError, match="not empty"):
        soak.soak(plan(), tmp_path, silent, print)


def test_an_undisturbed_run_that_fails_is_reported(tmp_path):
    broken = python("print('fedknot: no luck'); raise SystemExit(4)")
    with pytest.raises(Failure, match="no luck"):
        soak.soak(plan(), tmp_path / "out", silent, print, broken)


# ---------------------------------------------------------------- what is compared


@pytest.fixture(scope="module")
def complete(tmp_path_factory):
    experiment = read(NAME, [overrides(4, 2, 7)])
    folder = tmp_path_factory.mktemp("complete") / "run"
    return execute(experiment, NAME, out=folder, backend="inline", address=None, progress=silent)


@pytest.fixture
def copied(complete, tmp_path):
    return Path(shutil.copytree(complete, tmp_path / "copy"))


def say_other(folder):
    summary = read_json(folder / "summary.json")
    summary["hashes"]["transfer_set"] = "0" * 64
    write_json(folder / "summary.json", summary)


def drop_line(path, number):
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:number] + lines[number + 1 :]))


FORGERIES = {
    "hashes: ": say_other,
    "student/head.safetensors: ": lambda f: (f / "student/head.safetensors").write_bytes(b"x"),
    "releases/2/1.bin": lambda f: (f / "releases/2/1.bin").unlink(),
    "releases/9/1.bin: missing -> ": lambda f: shutil.copytree(f / "releases/2", f / "releases/9"),
    "the audit chain of server.jsonl": lambda f: drop_line(f / "audit/server.jsonl", 3),
    "the audit chain of client-2.jsonl": lambda f: drop_line(f / "audit/client-2.jsonl", 1),
    "no client logged": lambda f: (f / "audit/client-3.jsonl").unlink(),
    "rounds.jsonl: ": lambda f: drop_line(f / "rounds.jsonl", 0),
    "clients.csv: ": lambda f: drop_line(f / "clients.csv", 2),
    "no readable summary.json": lambda f: (f / "summary.json").unlink(),
    "status: ": lambda f: write_json(
        f / "summary.json", read_json(f / "summary.json") | {"status": "interrupted"}
    ),
}


@pytest.mark.parametrize("told", FORGERIES)
def test_whatever_differs_is_named(complete, copied, told):
    expected = trace(complete)
    assert differences(expected, copied) == []
    FORGERIES[told](copied)
    assert any(told in what for what in differences(expected, copied))


def test_seconds_and_times_may_differ(complete, copied):
    for name in ("rounds.jsonl", "summary.json"):
        path = copied / name
        path.write_text(path.read_text().replace('"seconds": ', '"seconds": 1 and '))
    (copied / "rounds.jsonl").write_text((complete / "rounds.jsonl").read_text())
    text = (complete / "summary.json").read_text()
    (copied / "summary.json").write_text(text.replace('"total": ', '"total": 1'))
    assert differences(trace(complete), copied) == []


LITTER = ("run/lock", "run/audit/.server.jsonl.abc.part", "run/clients/x.tmp", "cache/sites/a.json")


@pytest.mark.parametrize("name", LITTER)
def test_what_is_left_behind_is_named(copied, tmp_path, name):
    run, cache = copied.rename(tmp_path / "run"), tmp_path / "cache"
    (cache / "sites").mkdir(parents=True)
    assert litter(run, cache) == []
    (tmp_path / name).write_text("{}")
    assert litter(run, cache) == [f"left behind: {tmp_path / name}"]


def test_how_far_a_folder_has_come(copied, provisioned, tmp_path):
    assert stage(tmp_path / "nothing", 4) == "provision"
    assert stage(provisioned, 4) == "start"
    assert stage(copied, 4) == "observe"
    (copied / "checkpoint" / "server.json").unlink()
    assert stage(copied, 4) == "rounds"
    (copied / "clients" / "2" / "teacher.safetensors").unlink()
    assert stage(copied, 4) == "teachers"
    (copied / "clients" / "3" / "features.npy").unlink()
    assert stage(copied, 4) == "encode"


def test_a_session_folder_of_nobody_is_found(tmp_path):
    empty, full, used = (tmp_path / name for name in ("empty", "full", "used"))
    for path in (empty, full, used):
        path.mkdir()
    (full / "socket").touch()
    with subprocess.Popen([*SLEEP, "--session", str(used)]) as process:
        found = newborn(tmp_path.iterdir(), time.time() - 60)
        assert sessions([psutil.Process(process.pid)]) == {used}
        process.kill()
    assert found == {empty}
    assert newborn(tmp_path.iterdir(), time.time() + 60) == set()


# ---------------------------------------------------------------- who is hit, and who is left


@pytest.fixture
def sleeper(tmp_path):
    """A command that does nothing for a minute."""
    command = Command(
        ["run"],
        folder=tmp_path / "run",
        log=tmp_path / "run.log",
        token="sleeper",
        cache=tmp_path,
        command=SLEEP,
    )
    yield command
    end("sleeper")
    command.process.wait()


def test_processes_are_found_by_their_mark_and_not_by_name(sleeper):
    """Also those that were set free; and nobody else's."""
    child = f"import subprocess as s; s.Popen({SLEEP!r}, start_new_session=True)"
    env = {MARK: "theirs"}
    subprocess.run(python(child), env=env, check=True)
    with subprocess.Popen(SLEEP) as stranger:
        assert [p.pid for p in alive("sleeper")] == [sleeper.process.pid]
        (orphan,) = alive("theirs")
        end("theirs")
        assert alive("theirs") == []
        assert not orphan.is_running() or orphan.status() == psutil.STATUS_ZOMBIE
        assert stranger.poll() is None
        assert sleeper.process.poll() is None
        stranger.kill()


KINDS = {
    "serve": [sys.executable, "-P", "-m", "simulations", "serve", "/a/run", "--leash"],
    "cluster": ["python", "-m", "simulations", "cluster", "/a/run", "--session", "/tmp/x"],
    "worker": ["ray::ClientAppActor.run"],
    "idle": ["ray::IDLE"],
    "daemon": ["/lib/ray/core/src/ray/raylet/raylet", "--node_ip_address=127.0.0.1"],
    "driver": [*FEDKNOT, "run", "synthetic", "--out", "simulations"],
}


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_of_processes(kind):
    assert kind_of(KINDS[kind]) == kind


def moments(seed):
    marksman = Marksman(1, "inline", seed)
    return [marksman.moment(2.0, 10.0) for _ in range(200)]


def test_moments_are_uniform_in_what_is_left_of_a_run():
    assert moments(3) == moments(3) != moments(4)
    counts = Counter(int(moment) for moment in moments(3))
    assert counts.keys() == set(range(2, 10))
    assert min(counts.values()) > 8
    assert Marksman(1, "inline", 3).moment(10.0, 10.0) is None
    assert Marksman(0, "inline", 3).moment(0.0, 10.0) is None


def test_a_shot_at_nothing_does_not_count_and_is_repeated_soon(sleeper):
    """A command without parts and workers: only shots at itself can hit."""
    marksman = Marksman(1, "ray", 0)  # whose first shot is at a worker
    kills = [marksman.strike(sleeper, 1.0, lambda: "rounds") for _ in range(5)]
    assert {kill.kind for kill in kills} == {"none"}
    assert (marksman.left, marksman.stages) == (1, {})
    assert 5.0 <= marksman.moment(5.0, 10.0) <= 6.0
    assert sleeper.process.poll() is None


def test_the_driver_is_hit(sleeper):
    marksman = Marksman(1, "inline", 3)
    kill = marksman.strike(sleeper, 1.0, lambda: "rounds")
    assert (kill.kind, kill.is_fatal, marksman.left) == ("driver", True, 0)
    assert sleeper.process.returncode == -signal.SIGKILL


# ---------------------------------------------------------------- what goes wrong is seen


def weathered(tmp_path, monkeypatch, command):
    """What is found of a run whose every command is this one, by impatient eyes."""
    for module, name in ((_place, "_LEAST_SECONDS"), (_storm, "_GRACE_SECONDS")):
        monkeypatch.setattr(module, name, 1.5)
    monkeypatch.setattr(_processes, "_DUMPING_SECONDS", 0.5)
    place = Place(tmp_path, "weathered", command, plan())
    run = Run(tmp_path / "run-1", place, Calm(0.1, 0.1, {}))
    run.weather(Marksman(1, "inline", 0))
    assert alive("weathered") == []
    return run


def test_a_command_that_hangs_is_ended_and_its_stack_is_kept(tmp_path, monkeypatch):
    run = weathered(tmp_path, monkeypatch, SLEEP)
    assert run.exits == [None]
    assert run.findings[0].startswith("hangs for no reason")
    assert "Current thread" in (tmp_path / "run-1.log").read_text()


def test_a_command_that_fails_is_reported_with_its_last_line(tmp_path, monkeypatch):
    run = weathered(tmp_path, monkeypatch, python("print('out of luck'); raise SystemExit(3)"))
    assert run.findings == ["exit code 3 for no reason: out of luck"]


def test_a_process_that_outlives_its_command_is_reported(tmp_path, monkeypatch):
    code = (
        f"import subprocess as s; s.Popen({SLEEP!r}, start_new_session=True); raise SystemExit(3)"
    )
    run = weathered(tmp_path, monkeypatch, python(code))
    assert any(what.startswith("still running: ") for what in run.findings)


def test_a_traceback_on_the_screen_is_reported(tmp_path, monkeypatch):
    run = weathered(tmp_path, monkeypatch, python("1 / 0"))
    assert any("a traceback on the screen" in what for what in run.findings)


def test_who_changes_the_program_meanwhile_is_told_so():
    with pytest.raises(Failure, match="changed meanwhile"):
        refuse_changed_code('fedknot: x holds another run (program.code: "1" -> "2"); put back')
    refuse_changed_code("fedknot: out of luck")
