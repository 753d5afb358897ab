"""Games with a known answer, made by hand."""

import numpy as np

from simulations.attacks._game import Game, Rows, Size
from simulations.attacks._scene import set_up
from simulations.events import silent
from tests.worlds import tiny_with

SMALL = Size(60, 80, 40, targets=12, shadows=12, federations=(2, 4), audits=6)
"""A battery of seconds."""


def game(recipe, signal=0.0, features=48, size=SMALL, seed=0, bits=8):
    """Random features; the labels follow one of them as far as ``signal`` goes, else chance."""
    rng = np.random.default_rng(seed)
    experiment = tiny_with(f"wire.bits = {bits}")

    def rows(count, first):
        view = rng.normal(size=(count, features)).astype(np.float32)
        sure = signal * view[:, :1] * np.array([1.0, 0.0, -1.0]) + rng.gumbel(size=(count, 3))
        numbers = first + np.arange(count)
        return Rows(view, view, tuple(map(str, numbers)), sure.argmax(axis=1), numbers)

    parts = [rows(n, 1000 * k) for k, n in enumerate((size.pool, size.shared, size.fresh))]
    geometry = experiment.data.dataset.load(rng).geometry
    return Game(
        experiment, recipe, experiment.clients.encoder, geometry, *parts, seed=seed, size=size
    )


def scene(recipe, **how):
    """The same with its models."""
    return set_up(game(recipe, **how), silent)
