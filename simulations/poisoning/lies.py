"""From what honest clients said to what the server hears when some of them lie.

Lies are canonical codes of the run's own layout and go through the run's own gate: no rule at the
wire can refuse them.
"""

from dataclasses import dataclass

import numpy as np

from common.arrays import Floats, Ints
from common.labels import LabelGeometry
from common.predictions import Ensemble, Predictions
from common.quantise import to_codes
from common.reasons import Reason
from common.records import Layout, Record, encode
from common.seeds import stream
from server.admission import Admission
from simulations.poisoning.boasts import boastful
from simulations.poisons import Poison, Scene


@dataclass(frozen=True, eq=False)
class Federation:
    """What everybody in the run has agreed on.

    Attributes:
        layout: of a record.
        geometry: the labels.
        num_clients: K, absent ones among them.
        seed: of the run.
    """

    layout: Layout
    geometry: LabelGeometry
    num_clients: int
    seed: int


@dataclass(frozen=True, eq=False)
class Heard:
    """What the server hears.

    Attributes:
        ensemble: of all clients, the attackers' lies among them.
        liars: shape (L,), under which ids the lies stand, ascending.
        num_clients: size of the federation, with clones.
    """

    ensemble: Ensemble
    liars: Ints
    num_clients: int


def attackers(num_clients: int, count: int, seed: int) -> Ints:
    """Ids of ``count`` attackers, ascending; the same seed adds to the fewer to have more."""
    order = stream(seed, "attackers").permutation(num_clients)
    return np.sort(order[:count])


def heard(said: Ensemble, poison: Poison, liars: Ints, run: Federation) -> Heard:
    """Have the attackers lie in the only round.

    Args:
        said: what clients say when all are honest; at least one of them does not lie.
        poison: the lie.
        liars: shape (F,), ids among those of ``said``.
        run: what all have agreed on.
    """
    lying = np.isin(said.clients, liars)
    probs = said.probs.astype(np.float64)
    scene = Scene(probs[~lying], probs[lying], run.geometry, stream(run.seed, "poison"))
    grown = run.num_clients + len(liars) * (poison.voices - 1)
    clones = np.arange(run.num_clients, grown)
    names = np.concatenate([np.sort(liars), clones])
    told = _admitted(poison.say(scene), names, run.layout)
    honest = {int(k): _one(said, row) for row, k in enumerate(said.clients) if not lying[row]}
    return Heard(Ensemble.stack(honest | told, said.labels), names, grown)


def lie(probs: Floats, client: int, layout: Layout) -> Record:
    """What an attacker sends who wants to say ``probs`` (N, C), float64, in round 1."""
    return boastful(1, client, to_codes(probs, layout.bits), layout)


def _admitted(said: Floats, names: Ints, layout: Layout) -> dict[int, Predictions]:
    """The lies (F, N, C) under their names, through the gate; nothing may be refused."""
    gate = Admission(layout, 1, set(map(int, names)))
    for client, probs in zip(map(int, names), said, strict=True):
        verdict = gate.admit(client, encode(lie(probs, client, layout), layout))
        assert verdict is Reason.accepted, "canonical bytes of an expected client"
    return {client: coded.predictions() for client, coded in gate.admitted.items()}


def _one(said: Ensemble, row: int) -> Predictions:
    """One client's part of an ensemble."""
    sizes = said.num_examples
    return Predictions(
        said.probs[row],
        None if said.bias is None else said.bias[row],
        None if sizes is None else int(sizes[row]),
        None if said.scalar is None else said.scalar[row],
    )
