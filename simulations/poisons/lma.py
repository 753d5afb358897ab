"""Certainty about the label that the honest clients hold for least likely."""

from typing import final

from typing_extensions import override

from common.arrays import Floats
from common.component import component
from simulations.poisons import Poison, Scene
from simulations.poisons._certain import certain


@final
@component
class Lma(Poison):
    r"""Loss maximisation attack: all attackers are certain of the least likely label.

    .. math::
        q(x) = e_{c(x)}, \qquad c(x) = \arg\min_c \bar p_c(x), \qquad
        \bar p = \frac{1}{K - F} \sum_{k \text{ honest}} p_k

    Of all distributions it has the largest cross-entropy under the honest mean,
    :math:`-\sum_c q_c \log \bar p_c`: that is linear in q, so a corner is best. Ties, which
    codes of few bits make common, go to the first label.

    Departures: none but the codes; the source's way of hiding the attack among honest
    answers (HIPS) is not offered.

    Reference: Roux, Zimmer, Pokutta. *On the Byzantine-Resilience of Distillation-Based
    Federated Learning*, ICLR 2025 (LMA) and the released code.
    https://arxiv.org/abs/2402.12265
    """

    @override
    def say(self, scene: Scene) -> Floats:
        mean = scene.consensus
        return certain(mean.argmin(axis=1), mean.shape[1], len(scene.own))
