"""One attacker who appears as several clients."""

from typing import final

import numpy as np
from pydantic import Field
from typing_extensions import override

from common.arrays import Floats
from common.component import component
from simulations.poisons import Poison, Scene
from simulations.poisons.lma import Lma


@final
@component
class Sybil(Poison):
    """Each attacker registers under several names and says the same lie under each.

    The federation grows: F of K become F * m of K + F * (m - 1). Rules that need an honest
    majority need one of names, which nobody can vouch for but who admits clients.

    Attributes:
        clones: m, names per attacker.
        lie: what is said under each.

    Reference: Douceur. *The Sybil Attack*, IPTPS 2002; Fung, Yoon, Beschastnikh. *The
    Limitations of Federated Learning in Sybil Settings*, RAID 2020.
    https://arxiv.org/abs/1808.04866
    """

    clones: int = Field(default=3, ge=1, le=64)
    lie: Poison = Field(default_factory=Lma)

    @property
    @override
    def voices(self) -> int:
        return self.clones * self.lie.voices

    @override
    def say(self, scene: Scene) -> Floats:
        return np.repeat(self.lie.say(scene), self.clones, axis=0)
