"""The experiment's TOML file: found, read, overridden and written."""

import difflib
import tomllib
from pathlib import Path
from typing import Any

import tomli_w

from clients.config import ClientConfig
from common.configure import dump, load, unknown
from common.failures import ConfigError
from server.config import ServerConfig
from simulations.experiment import DataConfig, Experiment, WireConfig

SHIPPED = Path(__file__).parent / "experiments"
_INSTEAD = {"teacher": "teachers", "teachers": "teacher"}


def shipped() -> list[str]:
    """The names of the experiments that come with the project."""
    return sorted(path.stem for path in SHIPPED.glob("*.toml"))


def read(name: str, overrides: list[str] | None = None, seed: int | None = None) -> Experiment:
    """The experiment of a shipped name or a TOML file, with overrides applied in order.

    Args:
        name: a name of :func:`shipped`, or a path that ends in ``.toml``.
        overrides: TOML assignments; ``;`` outside strings separates several.
        seed: wins over ``overrides``.

    Raises:
        ConfigError: anything about it that does not describe a runnable experiment.
    """
    table = _parse(_text(_locate(name)), name)
    for override in overrides or []:
        for statement in _statements(override):
            table = _merged(table, _parse(statement, f"--set {statement!r}"))
    if seed is not None:
        table["seed"] = seed
    _hint_section(table)
    _hint_partition(table)
    return load(Experiment, table)


def to_toml(experiment: Experiment) -> str:
    """The experiment with every default written out."""
    return tomli_w.dumps(dump(experiment))


def _locate(name: str) -> Path:
    if name.endswith(".toml"):
        if not Path(name).is_file():
            raise ConfigError(f"there is no experiment file {name}; check the path")
        return Path(name)
    if name not in shipped():
        raise ConfigError(unknown("experiment", name, shipped()))
    return SHIPPED / f"{name}.toml"


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read as UTF-8 text; check the file") from error


def _parse(text: str, source: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(
            f"{source} is not TOML: {error}; write for example data.num_clients = 8, "
            "and strings in quotes"
        ) from error


def _statements(text: str) -> list[str]:
    """Cut at every ``;`` that is not inside a string."""
    parts, quote, escaped = [""], "", False
    for char in text:
        if escaped:
            parts[-1], escaped = parts[-1] + char, False
            continue
        escaped = char == "\\" and quote == '"'
        if char == ";" and not quote:
            parts.append("")
            continue
        if char in "\"'":
            quote = "" if char == quote else quote or char
        parts[-1] += char
    return [part.strip() for part in parts if part.strip()]


def _merged(table: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Deep merge; a table that names a new ``kind`` replaces the old one whole.

    Of two keys that exclude each other the later one stays.
    """
    merged = {key: old for key, old in table.items() if _INSTEAD.get(key) not in changes}
    for key, new in changes.items():
        old = merged.get(key)
        if isinstance(old, str) and isinstance(new, dict) and "kind" not in new:
            old = {"kind": old}
        if isinstance(old, dict) and isinstance(new, dict) and "kind" not in new:
            new = _merged(old, new)
        merged[key] = new
    return merged


def _hint_section(table: dict[str, Any]) -> None:
    """A key that stands at the top but belongs into a section is named with its section."""
    sections = {
        "data": DataConfig,
        "clients": ClientConfig,
        "server": ServerConfig,
        "wire": WireConfig,
    }
    top = set(Experiment.__dataclass_fields__)
    inside = {
        f"{section}.{key}": key
        for section, config in sections.items()
        for key in config.__dataclass_fields__  # type: ignore[attr-defined]
    }
    for key in table.keys() - top:
        if difflib.get_close_matches(key, top, n=1, cutoff=0.8):
            continue
        if close := difflib.get_close_matches(key, inside.values(), n=1, cutoff=0.8):
            path = next(path for path, name in inside.items() if name == close[0])
            raise ConfigError(f"unknown key {key!r}; did you mean {path!r}?")


def _hint_partition(table: dict[str, Any]) -> None:
    """Rows are dealt once; who writes several partitions is told how skews go together."""
    data = table.get("data")
    if isinstance(data, dict) and isinstance(data.get("partition"), list):
        raise ConfigError(
            "data.partition is one table, for rows are dealt once; for natural groups and another "
            "skew write { kind = 'within_groups', partition = { kind = '...' } }, for label shares "
            "and sizes 'quantity' with an alpha, for few labels and sizes 'pathological_quantity'"
        )
