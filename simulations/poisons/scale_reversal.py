"""An honest answer on a scale that is upside down."""

from typing import final

from typing_extensions import override

from common.arrays import Floats
from common.component import component
from simulations.poisons import Poison, Scene


@final
@component
class ScaleReversal(Poison):
    r"""Each attacker turns its own answer round: :math:`q_c(x) = p_{C-1-c}(x)`.

    On ordered labels the best becomes the worst. It is also an honest mistake, of whoever
    counts stars from the other end, and needs no knowledge of others. The order is that of the
    label list.

    Reference: a rule of this project; like ``label_flip``, with the order turned round.
    """

    @override
    def say(self, scene: Scene) -> Floats:
        return scene.own[:, :, ::-1]
