import json
import os
import socket
import subprocess
import sys
import time

import psutil
import pytest

from common.failures import FolderError
from common.lock import NAME, held

HOLD = "from common.lock import held; from pathlib import Path; import sys\n"


def me():
    return {"pid": os.getpid(), "host": socket.gethostname(), "started": started(os.getpid())}


def started(pid):
    return psutil.Process(pid).create_time()


def test_a_lock_names_its_owner_and_goes_with_it(tmp_path):
    with held(tmp_path) as stale:
        assert not stale
        owner = json.loads((tmp_path / NAME).read_text())
        assert owner == pytest.approx(me())
    assert not (tmp_path / NAME).exists()


def test_who_comes_second_is_told_in_one_line(tmp_path):
    with held(tmp_path):
        with pytest.raises(FolderError, match="in use by process") as refusal, held(tmp_path):
            pass
        assert refusal.value.exit_code == 6
        assert "\n" not in str(refusal.value)
        assert (tmp_path / NAME).exists()  # the refused one did not take it away


def dead():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.mark.parametrize(
    "content",
    [
        lambda: json.dumps(me() | {"pid": dead()}),
        lambda: json.dumps(me() | {"started": started(os.getpid()) - 60}),  # the number came again
        lambda: "",
        lambda: '{"pid": 1',
        lambda: "[]",
        lambda: json.dumps(me() | {"pid": "x"}),
    ],
)
def test_a_stale_lock_is_taken_over(tmp_path, content):
    (tmp_path / NAME).write_text(content())
    with held(tmp_path) as stale:
        assert stale
        assert json.loads((tmp_path / NAME).read_text())["pid"] == os.getpid()


def test_of_another_host_nobody_can_tell(tmp_path):
    (tmp_path / NAME).write_text(json.dumps(me() | {"host": "elsewhere", "pid": dead()}))
    with pytest.raises(FolderError, match="on elsewhere; if that has ended, delete"):
        held(tmp_path).__enter__()


def test_a_lock_is_given_back_also_after_a_failure(tmp_path):
    with pytest.raises(KeyboardInterrupt), held(tmp_path):
        raise KeyboardInterrupt
    assert not (tmp_path / NAME).exists()


def test_a_killed_owner_is_no_owner(tmp_path):
    code = f"{HOLD}with held(Path(sys.argv[1])): print(1, flush=True); sys.stdin.read()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=-1, stdout=-1, cwd=os.getcwd()
    )
    process.stdout.readline()
    with pytest.raises(FolderError, match=f"process {process.pid}"):
        held(tmp_path).__enter__()
    process.kill()
    time.sleep(0.2)  # a zombie now: nobody has asked for its exit code
    with held(tmp_path) as stale:
        assert stale
    process.communicate()


def test_of_many_at_once_one_gets_a_stale_lock(tmp_path):
    (tmp_path / NAME).write_text(json.dumps(me() | {"pid": dead()}))
    code = (
        f"{HOLD}\ntry:\n"
        "  with held(Path(sys.argv[1])): print('got', flush=True); sys.stdin.read()\n"
        "except Exception as e: print(type(e).__name__, flush=True)"
    )
    call = [sys.executable, "-c", code, str(tmp_path)]
    crowd = [subprocess.Popen(call, stdin=-1, stdout=-1, text=True) for _ in range(4)]
    said = [process.stdout.readline().strip() for process in crowd]
    for process in crowd:
        process.communicate()
    assert sorted(said) == ["FolderError", "FolderError", "FolderError", "got"]
    assert not (tmp_path / NAME).exists()
