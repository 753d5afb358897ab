"""Believe those less who have kept apart from the middle, in all rounds so far."""

from typing import ClassVar, final

import numpy as np
from pydantic import Field
from typing_extensions import override

from common.arrays import Floats
from common.component import component
from common.predictions import Ensemble
from server.outliers import guarded, outlier_scores
from server.weightings import State, Weighting


@final
@component
class ExpGuard(Weighting):
    r"""Weights that are multiplied, round by round, by how far a client keeps from the middle.

    .. math::
        v_k^t \propto v_k^{t-1} e^{-\eta s_k^t}, \qquad v_k^0 = 1, \qquad
        s_k^t = \frac1N \sum_x \| p_k^t(x) - g^t(x) \|_2

    :math:`g^t(x)` is the geometric median of the opinions of round t. All texts of a client weigh
    the same. What is remembered is the sum of a client's scores, by its id: a client that is
    absent keeps it, and one that has lied is not forgiven for behaving later. With the aggregator
    ``mean``, the first round is that of the aggregator ``exp_guard`` under equal weights, which
    remembers nothing and guards the weights of any weighting.

    Where teachers do not change (no ``server.feedback``), t rounds are one of :math:`t \eta`. It
    cannot tell a liar from a client that alone knows a field, and with each round it is surer.

    Departures: in the source the scores come from any robust rule, first of all from filtering
    along the direction of the largest variance; here from the geometric median, which the source
    also scores by. There every client answers in every round.

    Attributes:
        strength: :math:`\eta`; 0 is ``uniform``.

    Reference: Roux, Zimmer, Pokutta. *On the Byzantine-Resilience of Distillation-Based
    Federated Learning*, ICLR 2025 (ExpGuard) and the released code.
    https://arxiv.org/abs/2402.12265
    """

    sees_all_samples: ClassVar[bool] = True

    strength: float = Field(default=10.0, ge=0, le=1000)

    @override
    def start(self, num_clients: int) -> State:
        """Nobody has been odd."""
        return {"scores": np.zeros(num_clients)}

    @override
    def weigh(self, ensemble: Ensemble, state: State) -> Floats:
        scores = self.heard(ensemble, state)["scores"][ensemble.clients]
        return guarded(np.ones(ensemble.probs.shape[:2]), self.strength * scores)

    @override
    def heard(self, ensemble: Ensemble, state: State) -> State:
        scores = state["scores"].copy()
        probs = ensemble.probs
        scores[ensemble.clients] += outlier_scores(probs, np.ones(probs.shape[:2]))
        return {"scores": scores}
