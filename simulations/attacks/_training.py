"""Models for a game: trained on some of the candidates as a client would train."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from clients.mechanisms import Holding, Mechanism, Spending
from clients.priors import corrected, shares
from clients.teachers import FittedTeacher, Inputs, Shard
from common.arrays import Floats, Ints
from common.gaussian_dp import composed
from simulations.attacks._figures import Masks
from simulations.attacks._game import Game, chosen
from simulations.attacks._release import Said

_TOGETHER = 16
Step = Callable[[int, int], None]


class Trained(NamedTuple):
    """Some models.

    Attributes:
        models: M teachers.
        rows: which candidates each has seen, ascending.
        mu: of the largest guarantee that any training claims; None without one.
        claim: the largest (epsilon, delta), where steps were sampled and mu is not known.
    """

    models: list[FittedTeacher]
    rows: list[Ints]
    mu: float | None
    claim: tuple[float, float] | None = None


def train(
    game: Game, rows: Sequence[Ints], name: str, mechanism: Mechanism | None, step: Step
) -> Trained:
    """A teacher for each set of candidates; the same name and rows, the same models.

    Args:
        game: the recipe and the candidates.
        rows: of each model, its candidates.
        name: of the draw.
        mechanism: how to train; None for as usual.
        step: told (models trained, all) now and then.
    """
    held = [np.sort(np.asarray(one)) for one in rows]
    if mechanism is not None:
        return _privately(game, held, name, mechanism, step)
    models: list[FittedTeacher] = []
    for start in range(0, len(held), _TOGETHER):
        shards = [
            Shard(*_shard(game, own), game.rng(name, start + k))
            for k, own in enumerate(held[start : start + _TOGETHER])
        ]
        models += game.recipe.fit_together(shards, game.num_labels)
        step(len(models), len(held))
    return Trained(models, held, None)


def rows_of(inside: Masks) -> list[Ints]:
    """Which candidates each model has seen, of a mask (M, P)."""
    return [np.flatnonzero(row) for row in inside]


def listen(game: Game, trained: Trained) -> Said:
    """What the models say before anything is altered."""
    return Said(*(_answers(game, trained, r.inputs) for r in (game.pool, game.shared, game.fresh)))


def _answers(game: Game, trained: Trained, asked: Inputs) -> Floats:
    return np.stack([says(game, trained, number, asked) for number in range(len(trained.models))])


def says(game: Game, trained: Trained, number: int, asked: Inputs) -> Floats:
    """What one of some models says as a client does, before anything is altered, (N, C)."""
    probs = trained.models[number].predict(asked)
    strength = game.experiment.clients.prior_correction
    if strength is None:
        return probs
    prior = shares(game.pool.labels[trained.rows[number]], game.num_labels)
    return corrected(probs, prior, strength)


def _privately(
    game: Game, rows: Sequence[Ints], name: str, mechanism: Mechanism, step: Step
) -> Trained:
    models, ledger = [], set[Spending]()
    for k, own in enumerate(rows):
        holding = Holding(*_shard(game, own), game.num_labels, game.shared.inputs)
        model, spent = mechanism.fit(game.recipe, holding, game.rng(name, k))
        models.append(model)
        if spent is not None:
            ledger.add(spent)
        step(k + 1, len(rows))
    return Trained(models, list(rows), *_claimed(mechanism, ledger))


def _claimed(
    mechanism: Mechanism, ledger: set[Spending]
) -> tuple[float | None, tuple[float, float] | None]:
    """The largest guarantee among trainings: mu, or epsilon and delta where steps were sampled."""
    delta, whole = mechanism.failure_probability(), all(one.sampling == 1 for one in ledger)
    if not ledger or delta is None:
        return None, None
    if whole:
        mus = [composed([1 / one.noise_multiplier] * one.steps) for one in ledger]
        return max(mus), None
    return None, (max(mechanism.epsilon([one]) for one in ledger), delta)


def _shard(game: Game, rows: Ints) -> tuple[Inputs, Ints]:
    return chosen(game.pool.inputs, rows), game.pool.labels[rows]
