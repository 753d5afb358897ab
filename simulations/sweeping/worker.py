"""A process that does cells, one after the other: ``python -m simulations.sweeping.worker``.

Orders come as JSON lines on standard input, one answer goes back for each. An internal error
ends the process, and only this cell fails. When standard input closes, whoever started it is
gone, and it ends at once; SIGINT ends it in order.
"""

import os

from simulations.environment import QUIET

os.environ.update(QUIET)  # before anything imports flwr, ray or torch

import json
import queue
import signal
import threading
import tomllib
from pathlib import Path
from types import FrameType
from typing import TextIO

from common.configure import load
from common.failures import Failure
from common.files import full_disk_is_a_failure
from simulations.experiment import Experiment
from simulations.sweeping.cell import Order, do


def main() -> int:
    """Answer orders until nobody gives any; 130 after an interruption."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints belongs into the log
    signal.signal(signal.SIGINT, _interrupt)  # in the background a shell has it ignored
    orders: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(orders,), daemon=True).start()
    try:
        while True:
            _answer(orders.get(), answers)
    except KeyboardInterrupt:
        return 130


def _listen(orders: "queue.SimpleQueue[str]") -> None:
    with os.fdopen(os.dup(0), encoding="utf-8") as stream:
        for line in stream:
            orders.put(line)
    os._exit(1)


def _answer(line: str, answers: TextIO) -> None:
    failure: dict[str, object] | None = None
    try:
        with full_disk_is_a_failure():
            do(_read(line))
    except Failure as error:
        failure = {"exit_code": error.exit_code, "line": str(error)}
    answers.write(json.dumps({"failure": failure}) + "\n")
    answers.flush()


def _read(line: str) -> Order:
    told = json.loads(line)
    made = load(Experiment, tomllib.loads(told["experiment"]))
    return Order(Path(told["home"]), told["name"], made, told["backend"], told["whole"])


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Once; whoever asks twice waits for the same."""
    del frame
    signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    raise SystemExit(main())
