"""What a run is, kept from its first moment, so that nothing else is continued in its folder."""

import contextlib
import hashlib
import json
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from common.configure import dump
from common.failures import ConfigError, DataError, FolderError
from common.files import read_json, write_json
from simulations.environment import describe
from simulations.experiment import Experiment

PRIVATE = Path("checkpoint") / "private"
"""What the simulator keeps for itself; the server's process may not open it."""

_FILE = PRIVATE / "identity.json"
_PACKAGES = ("common", "clients", "server", "simulations")
_SHOWN = 3
_SCHEMA = 1
_CONTENT = "content"
_DIGITS = 16


def keep_identity(folder: Path, experiment: Experiment) -> None:
    """Write what decides the bits of a run: the experiment, its files, the program, the system."""
    (folder / PRIVATE).mkdir(mode=0o700, parents=True, exist_ok=True)
    write_json(folder / _FILE, _identity(experiment), mode=0o600)


def has_identity(folder: Path) -> bool:
    """Whether the run says what it is; those of earlier versions of the program do not."""
    return (folder / _FILE).is_file()


def refuse_change(folder: Path, experiment: Experiment) -> None:
    """Let pass only what is, in all that decides its bits, the run of the folder.

    Raises:
        FolderError: it is not; the differences are named.
    """
    try:
        was = read_json(folder / _FILE)
    except (OSError, ValueError) as error:
        raise FolderError(f"{folder / _FILE} is damaged; write --force-new-run") from error
    if changed := _differences(was, _identity(experiment)):
        raise refusal(folder, changed)


def identity_changes(folder: Path, experiment: Experiment) -> list[str]:
    """What is different now from when the run of the folder began; nothing if it did not say."""
    if not has_identity(folder):
        return []
    return _differences(read_json(folder / _FILE), _identity(experiment))


def content_changes(folder: Path, now: Mapping[str, str]) -> list[str]:
    """Which files of the user's hold something else now than when the run of the folder began.

    Args:
        folder: of the run; one that does not say has changed in nothing.
        now: what :func:`contents` finds.
    """
    try:
        was = read_json(folder / _FILE).get(_CONTENT, {})
    except (OSError, ValueError, AttributeError):
        return []
    return content_differences(was, now)


def contents(experiment: Experiment) -> dict[str, str]:
    """The hashes of all that an experiment reads and its settings do not pin, by key.

    What cannot be read is left out: whoever needs it says so, and why.
    """
    made, data = {}, experiment.data
    for key, part in (("dataset", data.dataset), ("partition", data.partition)):
        with contextlib.suppress(DataError, ConfigError):
            if found := part.content():
                made[f"content of data.{key}"] = found[:_DIGITS]
    return made


class Contents:
    """:func:`contents` of many experiments; what they have in common is read once."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._known: dict[str, dict[str, str]] = {}

    def of(self, experiment: Experiment) -> dict[str, str]:
        """What the files of an experiment hold."""
        told = dump(experiment)["data"]
        key = json.dumps([told["dataset"], told["partition"]], sort_keys=True, default=str)
        if key not in self._known:
            self._known[key] = contents(experiment)
        return self._known[key]


def content_differences(was: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """As :func:`changes`; what only one of both knows is no difference."""
    return changes(*_both(was, now))


def refusal(folder: Path, changed: list[str]) -> FolderError:
    """The line that shows what has changed."""
    more = f"; and {len(changed) - _SHOWN} more" if len(changed) > _SHOWN else ""
    told = "; ".join(changed[:_SHOWN]) + more
    return FolderError(
        f"{folder} holds another run ({told}); put back what it was, or write --force-new-run "
        "to move the folder aside and start anew"
    )


def changes(was: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Every leaf that differs, as ``key: was -> is``."""
    old, new = leaves(was), leaves(json.loads(json.dumps(now)))
    return [
        f"{key}: {_written(old, key)} -> {_written(new, key)}"
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key)
    ]


def _identity(experiment: Experiment) -> dict[str, Any]:
    about = describe()
    return {
        "schema": _SCHEMA,
        "experiment": dump(experiment),
        _CONTENT: contents(experiment),
        "program": {
            "code": _code(),
            "python": about["python"],
            "system": f"{platform.system()} {platform.machine()}",
            **about["versions"],
        },
    }


def _differences(was: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Contents that only one of them knows are no difference: the file is not there, or was not."""
    old, new = _both(was.get(_CONTENT, {}), now[_CONTENT])
    return changes(_comparable(was) | old, _comparable(now) | new)


def _both(was: Mapping[str, str], now: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    known = was.keys() & now.keys()
    return {key: was[key] for key in known}, {key: now[key] for key in known}


def _comparable(identity: Mapping[str, Any]) -> dict[str, Any]:
    """The experiment's keys as they are typed, and the program's."""
    return {**identity["experiment"], "program": identity["program"]}


def _code() -> str:
    """The first 16 digits of the SHA-256 over all our source files, names included."""
    home, digest = Path(__file__).resolve().parents[1], hashlib.sha256()
    for package in _PACKAGES:
        for path in sorted((home / package).rglob("*.py")):
            data = path.read_bytes()
            digest.update(f"{path.relative_to(home).as_posix()} {len(data)}\n".encode() + data)
    return digest.hexdigest()[:16]


def leaves(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Every leaf of a table of tables by its dotted path."""
    made: dict[str, Any] = {}
    for key, value in table.items():
        path = f"{prefix}{key}"
        made |= leaves(value, f"{path}.") if isinstance(value, Mapping) else {path: value}
    return made


def _written(table: Mapping[str, Any], key: str) -> str:
    return json.dumps(table[key]) if key in table else "not set"
