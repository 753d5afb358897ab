"""Who runs in a comparison: what is asked for, and the controls nobody has to ask for."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import Literal

from common.failures import ConfigError
from common.labels import LabelGeometry
from server.aggregators.mean import Mean
from server.geometries.discrete import Discrete
from server.geometries.given import Given
from server.geometries.permuted import Permuted
from server.losses import DistillationLoss
from server.losses.kl import Kl
from server.losses.symmetric_kl import SymmetricKl
from simulations.comparing.arms import Arm, looks_at_geometry, written
from simulations.comparing.choices import Choices
from simulations.comparing.evidence import FREE

Role = Literal["asked", "control", "base"]

_FREE: dict[str, DistillationLoss] = dict(zip(FREE, (Kl(), SymmetricKl()), strict=True))


@dataclass(frozen=True)
class Entry:
    """One arm of a comparison.

    Attributes:
        arm: what it does.
        name: unlike that of any other arm.
        role: ``asked`` for, added as a ``control``, or the ``base`` run's own, which is
            always there because it must come out as the run itself did.
        refused: why it cannot be served; None if it can.
        controls: for an arm with a verdict, the arms it is held against, by the names of
            :data:`simulations.comparing.evidence.CONTROLS`; empty for all others.
    """

    arm: Arm
    name: str
    role: Role
    refused: str | None
    controls: Mapping[str, Arm]


def line_up(choices: Choices, own: Arm, labels: LabelGeometry) -> tuple[list[Entry], list[str]]:
    """Every arm that is asked for, then its controls, then the run's own if it is neither.

    Args:
        choices: what is compared: every loss with every weighting, aggregator and geometry.
        own: what the base run does.
        labels: the data set's labels; they decide who can be served.

    Returns:
        The arms, and notes about what was left out.

    Raises:
        ConfigError: an arm that is asked for by name cannot serve these labels.
    """
    asked, notes = _asked(choices, labels)
    held = {arm: _controls(arm) for arm in asked}
    free = [_free(arm, loss) for arm in asked for loss in _FREE.values()]
    added = _unique([*free, *(c for found in held.values() for c in found.values())])
    own = own.bare()
    roles: dict[Arm, Role] = {own: "base"}
    roles.update((arm, "control") for arm in added)
    roles.update((arm, "asked") for arm in asked)
    ordered = _unique([*asked, *added, own])
    several = len({arm.aggregator for arm in ordered}) > 1
    entries = [
        Entry(arm, arm.name(several), roles[arm], arm.refusal(labels), held.get(arm, {}))
        for arm in ordered
    ]
    return entries, notes


def _asked(choices: Choices, labels: LabelGeometry) -> tuple[list[Arm], list[str]]:
    grid = product(choices.weightings, choices.aggregators, choices.losses, choices.geometries)
    arms = _unique(Arm(loss, w, a, g).bare() for w, a, loss, g in grid)
    refused = {arm: why for arm in arms if (why := arm.refusal(labels)) is not None}
    if refused and not choices.lenient:
        raise ConfigError(next(iter(refused.values())))
    notes = {f"{_pair(arm)} is left out: {why}" for arm, why in refused.items()}
    served = [arm for arm in arms if arm not in refused]
    if not served:
        raise ConfigError("no loss that is asked for can serve these labels; see fedknot list")
    return served, sorted(notes)


def _pair(arm: Arm) -> str:
    costs = f" with the {arm.costs} geometry" if arm.costs else ""
    return f"{written(arm.loss)}{costs}"


def _controls(arm: Arm) -> dict[str, Arm]:
    """What an arm with geometry is held against; nothing for those without, or spoilt."""
    if arm.geometry is None or isinstance(arm.geometry, Permuted | Discrete):
        return {}
    given = isinstance(arm.geometry, Given)
    spoilt = {
        "permuted": replace(arm, geometry=Permuted()) if given else replace(arm, over=Permuted()),
        "discrete": replace(arm, geometry=Discrete()),
    }
    return {name: _free(arm, loss) for name, loss in _FREE.items()} | spoilt


def _free(arm: Arm, loss: DistillationLoss) -> Arm:
    """The control without geometry: where the aggregator looks at it, over the plain mean."""
    blind = Mean() if looks_at_geometry(arm.aggregator) else arm.aggregator
    return Arm(loss, arm.weighting, blind, None)


def _unique(arms: Iterable[Arm]) -> list[Arm]:
    return list(dict.fromkeys(arms))
