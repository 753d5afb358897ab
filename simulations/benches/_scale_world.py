"""The worlds in which the number of clients grows, and nothing else does.

Texts are made up, their features are cheap; the shared texts, the server's student and what one
client holds stay the same for every K.
"""

from dataclasses import dataclass, replace
from typing import Final

NAME: Final = "synthetic"


# With them the corpus has a multiple of four texts, as it must, for any number of clients.
_VALIDATION, _TEST = 40, 100


@dataclass(frozen=True)
class _World:
    """What a client holds and does, and what the server makes of it.

    Attributes:
        transfer: shared texts, N.
        rows: private texts per client.
        settings: as ``--set`` takes them.
    """

    transfer: int
    rows: int
    settings: tuple[str, ...]


_REAL: Final = _World(
    2000,
    20,
    (
        "clients.teacher = { kind = 'frozen_mlp', min_steps = 200 }",
        "clients.encoder = { kind = 'hashing', dimensions = 384 }",
        "server.student = { kind = 'frozen_mlp' }",
        "server.aggregator = { kind = 'mean' }",
        "server.schedule = { steps = 60 }",
    ),
)

_WORLDS: Final[dict[str, _World]] = {
    "trivial": _World(
        48,
        4,
        (
            "clients.teacher = { kind = 'constant' }",
            "clients.encoder = { kind = 'hashing', dimensions = 16 }",
            "server.student = { kind = 'frozen_mlp', hidden = 4 }",
            "server.aggregator = { kind = 'mean' }",
            "server.schedule = { steps = 4 }",
        ),
    ),
    "real": _REAL,
    "side_by_side": replace(_REAL, settings=(*_REAL.settings, "clients.vectorised = true")),
}


def overrides(work: str, clients: int, rounds: int, seed: int = 7) -> str:
    """What ``--set`` is given, so that the shipped experiment becomes one of the worlds.

    Args:
        work: "trivial" clients count labels, "real" ones train a network for 200 steps, one after
            the other, and those "side_by_side" the same network together.
        clients: K.
        rounds: how often the server asks.
        seed: of the experiment.
    """
    world = _WORLDS[work]
    size = world.transfer + _VALIDATION + _TEST + world.rows * clients
    return "; ".join(
        (
            f"data.dataset = {{ kind = 'synthetic', size = {size} }}",
            f"data.num_clients = {clients}",
            "data.partition = { kind = 'iid' }",
            f"data.validation_size = {_VALIDATION}",
            f"data.transfer_fraction = {world.transfer / size!r}",
            f"data.test_fraction = {_TEST / size!r}",
            *world.settings,
            f"num_rounds = {rounds}",
            f"seed = {seed}",
            "bounds = false",
        )
    )
