"""A part of the run in a process of its own, which never outlives its owner."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any

import psutil

from common.failures import KINDS, Failure
from simulations.environment import QUIET
from simulations.events import events


class Part:
    """One of ``provision``, ``cluster``, ``serve``, ``observe``, running beside us.

    It has its own session, so that Ctrl-C in a terminal reaches its owner only, who then
    ends it in order; and a leash, its standard input, whose closing ends it even where the
    owner was killed.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        *words: str,
        leash: bool = True,
        env: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        reader, writer = os.pipe()
        call = [sys.executable, "-P", "-m", "simulations", name, str(folder), *words]
        call += ["--events", str(writer), *(["--leash"] if leash else [])]
        self._name, self._log = name, folder / "logs" / f"{name}.log"
        with self._log.open("ab") as log:
            self.process: subprocess.Popen[str] = subprocess.Popen(
                call,
                stdin=subprocess.PIPE,
                stdout=log if leash else subprocess.PIPE,
                stderr=log,
                pass_fds=[writer],
                start_new_session=True,
                cwd=folder / "logs",  # Ray's workers import from here first; it holds no code
                env={**os.environ, **QUIET, **env},
                text=True,
            )
        os.close(writer)
        self._reader, self._watched = reader, False
        self._family: set[psutil.Process] = set()

    @property
    def output(self) -> IO[str]:
        """What it prints, where it has no leash of ours."""
        assert self.process.stdout is not None, "only a part without a leash has an output"
        return self.process.stdout

    def watch(self, patience: float | None = None) -> Iterator[dict[str, Any]]:
        """Its progress events, until it has ended.

        Args:
            patience: seconds without an event after which it is given up; None for never.

        Raises:
            Failure: the one it ended with; of kind 1 if it crashed or was given up.
        """
        failure: Failure | None = None
        self._watched = True
        try:
            for event in events(self._reader, patience):
                if "failure" in event:
                    failure = KINDS.get(event["exit_code"], Failure)(event["failure"])
                else:
                    yield event
        except TimeoutError as silence:
            raise Failure(
                f"no sign of life from the {self._name} process for {patience:g} seconds "
                f"(server.timeouts.silence); see {self._log}, and go on with --resume"
            ) from silence
        code = self.process.wait()
        if failure is not None:
            raise failure
        if code:
            raise Failure(f"the {self._name} process ended with {code}; see {self._log}")

    def family(self) -> set[psutil.Process]:
        """This process and every descendant it has had while we looked."""
        with contextlib.suppress(psutil.NoSuchProcess):
            root = psutil.Process(self.process.pid)
            self._family |= {root, *root.children(recursive=True)}
        return self._family

    def release(self) -> None:
        """Close the leash: the part ends by itself, in order."""
        if self.process.stdin is not None and not self.process.stdin.closed:
            with contextlib.suppress(BrokenPipeError):
                self.process.stdin.close()

    def stop(self, grace_seconds: float) -> None:
        """End it and all its descendants, by force after ``grace_seconds``."""
        self.family()
        self.release()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(grace_seconds)
        _end(self.family(), 1.0)
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()
        if not self._watched:
            os.close(self._reader)


def _end(family: set[psutil.Process], grace_seconds: float) -> None:
    """Ask what is left of a family to end, then make it."""
    for process in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    end = time.monotonic() + grace_seconds
    _, alive = psutil.wait_procs(family, timeout=max(0.0, end - time.monotonic()))
    for process in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
