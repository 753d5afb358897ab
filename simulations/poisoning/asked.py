"""What ``fedknot poison`` is asked to try, read from the lists as they are typed."""

from dataclasses import dataclass
from itertools import product
from typing import Any

from common.configure import find, kinds, load
from common.failures import ConfigError
from server.aggregators import Aggregator
from simulations.comparing.arms import Arm
from simulations.comparing.choices import Asked as Lists
from simulations.comparing.choices import choose, read_item, split_list
from simulations.comparing.comparison import base_of
from simulations.experiment import Experiment
from simulations.poisons import Poison
from simulations.runner import Backend


@dataclass(frozen=True)
class Asked:
    """The lists as typed; None for what is left to the command.

    Attributes:
        poisons: default: every kind.
        aggregators: default: the experiment's own, ``mean`` and every robust one.
        weightings: default: the experiment's own and ``uniform``.
        losses: default: the experiment's own.
        shares: of the clients, that lie.
    """

    poisons: str | None = None
    aggregators: str | None = None
    weightings: str | None = None
    losses: str | None = None
    shares: str = "0,0.1,0.2,0.3"


@dataclass(frozen=True)
class Call:
    """How the command was called.

    Attributes:
        experiment: whose clients lie; its seed is not used.
        name: under which it is reported.
        asked: what is tried.
        seeds: one base run each.
        backend: of the base runs.
    """

    experiment: Experiment
    name: str
    asked: Asked
    seeds: tuple[int, ...]
    backend: Backend


@dataclass(frozen=True)
class Case:
    """Who lies, and how.

    Attributes:
        poison: None if nobody does.
        attackers: how many.
    """

    poison: Poison | None
    attackers: int


@dataclass(frozen=True)
class Plan:
    """Everything that is tried on every seed.

    Attributes:
        base: the experiment, as it is run.
        arms: the server's ways to learn.
        poisons: the lies.
        counts: numbers of attackers, ascending, from 0.
        notes: what had to be changed or left out.
    """

    base: Experiment
    arms: tuple[Arm, ...]
    poisons: tuple[Poison, ...]
    counts: tuple[int, ...]
    notes: tuple[str, ...]

    @property
    def cases(self) -> list[Case]:
        """Nobody lies; then each poison with each number of attackers."""
        lies = product(self.poisons, (count for count in self.counts if count))
        return [Case(None, 0), *(Case(poison, count) for poison, count in lies)]


def plan(call: Call) -> Plan:
    """Read the lists.

    Raises:
        ConfigError: an unknown kind or setting, a share that is none, or an experiment whose
            answers cannot be replaced.
    """
    _check(call.experiment)
    asked, server = call.asked, call.experiment.server
    lists = Lists(asked.losses, asked.weightings, asked.aggregators or ",".join(usual()))
    choices = choose(lists, call.experiment)
    base, notes = base_of(call.experiment, choices)
    losses = choices.losses if asked.losses else (server.loss,)
    own = () if asked.aggregators else (server.aggregator,)
    grid = product(losses, choices.weightings, dict.fromkeys((*own, *choices.aggregators)))
    arms = dict.fromkeys(Arm(x, w, a, server.geometry).bare() for x, w, a in grid)
    counts = read_shares(asked.shares, base.data.num_clients)
    told = (*choices.notes, *notes)
    return Plan(base, tuple(arms), read_poisons(asked.poisons), counts, told)


def usual() -> tuple[str, ...]:
    """The kinds of aggregators that are tried if nobody asks for others: the robust beside mean."""
    every = kinds(Aggregator)
    return ("mean", *(kind for kind in every if find(Aggregator, kind).robust))  # type: ignore[type-abstract]


def read_poisons(text: str | None) -> tuple[Poison, ...]:
    """The lies of one list without repetition; every kind if it is None or says ``all``.

    Raises:
        ConfigError: an unknown kind or setting, or an empty list.
    """
    items = split_list("all" if text is None else text)
    if not items:
        raise ConfigError(f"--poisons: nothing to try; write one of {', '.join(kinds(Poison))}")
    told: list[Any] = []
    for item in items:
        told += kinds(Poison) if item == "all" else [read_item(item, "--poisons")]
    # mypy wants a concrete class; the finder takes the family, which is abstract.
    made = [load(Poison, table, "--poisons") for table in told]  # type: ignore[type-abstract]
    return tuple(dict.fromkeys(made))


def read_shares(text: str, num_clients: int) -> tuple[int, ...]:
    """Shares of the clients as typed, as numbers of attackers: the nearest, and always 0.

    Raises:
        ConfigError: they are not numbers from 0 to less than 1.
    """
    try:
        shares = [float(word) for word in text.split(",") if word.strip()]
    except ValueError:
        shares = []
    if not shares or not all(0 <= share < 1 for share in shares):
        raise ConfigError(f"--shares must be from 0 to below 1, got {text!r}; write 0,0.1,0.3")
    nearest = {min(int(share * num_clients + 0.5), num_clients - 1) for share in shares}
    return tuple(sorted(nearest | {0}))


def _check(experiment: Experiment) -> None:
    if experiment.wire.secure_sum:
        raise ConfigError(
            "poison replaces the predictions of single clients, and a secure sum hides them; "
            'write --set "wire.secure_sum = false"'
        )
    if experiment.clients.num_subclasses > 1:
        raise ConfigError(
            "poison lies about labels, not about subclasses; write --set "
            "\"clients.subclasses = 'none'\""
        )
