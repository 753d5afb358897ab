"""A candidate against the population, asked of copies instead of the teacher."""

from typing import ClassVar, final

import numpy as np
from pydantic import Field
from scipy.special import softmax
from typing_extensions import override

from common.arrays import Floats
from common.component import component
from simulations.attacks import _likelihood
from simulations.attacks._adaptive import best_copies
from simulations.attacks._game import Rows
from simulations.attacks._membership import Membership, Place
from simulations.attacks._scene import Scene, Seen
from simulations.attacks._surrogate import Copyist, Recipe


@final
@component
class RmiaDisjoint(Membership):
    """As ``rmia``, where no candidate is in the transfer set: models are copied first.

    Copies of the target and of a handful of reference models are made from their answers on the
    shared texts, and asked about candidates and population in their place. Reference:
    Zarifzadeh, Liu, Shokri. *Low-Cost High-Power Membership Inference Attacks*, ICML 2024,
    https://arxiv.org/abs/2312.03262; for the copies Jagielski et al. *Students Parrot Their
    Teachers*, NeurIPS 2023, https://arxiv.org/abs/2303.03446.

    Attributes:
        references: shadow models that are copied; even, so that each candidate is new to half.
        gamma: how much larger the gain must be.
        trust: how far a model without the candidate stands for the mean.
    """

    place: ClassVar[Place] = "disjoint"

    references: int = Field(default=8, ge=4, multiple_of=2)
    gamma: float = Field(default=1.0, ge=1)
    trust: float = Field(default=0.3, ge=0, le=1)

    @override
    def scores(self, scene: Scene, seen: Seen) -> Floats:
        game, few, grain = scene.game, slice(0, self.references), seen.defence.grain
        said, shadowed = seen.targets.shared, seen.shadows.shared[few]
        seen_by = scene.inside_shadows[few]
        recipe, _ = best_copies(scene, shadowed, seen_by, grain)

        def asked(copyist: Copyist, rows: Rows) -> tuple[Floats, Floats]:
            own, references = (
                _likelihood.of_labels(probabilities(copyist, recipe, part, grain), rows.labels)
                for part in (said, shadowed)
            )
            return own, references

        candidates = asked(scene.copyist, game.pool)
        population = asked(scene.copyist_of_fresh, game.fresh)
        return _likelihood.rmia(candidates, seen_by, population, self.gamma, self.trust)


def probabilities(copyist: Copyist, recipe: Recipe, said: Floats, grain: float) -> Floats:
    """What copies of M models say of the asked texts, as distributions (M, P, C).

    Args:
        copyist: knows shared and asked texts.
        recipe: of the copies.
        said: shape (M, N, C), the release.
        grain: the smallest step of its probabilities; no copy is surer than a quarter of it.
    """
    scores = copyist.scores(recipe, said, grain)
    if recipe.response == "log":
        scores = softmax(scores, axis=2)
    least = np.maximum(scores, grain / 4)
    made: Floats = least / least.sum(axis=2, keepdims=True)
    return made
