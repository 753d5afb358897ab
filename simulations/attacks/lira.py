"""Likelihood ratios from shadow models, where candidates are in the transfer set."""

from typing import final

from typing_extensions import override

from common.arrays import Floats
from common.component import component
from simulations.attacks import _likelihood
from simulations.attacks._membership import Membership
from simulations.attacks._scene import Scene, Seen


@final
@component
class Lira(Membership):
    """How much likelier the answer about a candidate is from models that have seen it.

    The server knows recipe, candidates and labels, trains shadow models on random halves, and
    compares. Here the candidates themselves are in the transfer set. Reference: Carlini et al.
    *Membership Inference Attacks From First Principles*, IEEE S&P 2022; for distillation Shi,
    Ouyang, Wang 2025, https://arxiv.org/abs/2502.08001.

    Attributes:
        online: whether shadow models with the candidate are used, too.
    """

    online: bool = True

    @override
    def scores(self, scene: Scene, seen: Seen) -> Floats:
        labels, grain = scene.game.pool.labels, seen.defence.grain
        said, shadowed = (
            _likelihood.log_odds(part.pool, labels, grain) for part in (seen.targets, seen.shadows)
        )
        return _likelihood.lira(said, shadowed, scene.inside_shadows, self.online)
