"""From TOML tables to components, and back.

A table names a component by ``kind``, the class name in snake_case; the other keys are
its fields. The components of a family live one per file in the family's package, or side
by side in its module; adding the file is all the registration there is.
"""

import dataclasses
import difflib
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterable, Mapping
from types import ModuleType, NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from pydantic import ValidationError

from common.failures import ConfigError

T = TypeVar("T")

_LIMITS = (("ge", "at least"), ("gt", "more than"), ("le", "at most"), ("lt", "less than"))


def kinds(family: type) -> list[str]:
    """Every ``kind`` that can stand where ``family`` is expected."""
    home = _home(family)
    if hasattr(home, "__path__"):
        names = (info.name for info in pkgutil.iter_modules(home.__path__))
        return sorted(name for name in names if not name.startswith("_"))
    return sorted(map(_snake_case, _members(home, family)))


def find(family: type[T], kind: str, where: str = "") -> type[T]:
    """The component class of that kind. Imports one file, not the whole family."""
    if kind not in kinds(family):
        raise ConfigError(unknown(f"{where or _snake_case(family.__name__)}", kind, kinds(family)))
    home = _home(family)
    if hasattr(home, "__path__"):
        home = importlib.import_module(f"{home.__name__}.{kind}")
    members = {_snake_case(name): member for name, member in _members(home, family).items()}
    if kind not in members:
        raise TypeError(f"{home.__name__} must define one {family.__name__} named like its file")
    return members[kind]


def load(target: type[T], table: Any, where: str = "") -> T:
    """Build ``target`` from a table, or say in one line which key is wrong and where.

    Args:
        target: a component class, or the abstract class of a family.
        table: a mapping; for a family also just the kind, as a string.
        where: the path of the table, for messages.

    Raises:
        ConfigError: an unknown key or kind, a wrong type, a value out of range.
    """
    if inspect.isabstract(target):
        table = _named(table, target, where)
        target = find(target, table.pop("kind"), where)
    if not isinstance(table, Mapping):
        raise ConfigError(f"{where or 'the experiment'} must be a table, got {table!r}")
    hints = get_type_hints(target)
    names = [field.name for field in dataclasses.fields(target) if field.init]  # type: ignore[arg-type]
    values = {}
    for key, raw in table.items():
        if key not in names:
            raise ConfigError(unknown(f"key in [{where}]" if where else "key", key, names))
        values[key] = _value(hints[key], raw, f"{where}.{key}".lstrip("."))
    try:
        return target(**values)
    except ValidationError as error:
        raise ConfigError(_one_line(error, where)) from error


def dump(made: Any) -> dict[str, Any]:
    """The table that :func:`load` turns into an equal component, every default written out."""
    table: dict[str, Any] = {}
    for field in dataclasses.fields(made):
        value = getattr(made, field.name)
        if value is not None:
            table[field.name] = _plain(value)
    return table


def kind_of(made: Any) -> str:
    """The ``kind`` under which this component is found."""
    return _snake_case(type(made).__name__)


def unknown(what: str, given: str, known: Iterable[str]) -> str:
    """One line about an unknown name, with the nearest known one."""
    known = sorted(known)
    if not known:
        return f"unknown {what} {given!r}; there is nothing to set here"
    close = difflib.get_close_matches(given, known, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}?" if close else f"write one of: {', '.join(known)}"
    return f"unknown {what} {given!r}; {hint}"


def _named(table: Any, family: type, where: str) -> dict[str, Any]:
    if isinstance(table, str):
        return {"kind": table}
    if not isinstance(table, Mapping) or not isinstance(table.get("kind"), str):
        choices = ", ".join(kinds(family))
        raise ConfigError(f"{where}: say which kind, {{ kind = '...' }}; one of {choices}")
    return dict(table)


def _value(hint: Any, raw: Any, where: str) -> Any:
    """Components are built here, first; plain values are left to pydantic."""
    if get_origin(hint) in (UnionType, Union):
        options = [arg for arg in get_args(hint) if arg is not NoneType]
        hint = options[0] if len(options) == 1 else object
        if inspect.isabstract(hint) and raw in ("none", {"kind": "none"}):
            return None  # TOML has no null
    if get_origin(hint) is tuple and isinstance(raw, list):
        inner, *_ = get_args(hint)
        return tuple(_value(inner, item, f"{where}[{i}]") for i, item in enumerate(raw))
    if isinstance(hint, type) and (inspect.isabstract(hint) or dataclasses.is_dataclass(hint)):
        return load(hint, raw, where)
    return raw


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        inherits = any(map(inspect.isabstract, inspect.getmro(type(value))[1:]))
        return ({"kind": kind_of(value)} if inherits else {}) | dump(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value


def _one_line(error: ValidationError, where: str) -> str:
    first = error.errors()[0]
    path = ".".join([where, *map(str, first["loc"])]).strip(".")
    if first["type"] == "value_error":
        return f"{path}: {first['ctx']['error']}".lstrip(": ")
    if first["type"] in ("missing", "missing_argument"):
        return f"{path} is missing; write it into [{where}]" if where else f"{path} is missing"
    limits = [
        f"{words} {first['ctx'][key]}" for key, words in _LIMITS if key in first.get("ctx", {})
    ]
    said = str(first["msg"]).removeprefix("Input should be ").lower()
    must = " and ".join(limits) or said.replace("a valid tuple", "a list")  # so TOML calls it
    return f"{path} must be {must}, got {first['input']!r}"


def _home(family: type) -> ModuleType:
    return importlib.import_module(family.__module__)


def _members(home: ModuleType, family: type[T]) -> dict[str, type[T]]:
    return {
        name: member
        for name, member in vars(home).items()
        if inspect.isclass(member)
        and issubclass(member, family)
        and member.__module__ == home.__name__
        and not inspect.isabstract(member)
    }


def _snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
