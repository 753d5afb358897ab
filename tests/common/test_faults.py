"""Faults are off unless the environment says so when the process starts."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from common import faults
from common.failures import ConfigError

ROOT = Path(__file__).parents[2]


def python(code, path=None, **kwargs):
    env = {name: value for name, value in os.environ.items() if name != faults.VARIABLE}
    if path is not None:
        env[faults.VARIABLE] = str(path)
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, env=env, **kwargs
    )


def written(folder, *entries):
    path = folder / "faults.json"
    path.write_text(json.dumps(entries))
    return path


def test_without_the_variable_nothing_happens(tmp_path):
    assert not faults.on()
    assert faults.leaks("predict", client=0, server_round=1) == []
    faults.reach("predict", client=0, server_round=1)
    faults.stamp(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert not faults.stamped(tmp_path)


def test_the_variable_counts_only_where_the_process_started_with_it(tmp_path, monkeypatch):
    """So nothing that arrives while a process runs can turn faults on."""
    path = written(tmp_path, {"kill": "worker", "phase": "train"})
    monkeypatch.setenv(faults.VARIABLE, str(path))
    assert not faults.on()
    faults.reach("train", client=0)


def test_what_can_leak_is_what_the_two_sides_can_do():
    from clients.faults import _LEAKS

    servers = {name for name, phase in faults.LEAKS.items() if faults.PHASES[phase] == "server"}
    assert set(_LEAKS) | servers == set(faults.LEAKS)
    assert set(faults.LEAKS.values()) <= set(faults.PHASES)


def test_without_the_variable_the_clients_app_has_nothing_around_it():
    from clients.faults import mods

    assert mods(lambda context, site: None) == []


REACH = "from common import faults; faults.reach('train', client={}); print('alive')"


def test_a_process_is_killed_as_often_as_asked_and_for_that_client_only(tmp_path):
    path = written(tmp_path, {"kill": "worker", "phase": "train", "client": 2, "times": 2})
    assert python(REACH.format(1), path).stdout == "alive\n"
    codes = [python(REACH.format(2), path).returncode for _ in range(3)]
    assert codes == [-signal.SIGKILL, -signal.SIGKILL, 0]


def test_a_process_sleeps(tmp_path):
    path = written(tmp_path, {"sleep": 0.7, "phase": "train"})
    code = "import time; t = time.monotonic()\n" + REACH.format(0) + "\nprint(time.monotonic() - t)"
    assert float(python(code, path).stdout.split()[1]) >= 0.7


def test_a_process_pauses_until_the_file_is_there(tmp_path):
    go = tmp_path / "go"
    path = written(tmp_path, {"pause": str(go), "phase": "train"})
    made = []
    thread = threading.Thread(target=lambda: made.append(python(REACH.format(0), path)))
    thread.start()
    while not Path(f"{go}.reached").exists():
        time.sleep(0.01)
    assert thread.is_alive()
    go.touch()
    thread.join(30)
    assert made[0].stdout == "alive\n"


def test_leaks_are_named_in_their_own_phase_and_round(tmp_path):
    path = written(tmp_path, {"leak": "print", "client": 1}, {"leak": "wrong_sum", "round": 2})
    code = (
        "from common.faults import leaks as f; "
        "print(f('train', client=0), f('train', client=1), "
        "f('predict', client=0, server_round=1), f('predict', client=0, server_round=2))"
    )
    assert python(code, path).stdout == "[] ['print'] [] ['wrong_sum']\n"


def test_whoever_was_faulty_is_stamped_for_good(tmp_path):
    path, store = written(tmp_path, {"sleep": 0, "phase": "train"}), tmp_path / "run" / "clients"
    (store / "0").mkdir(parents=True)
    path_ = str(store / "0")
    code = f"from pathlib import Path; from common import faults; faults.stamp(Path({path_!r}))"
    python(code, path, check=True)
    assert json.loads((store / "0" / "faults.json").read_text()) == json.loads(path.read_text())
    assert (store / "0" / "faults.json").stat().st_mode & 0o777 == 0o600
    assert faults.stamped(tmp_path / "run")


BAD = (
    ({"leak": "everything"}, "a leak is one of"),
    ({"leak": "print", "phase": "predict"}, "in its own phase"),
    ({"lie": "white", "client": 1}, "lie takes one of"),
    ({"lie": "reversed", "phase": "train"}, "lie takes one of"),
    ({"kill": "worker"}, "phase must be one of"),
    ({"kill": "server", "phase": "train"}, "the process is 'worker'"),
    ({"kill": "worker", "sleep": 1, "phase": "train"}, "exactly one of"),
    ({"sleep": "long", "phase": "train"}, "takes seconds"),
    ({"pause": "here", "phase": "train"}, "absolute path"),
    ({"sleep": 1, "phase": "train", "often": 1}, "exactly one of"),
    ("sleep", "exactly one of"),
)


@pytest.mark.parametrize(("entry", "told"), BAD)
def test_a_fault_that_cannot_be_followed_is_refused_in_one_line(tmp_path, entry, told):
    with pytest.raises(ConfigError, match=told) as caught:
        faults.read(written(tmp_path, entry))
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_refused(tmp_path):
    (tmp_path / "text").write_text("kill everybody")
    (tmp_path / "table").write_text("{}")
    for path in (tmp_path / "none", tmp_path / "text", tmp_path / "table", Path("faults.json")):
        with pytest.raises(ConfigError):
            faults.read(path)


@pytest.mark.parametrize("backend", ["inline", "ray"])
def test_the_command_refuses_bad_faults_and_faults_inline_before_anything(tmp_path, backend):
    entry = {"sleep": 0, "phase": "train"} if backend == "inline" else {"sleep": -1}
    words = ["run", "synthetic", "--backend", backend, "--out", str(tmp_path / "run")]
    code = f"import sys; sys.argv[1:] = {words!r}; from simulations.cli import main; main()"
    done = python(code, written(tmp_path, entry))
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "run").exists()
