"""Faults on demand, for tests: off unless the environment names a file when a process starts.

``FEDKNOT_FAULTS`` is the absolute path of a JSON file with a list of faults, each of which
kills, delays or pauses a process, spoils an answer or replaces it by a well-formed lie, or makes a
party break its promises::

    [{"kill": "worker", "phase": "train", "client": 2, "times": 1},
     {"sleep": 30, "phase": "predict", "client": 0},
     {"pause": "/some/file", "phase": "served"},
     {"malform": "truncated", "client": 1, "round": 2},
     {"lie": "reversed", "client": 3},
     {"leak": "metric_value", "client": 2}]

Nothing that a peer sends can set the variable, and a run in which any process had it says so
in its summary. Without it every function here returns at once.
"""

import json
import os
import signal
import time
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any, Final

from common.failures import ConfigError
from common.files import write_bytes

VARIABLE: Final = "FEDKNOT_FAULTS"
STAMP: Final = "faults.json"

PHASES: Final = {
    "provisioned": "provision",
    "encode": "worker",
    "train": "worker",
    "refine": "worker",
    "key": "worker",
    "predict": "worker",
    "asked": "server",
    "answered": "server",
    "learned": "server",
    "served": "server",
}
"""Where a fault may act, and whose process that is. Workers act before the task itself."""

LEAKS: Final = {
    **dict.fromkeys(("status_name", "context_state", "print", "stderr", "log"), "train"),
    **dict.fromkeys(("extra_record", "extra_metric", "metric_name", "metric_value"), "predict"),
    **dict.fromkeys(("array_name", "array_type", "trailing_bytes", "spare_bytes"), "predict"),
    **dict.fromkeys(("wrong_sum", "stray_answer"), "predict"),
    **dict.fromkeys(("error_text", "error_outside", "teacher_file"), "predict"),
    **dict.fromkeys(("path_file", "label_file", "print_number"), "predict"),
    **dict.fromkeys(("server_import", "server_open", "server_read"), "answered"),
}
"""Promises that can be broken, and in which phase."""

MALFORMATIONS: Final = ("wrong_sum", "truncated", "trailing", "other_client", "other_round")
"""Ways to spoil an answer that gives nothing away, which any store allows."""

LIES: Final = ("reversed", "certain")
"""Other answers of the agreed form, in place of the client's own; only where single ones cross."""

_ACTS: Final = ("kill", "sleep", "pause", "leak", "malform", "lie")
_POLL_SECONDS = 0.05
# Read when the process starts: what changes the environment later, changes nothing.
_NAMED: Final = os.environ.get(VARIABLE)


@dataclass(frozen=True)
class Fault:
    """One entry of the file.

    Attributes:
        number: its place in the file.
        act: "kill", "sleep", "pause", "leak", "malform" or "lie".
        what: whose process to kill, seconds, the file whose making ends the pause, a leak, a
            malformation, a lie.
        phase: where it acts.
        client: only there, or None for every client.
        round: only then, or None for every round.
        times: how often in all processes together, or None for always.
    """

    number: int
    act: str
    what: Any
    phase: str
    client: int | None = None
    round: int | None = None
    times: int | None = None


def on() -> bool:
    """Whether this process was started to have faults.

    Raises:
        ConfigError: it was, but the file does not say which.
    """
    if _NAMED is None:
        return False
    _plan()
    return True


def reach(phase: str, *, client: int | None = None, server_round: int | None = None) -> None:
    """Be killed, wait or pause here, if a fault says so."""
    for fault in _due(phase, client, server_round, ("kill", "sleep", "pause")):
        if fault.act == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif fault.act == "sleep":
            time.sleep(fault.what)
        else:
            _pause(Path(fault.what))


def leaks(phase: str, *, client: int | None = None, server_round: int | None = None) -> list[str]:
    """Names of the promises to break here."""
    return [str(fault.what) for fault in _due(phase, client, server_round, ("leak",))]


def malformations(*, client: int, server_round: int) -> list[str]:
    """How to spoil this client's answer."""
    return [str(fault.what) for fault in _due("predict", client, server_round, ("malform",))]


def lies(*, client: int, server_round: int) -> list[str]:
    """What this client says instead of what it knows."""
    return [str(fault.what) for fault in _due("predict", client, server_round, ("lie",))]


def stamp(folder: Path) -> None:
    """Leave a copy of the faults in a folder, so that nobody takes it for a clean one's."""
    if _NAMED is not None and folder.is_dir() and not (folder / STAMP).exists():
        write_bytes(folder / STAMP, Path(_NAMED).read_bytes(), 0o600)


def stamped(folder: Path) -> bool:
    """Whether the run in ``folder``, or any of its clients, was made to have faults."""
    places = [folder, *folder.glob("clients/*")]
    return _NAMED is not None or any((place / STAMP).exists() for place in places)


def _due(
    phase: str, client: int | None, server_round: int | None, acts: tuple[str, ...]
) -> list[Fault]:
    if _NAMED is None:
        return []
    return [
        fault
        for fault in _plan()
        if fault.phase == phase
        and fault.act in acts
        and fault.client in (None, client)
        and fault.round in (None, server_round)
        and _spend(fault)
    ]


def _spend(fault: Fault) -> bool:
    """Count one time, in a file beside the faults: whoever is killed must not forget it."""
    for n in range(fault.times or 1):
        try:
            os.close(os.open(f"{_NAMED}.{fault.number}.{n}", os.O_CREAT | os.O_EXCL, 0o600))
        except FileExistsError:
            continue
        return True
    return fault.times is None


def _pause(until: Path) -> None:
    """Say that we are here, and go on when the file is there."""
    Path(f"{until}.reached").write_text(str(os.getpid()))
    while not until.exists():
        time.sleep(_POLL_SECONDS)


@cache
def _plan() -> tuple[Fault, ...]:
    return () if _NAMED is None else read(Path(_NAMED))


def read(path: Path) -> tuple[Fault, ...]:
    """The faults in a file.

    Raises:
        ConfigError: the file is not there, or an entry cannot be followed.
    """
    if not path.is_absolute():
        raise ConfigError(f"{VARIABLE} must be an absolute path, got {str(path)!r}")
    try:
        entries = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigError(f"{VARIABLE} names {path}, which is no JSON file that I can read") from (
            error
        )
    if not isinstance(entries, list):
        raise ConfigError(f"{path} must hold a JSON list of faults")
    return tuple(_fault(number, entry) for number, entry in enumerate(entries))


def _fault(number: int, entry: Any) -> Fault:
    table = dict(entry) if isinstance(entry, dict) else {}
    acts = [act for act in _ACTS if act in table]
    known = {*_ACTS, *(field.name for field in fields(Fault)[3:])}
    if len(acts) != 1 or not set(table) <= known:
        raise ConfigError(
            f"fault {number} must have exactly one of {', '.join(_ACTS)}, and else only "
            "phase, client, round, times"
        )
    what = table.pop(acts[0])
    own = {"leak": LEAKS.get(what) if isinstance(what, str) else None, "malform": "predict"}
    own["lie"] = "predict"
    phase = table.pop("phase", own.get(acts[0]))
    _check(number, acts[0], what, phase)
    return Fault(number, acts[0], what, phase, **table)


def _check(number: int, act: str, what: Any, phase: Any) -> None:
    if act == "leak" and (what not in LEAKS or phase != LEAKS[what]):
        raise ConfigError(f"fault {number}: a leak is one of {', '.join(LEAKS)}, in its own phase")
    if act == "malform" and (what not in MALFORMATIONS or phase != "predict"):
        raise ConfigError(f"fault {number}: malform takes one of {', '.join(MALFORMATIONS)}")
    if act == "lie" and (what not in LIES or phase != "predict"):
        raise ConfigError(f"fault {number}: lie takes one of {', '.join(LIES)}")
    if phase not in PHASES:
        raise ConfigError(f"fault {number}: phase must be one of {', '.join(PHASES)}")
    if act == "kill" and what != PHASES[phase]:
        raise ConfigError(f"fault {number}: in phase {phase} the process is {PHASES[phase]!r}")
    if act == "sleep" and not (isinstance(what, int | float) and what >= 0):
        raise ConfigError(f"fault {number}: sleep takes seconds")
    if act == "pause" and not (isinstance(what, str) and os.path.isabs(what)):
        raise ConfigError(f"fault {number}: pause takes the absolute path of the file to wait for")
