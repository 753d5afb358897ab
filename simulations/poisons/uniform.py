"""No opinion at all."""

from typing import final

import numpy as np
from typing_extensions import override

from common.arrays import Floats
from common.component import component
from simulations.poisons import Poison, Scene


@final
@component
class Uniform(Poison):
    """All attackers give every label the same.

    The cheapest free rider: no data, no training. It drags a mean towards uncertainty, which a
    temperature can undo, and leaves the favourite label of a mean but for near ties. Levels that do
    not divide by C leave a code more for the first labels. Where honest clients are unsure and
    unlike each other, it may be nearer to the middle of all than any of them, so that a rule that
    looks for outliers believes it more.

    Reference: a rule of this project.
    """

    @override
    def say(self, scene: Scene) -> Floats:
        return np.full(scene.own.shape, 1 / scene.own.shape[2])
