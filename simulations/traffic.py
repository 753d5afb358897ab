"""What would cross in a run in which nobody drops out: bytes and messages, round by round."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from common.messages import Question
from common.rosters import KEY_BYTES, Roster
from common.seeds import derive, stream
from common.terms import Terms
from simulations.experiment import Experiment


@dataclass(frozen=True)
class Load:
    """What each client that is asked in a round sends and gets.

    Attributes:
        clients: who is asked.
        up: bytes of each kind of message that one client sends.
        down: bytes of each message that one client gets, by what it is.
    """

    clients: frozenset[int]
    up: Mapping[str, int]
    down: Mapping[str, tuple[int, ...]]

    @property
    def bytes_up(self) -> int:
        """Of one client."""
        return sum(self.up.values())

    @property
    def bytes_down(self) -> int:
        """Of one client."""
        return sum(map(sum, self.down.values()))


def cohorts(experiment: Experiment) -> list[frozenset[int]]:
    """Whom each round asks, drawn as the server will draw them."""
    seed, clients = derive(experiment.seed, "server"), experiment.data.num_clients
    draw = experiment.server.cohort.draw
    return [
        frozenset(draw(number, clients, experiment.k_min, stream(seed, "cohort", number)))
        for number in range(1, experiment.num_rounds + 1)
    ]


def loads(experiment: Experiment, terms: Terms) -> list[Load]:
    """One load for each round."""
    return [
        Load(asked, _up(terms, number), _down(terms, number, asked))
        for number, asked in enumerate(cohorts(experiment), start=1)
    ]


def traffic(rounds: list[Load]) -> dict[str, Any]:
    """The part of a plan about bytes, in the words of ``summary.json`` and the privacy report.

    Returns:
        ``bytes_up``, ``bytes_down`` and ``messages`` (accepted answers) of the whole run;
        ``bytes_up_per_client`` and ``bytes_down_per_client``, means over those that are ever asked;
        ``.._and_round``, the largest of one client in one round; ``rounds``, each with how many are
        ``asked``, and bytes ``up`` and ``down`` of one of them; ``crossing``, messages and bytes by
        direction and ``what`` they are.
    """
    up = sum(len(load.clients) * load.bytes_up for load in rounds)
    down = sum(len(load.clients) * load.bytes_down for load in rounds)
    ever = len(frozenset[int]().union(*(load.clients for load in rounds)))
    return {
        "bytes_up_per_client_and_round": max(load.bytes_up for load in rounds),
        "bytes_down_per_client_and_round": max(load.bytes_down for load in rounds),
        "bytes_up_per_client": round(up / ever),
        "bytes_down_per_client": round(down / ever),
        "bytes_up": up,
        "bytes_down": down,
        "messages": sum(len(load.clients) for load in rounds),
        "clients_asked": ever,
        "rounds": [
            {"round": n, "asked": len(load.clients), "up": load.bytes_up, "down": load.bytes_down}
            for n, load in enumerate(rounds, start=1)
        ],
        "crossing": {
            "up": _counted(
                (load, what, (size,)) for load in rounds for what, size in load.up.items()
            ),
            "down": _counted((load, *item) for load in rounds for item in load.down.items()),
        },
    }


def _up(terms: Terms, number: int) -> dict[str, int]:
    size = terms.answer_bytes_of(number)
    if terms.secure is None:
        return {"answers": size}
    return {"answers": size - KEY_BYTES, "keys": KEY_BYTES}


def _down(terms: Terms, number: int, asked: Iterable[int]) -> dict[str, tuple[int, ...]]:
    """In a secure sum an invitation and the list of members go down, and no question."""
    told: dict[str, tuple[int, ...]] = {}
    layout = terms.layout_down_of(number)
    if layout is not None and number > 1:
        told["consensus"] = (layout.length,)
    if terms.secure is None:
        return told | {"questions": (len(Question(number, terms.schema, terms.binding).payload),)}
    invitation = Roster(number, 1, terms.binding)
    members = tuple((client, bytes(KEY_BYTES)) for client in sorted(asked))
    members_list = Roster(number, 1, terms.binding, members)
    sizes = (len(invitation.payload), len(members_list.payload))
    return told | {"lists of who adds up": sizes}


def _counted(parts: Iterable[tuple[Load, str, tuple[int, ...]]]) -> list[dict[str, Any]]:
    """Messages and bytes of all clients and rounds, by what they are."""
    made: dict[str, dict[str, Any]] = {}
    for load, what, sizes in parts:
        row = made.setdefault(what, {"what": what, "messages": 0, "bytes": 0})
        row["messages"] += len(load.clients) * len(sizes)
        row["bytes"] += len(load.clients) * sum(sizes)
    return [made[what] for what in sorted(made)]
