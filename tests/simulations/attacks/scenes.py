"""Games with a known answer, made by hand."""

from dataclasses import replace

import numpy as np

from common.encoders.numbers import Numbers
from simulations.attacks._game import Game, Rows, Size
from simulations.attacks._scene import set_up
from simulations.events import silent
from tests.worlds import tiny_with

SMALL = Size(60, 80, 40, targets=12, shadows=12, federations=(2, 4), audits=6)
"""A battery of seconds."""


def game(recipe, signal=0.0, features=48, size=SMALL, seed=0, bits=8, settings=()):
    """Random features; the labels follow one of them as far as ``signal`` goes, else chance."""
    rng = np.random.default_rng(seed)
    experiment = tiny_with(f"wire.bits = {bits}", *settings)

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


def legible(made):
    """The same game with texts in which the features stand, as a student reads them."""
    reader = Numbers(made.pool.view.shape[1], low=-8.0, high=8.0)

    def written(rows):
        texts = tuple(" ".join(f"{number:.5f}" for number in row) for row in rows.view)
        view = reader.encode(texts)
        return replace(rows, texts=texts, view=view, inputs=view)

    parts = {name: written(getattr(made, name)) for name in ("pool", "shared", "fresh")}
    return replace(made, encoder=reader, **parts)


def scene(recipe, **how):
    """The same with its models."""
    return set_up(game(recipe, **how), silent)
