"""The command as somebody types it, in a process of its own or in this one."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from common.files import read_json
from simulations import cli
from tests.worlds import TINY

ROOT = Path(__file__).parents[2]
SMALL = ("synthetic", *(word for override in TINY for word in ("--set", override)))
"""The words for a run of a second."""

INLINE = ("--backend", "inline", "--quiet")

# Who works on the program while its tests run changes its code, and that is refused.
FROZEN = "import simulations.identity as i; i._code = lambda: 'the same code'"
MAIN = f"{FROZEN}\nfrom simulations.cli import main; main()"


@dataclass(frozen=True)
class Ended:
    """What a person sees of a command that has ended."""

    code: int
    out: str
    err: str

    def is_one_line(self, *hints: str) -> bool:
        """Whether the error is one line for a person, in which these words stand."""
        told = self.err.startswith("fedknot: ") and self.err.count("\n") == 1
        return told and "Traceback" not in self.err and all(hint in self.err for hint in hints)


def begun(*words, before=(), env=None, cwd=ROOT):
    """The command as a process of its own that has just been started.

    Args:
        words: of the command.
        before: words of a programme that starts it, such as ``prlimit``.
        env: variables besides those of this process; None takes one away.
        cwd: where it is typed.
    """
    told = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)} | (env or {})
    return subprocess.Popen(
        [*map(str, before), sys.executable, "-c", MAIN, *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        errors="surrogateescape",
        cwd=cwd,
        env={name: value for name, value in told.items() if value is not None},
    )


def ended(process, seconds=200):
    """Wait for a command of :func:`begun`."""
    try:
        out, err = process.communicate(timeout=seconds)
    finally:
        process.kill()
        process.wait()
    return Ended(process.returncode, out, err)


def fedknot(*words, **more):
    """Type the command in a process of its own and wait until it has ended."""
    return ended(begun(*words, **more))


def called(monkeypatch, capsys, *words):
    """The same in this process: for what files alone decide."""
    monkeypatch.setattr(sys, "argv", ["fedknot", *map(str, words)])
    capsys.readouterr()
    code = cli._call()
    return Ended(code, *capsys.readouterr())


def summary_of(folder):
    return read_json(folder / "summary.json")


def hashes_of(folder):
    return summary_of(folder)["hashes"]
