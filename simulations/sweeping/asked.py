"""What a sweep is asked to do: as typed, from a sweep file, or from a folder begun before.

A sweep file is TOML: ``experiment``, and if wanted ``set`` (a list of overrides), ``seeds``
and a table ``[vary]`` with a list of values for each dotted key. An experiment that is a file is
named as seen from the sweep file.
"""

import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import tomli_w

from common.configure import unknown
from common.failures import ConfigError, FolderError
from simulations.experiment_file import shipped

SHIPPED = Path(__file__).parents[1] / "sweeps"
FILE, BASE = "sweep.toml", "experiment.toml"
"""In the folder of a sweep: what was asked, and the experiment that is varied, resolved."""

DEFAULT_SEEDS = (0, 1, 2)
_KEYS = ("experiment", "set", "seeds", "vary")

Vary = tuple[tuple[str, tuple[Any, ...]], ...]
"""Dotted keys, each with its values, in the order in which they were typed."""


@dataclass(frozen=True)
class Asked:
    """One sweep.

    Attributes:
        name: of the experiment, under which the sweep is reported.
        source: what :func:`simulations.experiment_file.read` takes.
        overrides: TOML assignments that hold for every cell.
        vary: keys and values; none for seeds alone.
        seeds: every cell is run once with each.
    """

    name: str
    source: str
    overrides: tuple[str, ...] = ()
    vary: Vary = ()
    seeds: tuple[int, ...] = DEFAULT_SEEDS


def sweeps() -> list[str]:
    """The names of the sweeps that come with the project."""
    return sorted(path.stem for path in SHIPPED.glob("*.toml"))


def typed(
    name: str,
    vary: Sequence[str] = (),
    seeds: Sequence[int] | None = None,
    overrides: Sequence[str] = (),
) -> Asked:
    """The sweep that a call means.

    Args:
        name: of a shipped sweep or experiment, or a TOML file of either sort.
        vary: TOML assignments of lists; a key that a sweep file varies is varied anew.
        seeds: wins over those of a sweep file.
        overrides: applied after those of a sweep file.

    Raises:
        ConfigError: there is no such sweep, or something about it is wrong.
    """
    asked = _named(name)
    told = dict(asked.vary) | dict(varied(vary))
    return replace(
        asked,
        overrides=(*asked.overrides, *overrides),
        vary=tuple(told.items()),
        seeds=_checked(asked.seeds if seeds is None else seeds),
    )


def begun(folder: Path) -> Asked:
    """What the folder of a sweep says it is.

    Raises:
        FolderError: it is no such folder.
    """
    path = folder / FILE
    try:
        table = tomllib.loads(path.read_text("utf-8"))
        asked = _from(table, str(path))
    except OSError as error:
        raise FolderError(f"{folder} is not the folder of a sweep; give one with {FILE}") from error
    except ValueError as error:
        raise FolderError(f"{path} is damaged; give another --out") from error
    return replace(asked, source=str(folder / BASE))


def varied(texts: Sequence[str]) -> Vary:
    """Keys and values as typed, ``data.num_clients = [4, 16]``.

    Raises:
        ConfigError: it is not TOML, or no list of different values.
    """
    made: dict[str, tuple[Any, ...]] = {}
    for text in texts:
        try:
            table = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise ConfigError(
                f"--vary {text!r} is not TOML: {error}; write for example "
                "'data.num_clients = [4, 16]', and strings in quotes"
            ) from error
        made |= dict(_lists(table))
    return tuple(made.items())


def assignments(vary: Mapping[str, Sequence[Any]]) -> list[str]:
    """Values by dotted key, as TOML."""
    return [tomli_w.dumps({key: list(values)}) for key, values in vary.items()]


def _named(name: str) -> Asked:
    path = SHIPPED / f"{name}.toml" if name in sweeps() else Path(name)
    if path.suffix == ".toml" and path.is_file():
        table = _table(path)
        return _beside(path, _from(table, name)) if "vary" in table else Asked(name, name)
    if path.suffix != ".toml" and name not in shipped():
        raise ConfigError(unknown("sweep or experiment", name, [*sweeps(), *shipped()]))
    return Asked(name, name)


def _beside(path: Path, asked: Asked) -> Asked:
    """An experiment file is named as seen from the sweep file."""
    if not asked.source.endswith(".toml"):
        return asked
    return replace(asked, source=str(path.parent / asked.source))


def _table(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8-sig"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read as TOML; check the file") from error


def _from(table: Mapping[str, Any], where: str) -> Asked:
    for key in table:
        if key not in _KEYS:
            raise ConfigError(f"{where}: {unknown('key of a sweep', key, _KEYS)}")
    name, overrides = table.get("experiment"), table.get("set", [])
    if not isinstance(name, str):
        raise ConfigError(f"{where}: say which experiment is varied, experiment = 'synthetic'")
    if not isinstance(overrides, list) or not all(isinstance(item, str) for item in overrides):
        raise ConfigError(f"{where}: set must be a list of strings, ['data.num_clients = 8']")
    seeds = _checked(table.get("seeds", DEFAULT_SEEDS))
    return Asked(name, name, tuple(overrides), tuple(_lists(table.get("vary", {}))), seeds)


def _checked(seeds: Any) -> tuple[int, ...]:
    listed = list(seeds) if isinstance(seeds, list | tuple) else []
    whole = all(type(seed) is int and seed >= 0 for seed in listed)
    if not listed or not whole or len(set(listed)) < len(listed):
        raise ConfigError(f"seeds must be different whole numbers, got {seeds!r}; write [0, 1, 2]")
    return tuple(listed)


def _lists(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Every leaf by its dotted key; quoted and bare keys mean the same."""
    for part, found in table.items():
        key = f"{prefix}{part}"
        if isinstance(found, Mapping):
            yield from _lists(found, f"{key}.")
            continue
        if key == "seed":
            raise ConfigError("seeds are varied by --seeds 0,1,2, not by --vary")
        if not isinstance(found, list) or not found:
            raise ConfigError(f"{key}: write a list of values, {key} = [...]; got {found!r}")
        if len({json.dumps(value, sort_keys=True, default=str) for value in found}) < len(found):
            raise ConfigError(f"{key}: a value stands there twice; write each once")
        yield key, tuple(found)
