"""Robust membership inference: a candidate against the population."""

from typing import final

from pydantic import Field
from typing_extensions import override

from common.arrays import Floats
from common.component import component
from simulations.attacks import _likelihood
from simulations.attacks._membership import Membership
from simulations.attacks._scene import Scene, Seen


@final
@component
class Rmia(Membership):
    """Whether the target gains more on a candidate than on records that nobody trained on.

    Strong with a handful of reference models, so what an attacker with little time does.
    Reference: Zarifzadeh, Liu, Shokri. *Low-Cost High-Power Membership Inference Attacks*, ICML
    2024, https://arxiv.org/abs/2312.03262.

    Attributes:
        references: shadow models that are used; even, so that each candidate is new to half.
        gamma: how much larger the gain must be.
        trust: a of the paper: how far a model without the candidate stands for the mean.
    """

    references: int = Field(default=8, ge=2, multiple_of=2)
    gamma: float = Field(default=1.0, ge=1)
    trust: float = Field(default=0.3, ge=0, le=1)

    @override
    def scores(self, scene: Scene, seen: Seen) -> Floats:
        game, few = scene.game, slice(0, self.references)
        own = _likelihood.of_labels(seen.targets.pool, game.pool.labels)
        own_few = _likelihood.of_labels(seen.shadows.pool[few], game.pool.labels)
        new = _likelihood.of_labels(seen.targets.fresh, game.fresh.labels)
        new_few = _likelihood.of_labels(seen.shadows.fresh[few], game.fresh.labels)
        seen_by = scene.inside_shadows[few]
        return _likelihood.rmia((own, own_few), seen_by, (new, new_few), self.gamma, self.trust)
