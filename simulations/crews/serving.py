"""A worker's side: orders come as JSON lines on standard input, one answer goes back for each.

An internal error ends the process, and only this order fails. When standard input closes,
whoever started the worker is gone, and it ends at once; SIGINT ends it in order.
"""

import json
import os
import queue
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import TextIO

from common.failures import Failure
from common.files import full_disk_is_a_failure


def serve(do: Callable[[str], None]) -> int:
    """Do orders until nobody gives any; 130 after an interruption.

    Args:
        do: reads one line and does what it says; a :class:`Failure` is the order's answer.
    """
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints belongs into the log
    signal.signal(signal.SIGINT, _interrupt)  # in the background a shell has it ignored
    orders: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(orders,), daemon=True).start()
    try:
        while True:
            _answer(do, orders.get(), answers)
    except KeyboardInterrupt:
        return 130


def _listen(orders: "queue.SimpleQueue[str]") -> None:
    with os.fdopen(os.dup(0), encoding="utf-8") as stream:
        for line in stream:
            orders.put(line)
    os._exit(1)


def _answer(do: Callable[[str], None], line: str, answers: TextIO) -> None:
    failure: dict[str, object] | None = None
    try:
        with full_disk_is_a_failure():
            do(line)
    except Failure as error:
        failure = {"exit_code": error.exit_code, "line": str(error)}
    answers.write(json.dumps({"failure": failure}) + "\n")
    answers.flush()


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Once; whoever asks twice waits for the same."""
    del frame
    signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt
