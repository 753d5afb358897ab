"""Tasks in processes of their own: the same bits, and no process opens two stores."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from clients import apart, fork_server
from clients.tasks import TASKS, Outcome, Said, here
from common.files import read_json
from common.messages import Consensus, Question
from common.reasons import Reason
from common.rosters import Roster
from common.terms import Terms
from simulations.events import silent
from simulations.experiment_file import to_toml
from simulations.loop import federate
from tests.worlds import hashes, stocked, tiny_with

QUESTION = Question(3, 1, bytes(range(32)))
ARGUMENTS = (
    None,
    QUESTION,
    Consensus(QUESTION, b"\x00\xff"),
    Roster(3, 1, bytes(32), ((2, bytes(32)),)),
)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("argument", ARGUMENTS, ids=lambda argument: type(argument).__name__)
def test_a_task_survives_its_line(task, argument):
    line = fork_server.ask(Path("a b\n"), task, argument)
    assert line.count(b"\n") == 1
    assert fork_server.asked(line) == (Path("a b\n"), task, argument)


@pytest.mark.parametrize("reason", Reason)
@pytest.mark.parametrize("said", [None, Said(b""), Said(b"\n\x00")])
def test_an_outcome_survives_its_line(reason, said):
    line = fork_server.told(Outcome(reason, said))
    assert fork_server.heard(line) == Outcome(reason, said)
    for cut in range(len(line)):
        assert fork_server.heard(line[:cut]) == Outcome(Reason.client_error)


@pytest.fixture(scope="module")
def isolated(tmp_path_factory):
    folder = stocked(tiny_with("isolation = 'process'"), tmp_path_factory.mktemp("apart") / "run")
    federate(folder, silent)
    return folder


def test_the_bits_are_those_of_a_shared_process(isolated, tmp_path):
    shared = stocked(tiny_with(), tmp_path / "run")
    assert apart.runner(shared / "clients") is here
    assert apart.runner(isolated / "clients") is apart.apart
    federate(shared, silent)
    assert hashes(shared) == hashes(isolated)


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.filterwarnings("default")
def test_the_bits_are_the_same_on_ray(isolated, tmp_path):
    described = tmp_path / "tiny.toml"
    described.write_text(to_toml(tiny_with("isolation = 'process'")))
    code = "from simulations.cli import main; main()"
    call = ["run", described, "--out", tmp_path / "run", "--backend", "ray", "--quiet"]
    subprocess.run([sys.executable, "-c", code, *map(str, call)], check=True, capture_output=True)
    assert hashes(tmp_path / "run") == hashes(isolated)
    assert read_json(tmp_path / "run" / "summary.json")["isolated"]


def test_a_task_has_a_process_of_its_own_that_ends_with_it(isolated, monkeypatch):
    """Seen from outside: the children of the fork server, one after the other."""
    before = apart._server()
    question = Question(1, 1, Terms.read(isolated / "terms.json").binding)
    outcome = apart.apart(isolated / "clients" / "0", "predict", question)
    again = here(isolated / "clients" / "0", "predict", question)
    assert outcome.said == Said(again.said.payload)
    assert apart._server() is before
    assert before.poll() is None
    left = Path(f"/proc/{before.pid}/task/{before.pid}/children")
    assert not left.exists() or left.read_text() == ""


def test_this_process_opened_no_store(tmp_path):
    """Audit hooks see every file that is opened; those of a fork are not ours."""
    folder = stocked(tiny_with("isolation = 'process'"), tmp_path / "run")
    code = f"""
import sys
from pathlib import Path
seen = []
stores = {str(folder / "clients")!r}
from simulations.loop import federate
sys.addaudithook(lambda name, args: seen.append(str(args[0])) if name == "open" else None)
federate(Path({str(folder)!r}), lambda *told: None)
import json
print(json.dumps([path for path in seen if path.startswith(stores)]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == []
    assert len(hashes(folder)) > 0


def test_what_goes_wrong_is_a_code(tmp_path):
    assert apart.apart(tmp_path / "nobody", "train", None) == Outcome(Reason.client_error)
    assert apart.apart(tmp_path / "nobody", "no such task", None) == Outcome(Reason.client_error)


def test_a_server_that_died_is_replaced(isolated):
    gone = apart._server()
    os.kill(gone.pid, signal.SIGKILL)
    gone.wait()
    assert apart.apart(isolated / "clients" / "0", "encode", None).reason is Reason.client_error
    assert apart.apart(isolated / "clients" / "0", "encode", None).reason is Reason.accepted
    assert apart._server() is not gone


def test_it_ends_with_who_asked_and_takes_the_task_along(tmp_path):
    """The input is closed in the middle of a task that would not end."""
    fifo = tmp_path / "0" / "client.json"
    fifo.parent.mkdir()
    os.mkfifo(fifo)  # whoever reads it waits
    call = [sys.executable, "-P", "-m", "clients.fork_server"]
    with subprocess.Popen(call, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        server.stdin.write(fork_server.ask(fifo.parent, "train", None))
        server.stdin.close()
        server.stdout.read()
        assert server.wait(30) == 0
