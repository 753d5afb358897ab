"""Workers, seen from the process that gives the orders."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import psutil

from common.failures import FolderError
from simulations.environment import QUIET

_ENDING_SECONDS = 20.0
_POLL_SECONDS = 0.1

Ended = dict[str, Any] | None
"""How an order ended: its exit code and line if it failed."""


class Order(Protocol):
    """What a worker is to do."""

    def line(self) -> str:
        """The order as one line of JSON, as the crew's module reads it."""


Given = TypeVar("Given", bound=Order)


@dataclass(frozen=True)
class Place:
    """Who works where.

    Attributes:
        module: run by each worker; it calls :func:`simulations.crews.serving.serve`.
        folder: that is worked in.
        log: in that folder, for whatever workers and their libraries say; its folder is there.
    """

    module: str
    folder: Path
    log: str


class Worker:
    """One process that does orders. Its standard input is its leash."""

    def __init__(self, place: Place) -> None:
        call = [sys.executable, "-P", "-m", place.module, str(place.folder)]
        self._log, log_path = place.log, place.folder / place.log
        with log_path.open("ab") as log:
            self._process = subprocess.Popen(
                call,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,  # Ctrl-C reaches who gives the orders, and they tell
                cwd=log_path.parent,
                env={**os.environ, **QUIET},
                text=True,
            )

    def do(self, order: Order) -> tuple[Ended, bool]:
        """How the order ended, and whether the worker is fit for another."""
        assert self._process.stdin is not None, "it is a pipe"
        assert self._process.stdout is not None, "it is a pipe"
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(order.line() + "\n")
            self._process.stdin.flush()
        if answer := self._process.stdout.readline():
            ended: Ended = json.loads(answer)["failure"]
            return ended, True
        code = self._process.wait()
        return {"exit_code": 1, "line": f"its process ended with {code}; see {self._log}"}, False

    def interrupt(self) -> None:
        """Have it leave its work in order, so that it can be gone on with."""
        if os.name == "nt":
            self._process.terminate()
        else:
            self._process.send_signal(signal.SIGINT)

    def dismiss(self) -> None:
        """End it; whatever it does is of no use any more."""
        with contextlib.suppress(BrokenPipeError):
            if self._process.stdin is not None:
                self._process.stdin.close()
        try:
            self._process.wait(_ENDING_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


class Crew:
    """So many workers at a time; one that dies takes its order with it, and is replaced."""

    def __init__(self, place: Place, jobs: int) -> None:
        self._place, self._jobs = place, jobs
        self._turn, self._own = threading.Lock(), threading.local()
        self._workers: set[Worker] = set()
        self._ending = False

    def work(self, orders: Sequence[Given]) -> Generator[tuple[Given, Ended], None, None]:
        """Every order with how it ended, as they end."""
        pool = ThreadPoolExecutor(self._jobs)
        try:
            futures: dict[Future[Ended], Given] = {pool.submit(self._do, o): o for o in orders}
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BaseException:
            self._interrupt()
            raise
        finally:
            pool.shutdown(cancel_futures=True)
            for worker in self._workers:
                worker.dismiss()

    def _do(self, order: Order) -> Ended:
        ended, fit = self._hired().do(order)
        if not fit:
            self._retire()
        return ended

    def _hired(self) -> Worker:
        """The worker of this thread."""
        worker: Worker | None = getattr(self._own, "worker", None)
        if worker is None:
            with self._turn:
                if self._ending:
                    raise InterruptedError("the crew ends")
                worker = self._own.worker = Worker(self._place)
                self._workers.add(worker)
        return worker

    def _retire(self) -> None:
        worker, self._own.worker = self._own.worker, None
        with self._turn:
            self._workers.discard(worker)
        worker.dismiss()

    def _interrupt(self) -> None:
        with self._turn:
            self._ending = True
            for worker in self._workers:
                worker.interrupt()


def await_orphans(place: Place) -> None:
    """Workers of a killed process notice that and end by themselves; wait until they have.

    Raises:
        FolderError: some do not.
    """
    end = time.monotonic() + _ENDING_SECONDS
    while pids := _orphans(place):
        if time.monotonic() > end:
            raise FolderError(
                f"{place.folder} is in use by what is left of a killed one (process "
                f"{', '.join(map(str, pids))}); end it and call again"
            )
        time.sleep(_POLL_SECONDS)


def _orphans(place: Place) -> list[int]:
    found = []
    for process in psutil.process_iter(["pid", "cmdline", "status"]):
        words = process.info["cmdline"] or []
        dead = process.info["status"] == psutil.STATUS_ZOMBIE
        if place.module in words and str(place.folder) in words and not dead:
            found.append(int(process.info["pid"]))
    return found
