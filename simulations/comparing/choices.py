"""What a comparison is asked to vary: lists of kinds, as they are typed."""

import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from common.configure import kinds, load
from common.failures import ConfigError
from server.aggregators import Aggregator
from server.geometries import Geometry
from server.losses import DistillationLoss
from server.losses.kl import Kl
from server.losses.symmetric_kl import SymmetricKl
from server.weightings import Weighting
from server.weightings.uniform import Uniform
from simulations.coherence import check_disclosed
from simulations.experiment import Experiment

T = TypeVar("T")


@dataclass(frozen=True)
class Asked:
    """The lists as typed; None for what is left to the experiment.

    Each item is a kind, an inline table ``{ kind = "sinkhorn", epsilon = 0.05 }``, or
    ``all`` for every kind that can serve the labels.

    Attributes:
        losses: default: the experiment's own, ``kl`` and ``symmetric_kl``.
        weightings: default: the experiment's own and ``uniform``.
        aggregators: default: the experiment's own.
        geometries: default: the experiment's own.
    """

    losses: str | None = None
    weightings: str | None = None
    aggregators: str | None = None
    geometries: str | None = None


@dataclass(frozen=True)
class Choices:
    """The components that are compared.

    Attributes:
        losses: at least one, like all four; without repetition.
        weightings: whom to believe.
        aggregators: from opinions to targets.
        geometries: the ground cost.
        lenient: whether ``all`` stands among losses or geometries, so that a pair that does
            not fit is left out; otherwise it is refused.
        notes: what ``all`` left out, and why.
    """

    losses: tuple[DistillationLoss, ...]
    weightings: tuple[Weighting, ...]
    aggregators: tuple[Aggregator, ...]
    geometries: tuple[Geometry, ...]
    lenient: bool = False
    notes: tuple[str, ...] = ()


def choose(asked: Asked, experiment: Experiment) -> Choices:
    """Read the lists; ``experiment`` gives the defaults and says what clients disclose.

    Raises:
        ConfigError: an unknown kind or setting, an empty list, or a weighting that needs
            what clients do not disclose.
    """
    server = experiment.server

    def weighs(weighting: Weighting) -> None:
        check_disclosed(experiment, weighting)

    notes: list[str] = []
    losses = [server.loss, Kl(), SymmetricKl()]
    items = split_list(asked.losses or "") + split_list(asked.geometries or "")
    # mypy wants concrete classes; the finder takes the families, which are abstract.
    return Choices(
        _read(DistillationLoss, asked.losses, losses, _fits, notes),  # type: ignore[type-abstract]
        _read(Weighting, asked.weightings, [server.weighting, Uniform()], weighs, notes),  # type: ignore[type-abstract]
        _read(Aggregator, asked.aggregators, [server.aggregator], _fits, notes),  # type: ignore[type-abstract]
        _read(Geometry, asked.geometries, [server.geometry], _fits, notes),  # type: ignore[type-abstract]
        lenient="all" in items,
        notes=tuple(notes),
    )


def split_list(text: str) -> list[str]:
    """Cut at every comma that is not inside braces, brackets or a string."""
    parts, quote, depth = [""], "", 0
    for char in text:
        if char == "," and not quote and not depth:
            parts.append("")
            continue
        if char in "\"'":
            quote = "" if char == quote else quote or char
        elif not quote:
            depth += (char in "{[") - (char in "}]")
        parts[-1] += char
    return [part.strip() for part in parts if part.strip()]


def _read(
    family: type[T],
    text: str | None,
    own: Sequence[T],
    check: Callable[[T], None],
    notes: list[str],
) -> tuple[T, ...]:
    """The components of one list without repetition; ``notes`` is told what ``all`` left out."""
    if text is None:
        return tuple(dict.fromkeys(own))
    where, made = f"server.{_KEYS[family]}", list[T]()
    for item in split_list(text):
        if item == "all":
            made += _all(family, where, check, notes)
            continue
        part = load(family, read_item(item, where), where)
        check(part)
        made.append(part)
    if not made:
        raise ConfigError(f"{where}: nothing to compare; write one of {', '.join(kinds(family))}")
    return tuple(dict.fromkeys(made))


def _all(family: type[T], where: str, check: Callable[[T], None], notes: list[str]) -> list[T]:
    made = []
    for kind in kinds(family):
        try:
            part = load(family, kind, where)
            check(part)
        except (ConfigError, ImportError) as error:
            notes.append(f"{kind} is left out: {error}")
        else:
            made.append(part)
    return made


def read_item(item: str, where: str) -> Any:
    """A kind as it stands; anything with braces is read as TOML.

    Raises:
        ConfigError: it is none; ``where`` is named.
    """
    if not item.startswith("{"):
        return item.strip("\"'")
    try:
        return tomllib.loads(f"item = {item}")["item"]
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(
            f'{where}: {item} is not TOML; write {{ kind = "...", key = value }}'
        ) from error


def _fits(part: object) -> None:
    del part


_KEYS: dict[type, str] = {
    DistillationLoss: "loss",
    Weighting: "weighting",
    Aggregator: "aggregator",
    Geometry: "geometry",
}
