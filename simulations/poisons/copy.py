"""Somebody else's answer."""

from typing import Literal, final

import numpy as np
from typing_extensions import override

from common.arrays import Floats
from common.component import component
from simulations.poisons import Poison, Scene


@final
@component
class Copy(Poison):
    """Free riders: each attacker repeats an honest client, or the mean of all honest ones.

    The first counts one client twice; the second is what a rider has who only hears the
    consensus of the round before, where teachers stay the same and the server was not fooled.
    Nobody is harmed but by what the rider does not contribute: this is the control for all
    others, which lose the attackers' shards as well.

    Attributes:
        of: ``client``, drawn for each attacker, or ``mean``.

    Reference: Fraboni, Vidal, Lorenzi. *Free-Rider Attacks on Model Aggregation in Federated
    Learning*, AISTATS 2021 (of parameters). https://arxiv.org/abs/2006.11901
    """

    of: Literal["client", "mean"] = "client"

    @override
    def say(self, scene: Scene) -> Floats:
        attackers = len(scene.own)
        if self.of == "mean":
            return np.repeat(scene.consensus[None], attackers, axis=0)
        return scene.honest[scene.rng.integers(len(scene.honest), size=attackers)]
