"""Models for a game: trained on some of the candidates as a client would train."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from clients.mechanisms import Holding, Mechanism
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
    """

    models: list[FittedTeacher]
    rows: list[Ints]
    mu: float | None


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
    strength, said = game.experiment.clients.prior_correction, []
    for model, rows in zip(trained.models, trained.rows, strict=True):
        probs = model.predict(asked)
        if strength is not None:  # as a client does it
            prior = shares(game.pool.labels[rows], game.num_labels)
            probs = corrected(probs, prior, strength)
        said.append(probs)
    return np.stack(said)


def _privately(
    game: Game, rows: Sequence[Ints], name: str, mechanism: Mechanism, step: Step
) -> Trained:
    models, mus = [], []
    for k, own in enumerate(rows):
        holding = Holding(*_shard(game, own), game.num_labels, game.shared.inputs)
        model, spent = mechanism.fit(game.recipe, holding, game.rng(name, k))
        models.append(model)
        if spent is not None and spent.sampling == 1:
            mus.append(composed([1 / spent.noise_multiplier] * spent.steps))
        step(k + 1, len(rows))
    return Trained(models, list(rows), max(mus, default=None))


def _shard(game: Game, rows: Ints) -> tuple[Inputs, Ints]:
    return chosen(game.pool.inputs, rows), game.pool.labels[rows]
