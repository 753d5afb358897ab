"""Forks one process per task, after the clients' code was loaded once; opens no store itself.

``python -m clients.fork_server``: reads tasks from standard input, one at a time, and writes their
outcomes to standard output, each a line of JSON: what a client's process says can be nothing but
text. It ends, and takes the task that runs along, once its input ends.
"""

import json
import os
import select
import signal
import sys
from pathlib import Path
from typing import Any, BinaryIO

from clients.tasks import Argument, Outcome, Said, here
from common.flushing import settled
from common.messages import Consensus, Question
from common.reasons import Reason
from common.rosters import Roster


def ask(folder: Path, task: str, argument: Argument) -> bytes:
    """A task as a line."""
    said: dict[str, Any] = {"folder": str(folder), "task": task}
    if isinstance(argument, Roster):
        said["roster"] = argument.payload.hex()
    elif argument is not None:
        question = argument.question if isinstance(argument, Consensus) else argument
        said["question"] = [question.round, question.schema, question.binding.hex()]
        if isinstance(argument, Consensus):
            said["consensus"] = argument.payload.hex()
    return json.dumps(said).encode() + b"\n"


def asked(line: bytes) -> tuple[Path, str, Argument]:
    """What :func:`ask` made a line of."""
    said = json.loads(line)
    argument: Argument = None
    if "roster" in said:
        argument = Roster.read(bytes.fromhex(said["roster"]))
    elif "question" in said:
        server_round, schema, binding = said["question"]
        argument = question = Question(server_round, schema, bytes.fromhex(binding))
        if "consensus" in said:
            argument = Consensus(question, bytes.fromhex(said["consensus"]))
    return Path(said["folder"]), said["task"], argument


def told(outcome: Outcome) -> bytes:
    """An outcome as a line; what it speaks of is on disk by now."""
    said: dict[str, Any] = {"reason": int(outcome.reason)}
    if outcome.said is not None:
        said["payload"] = outcome.said.payload.hex()
    return json.dumps(said).encode() + b"\n"


def heard(line: bytes) -> Outcome:
    """What :func:`told` made a line of; a line that was cut off is the client's own error."""
    if not line.endswith(b"\n"):
        return Outcome(Reason.client_error)
    said = json.loads(line)
    reason = Reason(said["reason"])
    return Outcome(reason, Said(bytes.fromhex(said["payload"])) if "payload" in said else None)


def serve(tasks: BinaryIO, outcomes: BinaryIO) -> None:
    """Run tasks until nobody asks any more."""
    import torch

    torch.set_num_threads(1)  # the number of threads changes the bits
    while (line := tasks.readline()).endswith(b"\n"):
        outcomes.write(_forked(line, tasks.fileno()))
        outcomes.flush()


def _forked(line: bytes, tasks: int) -> bytes:
    """Run one task in a fork; if who asked is gone meanwhile, the fork is ended."""
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        _run(line, theirs)
    os.close(theirs)
    ready, _, _ = select.select([tasks, ours], [], [])
    if ours not in ready:  # nobody asks twice at a time, so the input has ended
        os.kill(child, signal.SIGKILL)
    with os.fdopen(ours, "rb") as file:
        said = file.read()
    os.waitpid(child, 0)
    return told(heard(said))


def _run(line: bytes, back: int) -> None:
    """The task, and the end of this process whatever comes of it."""
    try:
        outcome = here(*asked(line))
        settled(outcome.said.written if outcome.said else ())
        with os.fdopen(back, "wb") as file:
            file.write(told(outcome))
    finally:
        os._exit(0)


if __name__ == "__main__":
    answers = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what code prints is no answer
    with os.fdopen(answers, "wb") as file:
        serve(sys.stdin.buffer, file)
