"""The cells of a sweep: every combination of values, with every seed, resolved and named."""

import hashlib
import itertools
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import tomli_w

from common.configure import dump
from common.failures import ConfigError
from simulations.experiment import Experiment
from simulations.experiment_file import read
from simulations.sweeping.asked import Asked

_LONGEST = 100
_DIGITS = 8


@dataclass(frozen=True)
class Cell:
    """One run of a sweep.

    Attributes:
        name: of its folder; its last part is the same for the same experiment in any grid.
        values: as written, one for each varied key.
        seed: of the run.
        experiment: resolved.
    """

    name: str
    values: tuple[str, ...]
    seed: int
    experiment: Experiment


def cells(asked: Asked) -> list[Cell]:
    """Every cell, the first key varying slowest and the seed fastest.

    Raises:
        ConfigError: a cell is no runnable experiment, or two cells are the same.
    """
    keys = [key for key, _ in asked.vary]
    made: dict[str, Cell] = {}
    for values in itertools.product(*(values for _, values in asked.vary)):
        told = tuple(map(written, values))
        for seed in asked.seeds:
            cell = _cell(asked, keys, values, told, seed)
            mark = cell.name[-_DIGITS:]
            if mark in made:
                raise ConfigError(
                    f"{', '.join(told)} is the same experiment as {', '.join(made[mark].values)}; "
                    "write one of them"
                )
            made[mark] = cell
    return list(made.values())


def written(value: Any) -> str:
    """A value as a person reads it: a table as its kind with its settings."""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        listed = ", ".join(f"{k}={written(v)}" for k, v in value.items() if k != "kind")
        kind = str(value.get("kind", ""))
        return f"{kind}({listed})" if listed else kind
    if isinstance(value, list):
        return f"[{', '.join(map(written, value))}]"
    return json.dumps(value, default=str)


def short(keys: Sequence[str]) -> list[str]:
    """The keys without their sections, where that leaves them different."""
    last = [key.rpartition(".")[2] for key in keys]
    return [a if last.count(a) == 1 else key for a, key in zip(last, keys, strict=True)]


def _cell(
    asked: Asked, keys: Sequence[str], values: Sequence[Any], told: tuple[str, ...], seed: int
) -> Cell:
    changed = [tomli_w.dumps(_nested(k, v)) for k, v in zip(keys, values, strict=True)]
    try:
        experiment = read(asked.source, [*asked.overrides, *changed], seed)
    except ConfigError as error:
        where = ", ".join(f"{k} = {v}" for k, v in zip(keys, told, strict=True))
        raise ConfigError(f"{where}: {error}" if where else str(error)) from error
    named = zip((*short(keys), "seed"), (*told, str(seed)), strict=True)
    readable = ",".join(f"{key}={_safe(value)}" for key, value in named)
    return Cell(f"{readable[:_LONGEST]}-{_mark(experiment)}", told, seed, experiment)


def _nested(key: str, value: Any) -> dict[str, Any]:
    head, _, rest = key.partition(".")
    return {head: _nested(rest, value) if rest else value}


def _safe(text: str) -> str:
    """Only what a file name may hold on every system."""
    return re.sub(r"[^A-Za-z0-9.+_-]+", "-", text).strip("-.")


def _mark(experiment: Experiment) -> str:
    text = json.dumps(dump(experiment), sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]
