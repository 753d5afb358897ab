"""Certainty about the label that is least like the one the honest clients favour."""

from typing import Literal, final

from typing_extensions import override

from common.arrays import Floats
from common.component import component
from simulations.poisons import Poison, Scene
from simulations.poisons._certain import certain


@final
@component
class Cpa(Poison):
    r"""Class prior attack: all attackers are certain of the label least like the likeliest.

    .. math::
        q(x) = e_{c(x)}, \qquad c(x) = \arg\min_c S_{c, \hat c(x)}, \qquad
        \hat c(x) = \arg\max_c \bar p_c(x)

    :math:`\bar p` is the mean of the honest clients and S says how alike two labels are. Every
    text of one label is lied about in the same way, so the lie can be learned: unlike ``lma``
    it does not follow the noise of single texts. Ties go to the first label.

    Departures: the source reads S, a covariance of labels worked out beforehand for each public
    data set, from a file; here it is the covariance of the labels' probabilities in
    :math:`\bar p` over the N texts, which an attacker who sees all answers can form. ``cost`` is
    a rule of ours: the label farthest away, which hurts a distance the most.

    Attributes:
        alike: ``covariance``, or ``cost`` for minus the ground cost.

    Reference: Roux, Zimmer, Pokutta. *On the Byzantine-Resilience of Distillation-Based
    Federated Learning*, ICLR 2025 (CPA) and the released code.
    https://arxiv.org/abs/2402.12265
    """

    alike: Literal["covariance", "cost"] = "covariance"

    @override
    def say(self, scene: Scene) -> Floats:
        mean = scene.consensus
        rival = self._likeness(scene).argmin(axis=0)  # (C,)
        return certain(rival[mean.argmax(axis=1)], mean.shape[1], len(scene.own))

    def _likeness(self, scene: Scene) -> Floats:
        if self.alike == "cost":
            return -scene.geometry.cost
        away = scene.consensus - scene.consensus.mean(axis=0)
        covariance: Floats = away.T @ away / len(away)
        return covariance
