"""What ledgers say was spent: the guarantee of a run, never read from its settings alone.

Only the observer may ask: clients' ledgers lie beside their teachers, in the clients' stores. That
of a server trusted with the noise lies in its own.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from clients.budget import spent
from clients.mechanisms import Mechanism, Spending
from clients.store import Store
from common.blanks import blanks
from common.configure import kind_of
from common.gaussian_dp import composed
from common.records import Flags
from common.terms import Terms
from server.draws import Draw, Draws
from server.hidings import Hiding
from simulations.experiment import Experiment

NONE: dict[str, Any] = {"guarantee": "none", "epsilon": None, "delta": None, "unit": None}
NOT_PRIVATE = "NOT PRIVATE (seeded noise)"
CLIENT_LEVEL = "client-level Gaussian (trusted server)"


def guarantee(folder: Path, experiment: Experiment) -> dict[str, Any]:
    """The ``privacy`` of ``summary.json``.

    Returns:
        ``guarantee``: ``none``, the kind of the mechanism that every client's teachers were
        trained by, or that there is none because the noise was seeded, or on answers only, and
        then with the worst-case epsilon of that noise; ``epsilon`` of the client
        that spent most, ``delta`` and the ``unit``; null where nothing is guaranteed. Where a
        trusted server hides whole clients, also a few words on the ``noise``.
    """
    if experiment.server.hiding is not None:
        return _hidden(experiment.server.hiding, drawn(folder), experiment.num_rounds)
    mechanism = experiment.clients.mechanism
    if mechanism is None:
        return dict(NONE)
    taught = taught_by(folder, experiment)
    if mechanism.unit == "none":
        return _obfuscated(mechanism, experiment, Terms.read(folder / "terms.json"), taught)
    return _of(mechanism, [_ledger(store) for store in taught])


def _ledger(store: Store) -> list[Spending]:
    """What a client spent; nothing where it cannot be read or misses one of its teachers."""
    try:
        entries = spent(store)
    except (TypeError, ValueError):
        return []
    return entries if len(entries) == len(store.teacher_rounds()) else []


def drawn(folder: Path) -> list[Draw]:
    """What a trusted server noised; nothing where its ledger cannot be read."""
    try:
        return Draws(folder).read()
    except (TypeError, ValueError):
        return []


def _hidden(hiding: Hiding, draws: Sequence[Draw], rounds: int) -> dict[str, Any]:
    """Of a whole client; none where a round has no entry."""
    if {draw.round for draw in draws} != set(range(1, rounds + 1)):
        return dict(NONE)
    if not all(draw.private for draw in draws):
        return NONE | {"guarantee": NOT_PRIVATE}
    most = max(draws, key=lambda draw: draw.sigma / draw.clients)
    return {
        "guarantee": CLIENT_LEVEL,
        "epsilon": round(hiding.epsilon([draw.mu for draw in draws]), 6),
        "delta": hiding.failure_probability(),
        "unit": "client",
        "noise": hiding.told(most.sigma, most.clients),
    }


def taught_by(folder: Path, experiment: Experiment) -> list[Store]:
    """The stores of the clients that have a teacher."""
    stores = [Store(folder / "clients" / str(k)) for k in range(experiment.data.num_clients)]
    return [store for store in stores if store.teacher_rounds()]


def gaussian_mu(ledger: Sequence[Spending]) -> float | None:
    """What trainings are together in Gaussian privacy; None where samples were drawn.

    Steps over samples are not exactly Gaussian. Reference: Dong, Roth, Su. *Gaussian Differential
    Privacy*, JRSS B 2022, corollary 3.3.
    """
    if not all(one.sampling == 1 for one in ledger):
        return None
    return composed([one.steps**0.5 / one.noise_multiplier for one in ledger])


def _obfuscated(
    mechanism: Mechanism, experiment: Experiment, terms: Terms, taught: Sequence[Store]
) -> dict[str, Any]:
    """None, and what the noise on answers would be worth if any example may change all of them.

    What is said of private examples past the noise has no such worth, and none is told.
    """
    if not mechanism.private:
        return NONE | {"guarantee": f"none - obfuscation only, {NOT_PRIVATE}"}
    asked = blanks(experiment.clients.blanks) if terms.worked_out & Flags.bias else ()
    rows = terms.rows + len(asked)
    times = max((len(store.teacher_rounds()) for store in taught), default=0)
    past = experiment.clients.num_subclasses > 1 or bool(terms.worked_out & Flags.scalar)
    worst = None if past else mechanism.worst_case(rows, times)
    told = "none - obfuscation only"
    if worst is not None:
        told += f"; worst-case epsilon of the added noise: {worst:,.0f}"
    return NONE | {"guarantee": told}


def _of(mechanism: Mechanism, ledgers: Sequence[list[Spending]]) -> dict[str, Any]:
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
