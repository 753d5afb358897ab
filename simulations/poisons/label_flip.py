"""An honest answer about other labels."""

from typing import final

import numpy as np
from pydantic import Field
from typing_extensions import override

from common.arrays import Floats
from common.component import component
from simulations.poisons import Poison, Scene


@final
@component
class LabelFlip(Poison):
    r"""Each attacker means the next label: :math:`q_{(c + s) \bmod C}(x) = p_c(x)`.

    As certain as an honest client, and all attackers wrong in the same way.

    Departures: the source flips one label into another in the private data and trains on it;
    here all labels are renamed, in the answer. A teacher that treats labels alike would say
    much the same after training on renamed ones.

    Attributes:
        shift: s; a multiple of C renames nothing.

    Reference: Tolpegin, Truex, Gursoy, Liu. *Data Poisoning Attacks Against Federated Learning
    Systems*, ESORICS 2020. https://arxiv.org/abs/2007.08432
    """

    shift: int = Field(default=1, ge=1)

    @override
    def say(self, scene: Scene) -> Floats:
        return np.roll(scene.own, self.shift, axis=2)
