"""One run under fire: begun anew, killed, gone on with, until it is complete or fails."""

import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from common.failures import Failure
from simulations.benches._command import Command
from simulations.benches._place import Calm, Place
from simulations.benches._processes import alive, awaited, dump, end, told
from simulations.benches._strikes import NONE, Kill, Marksman
from simulations.benches._traces import differences, litter, newborn

_GRACE_SECONDS: Final = 10.0  # for what ends by itself


@dataclass
class Run:
    """One run, from its first command to its last.

    Attributes:
        folder: of the run.
        place: where it is made.
        calm: what it is compared with.
        kills: that hit.
        exits: the exit codes of its commands, in order; None of one that hung.
        findings: everything that is not as promised.
        seconds: of all its commands together.
        complete: whether it came to its end.
    """

    folder: Path
    place: Place
    calm: Calm
    kills: list[Kill] = field(default_factory=list)
    exits: list[int | None] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    seconds: float = 0.0
    complete: bool = False
    _sessions: set[Path] = field(default_factory=set)
    _born: float = field(default_factory=time.time)

    def weather(self, marksman: Marksman) -> None:
        """Begin, and go on after every fatal kill, until complete or beyond help."""
        while not self.complete and not self.findings:
            self._attempt(marksman)
        if self.complete:
            self.findings += differences(self.calm.trace, self.folder)
            self.findings += litter(self.folder, self.place.cache)
        self.findings += self._remains()
        end(self.place.token)

    def _attempt(self, marksman: Marksman) -> None:
        """One command, and what hits it."""
        command = self.place.start(self.folder)
        kill = None
        if command.await_work(self.calm.limit):
            kill = self._under_fire(command, marksman)
        ended = command.wait(self.calm.limit - command.seconds)
        self.seconds += command.seconds
        self._sessions |= command.sessions
        if ended:
            self._judge(command, kill)
        else:
            self._give_up(command, kill)

    def _under_fire(self, command: Command, marksman: Marksman) -> Kill | None:
        """Shoot until something fatal was hit; return that, or None if the command goes on."""
        begun, after = time.monotonic(), 0.0
        while (moment := marksman.moment(after, self.calm.working)) is not None:
            if command.wait(moment - after):
                marksman.miss()
                return None
            after = time.monotonic() - begun
            kill = marksman.strike(command, after, lambda: self.place.stage(self.folder))
            self.kills += [kill] if kill.kind != NONE else []
            if kill.is_fatal:
                return kill
        return None

    def _judge(self, command: Command, kill: Kill | None) -> None:
        """What the end of a command means: complete, to be gone on with, or not as promised."""
        code = command.process.returncode
        self.exits.append(code)
        refuse_changed_code(command.last_words())
        self.complete = code == 0
        if code != 0 and kill is None:
            self.findings.append(f"exit code {code} for no reason: {command.last_words()}")
        if b"Traceback" in command.log.read_bytes():
            self.findings.append(f"a traceback on the screen; see {command.log.name}")

    def _give_up(self, command: Command, kill: Kill | None) -> None:
        """Report a command that hangs, with its processes, and end it."""
        self.exits.append(None)
        after = f"after {kill.kind} was killed in {kill.stage}" if kill else "for no reason"
        there = ", ".join(map(told, alive(self.place.token)))
        self.findings.append(f"hangs {after} ({command.seconds:.0f} s): {there}")
        dump(self.place.token)
        end(self.place.token)
        command.process.wait()
        for path in self._sessions:  # whoever would have removed them was just killed
            shutil.rmtree(path, ignore_errors=True)

    def _remains(self) -> list[str]:
        """Processes and session folders that are still there after a while."""
        until = time.monotonic() + _GRACE_SECONDS
        left = awaited(self.place.token, _GRACE_SECONDS)
        found = [f"still running: {told(process)}" for process in left]
        while (folders := self._folders()) and time.monotonic() < until:
            time.sleep(1.0)
        return found + [f"left behind: {path}" for path in sorted(folders)]

    def _folders(self) -> set[Path]:
        """Ray's session folders that this run has left."""
        if self.place.plan.backend != "ray":
            return set()
        seen = {path for path in self._sessions if path.exists()}
        return seen | newborn(Path("/tmp").glob("fedknot-ray-*"), self._born)


def refuse_changed_code(line: str) -> None:
    """Stop where a run is refused only because somebody has changed the program meanwhile.

    Raises:
        Failure: that is so; nothing can be said about recovery then.
    """
    if "program.code" in line:
        raise Failure("the program's files were changed meanwhile; leave them alone and try again")
