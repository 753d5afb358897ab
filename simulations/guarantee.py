"""What clients' ledgers say was spent: the guarantee of a run, never read from its settings alone.

Only the observer may ask: the ledgers lie beside the teachers, in the clients' stores.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from clients.budget import spent
from clients.mechanisms import Mechanism, Spending
from clients.store import Store
from common.configure import kind_of
from simulations.experiment import Experiment

NONE: dict[str, Any] = {"guarantee": "none", "epsilon": None, "delta": None, "unit": None}
NOT_PRIVATE = "NOT PRIVATE (seeded noise)"


def guarantee(folder: Path, experiment: Experiment) -> dict[str, Any]:
    """The ``privacy`` of ``summary.json``.

    Returns:
        ``guarantee``: ``none``, the kind of the mechanism that every client's teachers were
        trained by, or that there is none because the noise was seeded; ``epsilon`` of the client
        that spent most, ``delta`` and the ``unit``; null where nothing is guaranteed.
    """
    mechanism = experiment.clients.mechanism
    if mechanism is None:
        return dict(NONE)
    stores = [Store(folder / "clients" / str(k)) for k in range(experiment.data.num_clients)]
    taught = [store for store in stores if store.teacher_rounds()]
    return _of(mechanism, [spent(store) for store in taught])


def _of(mechanism: Mechanism, ledgers: Sequence[list[Spending]]) -> dict[str, Any]:
    if mechanism.unit == "none":
        return NONE | {"guarantee": f"none ({kind_of(mechanism)} is obfuscation)"}
    if not all(ledgers):  # a teacher without an entry was trained past the mechanism
        return dict(NONE)
    if not all(one.private for ledger in ledgers for one in ledger):
        return NONE | {"guarantee": NOT_PRIVATE}
    epsilons = [mechanism.epsilon(ledger) for ledger in ledgers]
    return {
        "guarantee": kind_of(mechanism),
        "epsilon": round(max(epsilons, default=0.0), 6),
        "delta": mechanism.failure_probability(),
        "unit": f"one {mechanism.unit} of one client, added or removed",
    }
