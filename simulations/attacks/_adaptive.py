"""Solve or distil first, then ask the copy: how it is done is chosen on shadow models."""

from dataclasses import dataclass

import numpy as np

from common.arrays import Floats
from simulations.attacks._figures import RATES, Masks, curve
from simulations.attacks._likelihood import lira
from simulations.attacks._scene import Scene
from simulations.attacks._surrogate import RECIPES, Recipe, odds


@dataclass(frozen=True, eq=False)
class Copied:
    """What an adaptive attacker found.

    Attributes:
        scores: shape (T, P).
        recipe: which surrogate did best against the attacker's own models.
    """

    scores: Floats
    recipe: Recipe


def copied(
    scene: Scene,
    targets: Floats,
    shadows: Floats,
    grain: float,
    recipes: tuple[Recipe, ...] = RECIPES,
) -> Copied:
    """Copy every model from its answers on the shared texts; likelihood ratios on the copies.

    A quarter of the shadows plays the target while a recipe is chosen, the others are compared
    with; nothing is chosen on the targets.

    Args:
        scene: candidates and public texts.
        targets: shape (T, N, C), as released.
        shadows: shape (S, N, C), as released.
        grain: the smallest step of a probability.
        recipes: what is tried.
    """
    recipe, signals = best_copies(scene, shadows, scene.inside_shadows, grain, recipes)
    own = _signals(scene, recipe, targets, grain)
    return Copied(lira(own, signals, scene.inside_shadows), recipe)


def best_copies(
    scene: Scene,
    shadows: Floats,
    inside: Masks,
    grain: float,
    recipes: tuple[Recipe, ...] = RECIPES,
) -> tuple[Recipe, Floats]:
    """The recipe that does best against the attacker's own models, and what its copies say.

    Args:
        scene: candidates and public texts.
        shadows: shape (S, N, C), as released.
        inside: shape (S, P), which shadow has seen which candidate.
        grain: the smallest step of a probability.
        recipes: what is tried.

    Returns:
        The recipe; how sure the copies are of the true labels, shape (S, P).
    """
    best: tuple[float, Recipe, Floats] | None = None
    for recipe in recipes:
        signals = _signals(scene, recipe, shadows, grain)
        figure = _strength(signals, inside)
        if best is None or figure > best[0]:
            best = figure, recipe, signals
    assert best is not None, "there is a recipe"
    return best[1:]


def _signals(scene: Scene, recipe: Recipe, said: Floats, grain: float) -> Floats:
    return odds(recipe, scene.copyist.scores(recipe, said, grain), scene.game.pool.labels)


def _strength(signals: Floats, inside: Masks) -> float:
    """Area under the curve, plus the rate of true positives at the larger rate."""
    cut = max(2, len(signals) // 4 // 2 * 2)
    scores, truth = lira(signals[:cut], signals[cut:], inside[cut:]), inside[:cut]
    found = curve(scores.ravel(), truth.ravel(), np.ones((1, scores.size)), RATES[:1])
    return float(found.auc[0] + found.tpr[0, 0])
