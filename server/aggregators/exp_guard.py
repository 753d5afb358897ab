"""The mixture of all opinions, without those of clients that keep apart from the middle."""

from typing import ClassVar, final

from pydantic import Field
from typing_extensions import override

from common.arrays import Floats
from common.component import component
from common.labels import LabelGeometry
from server.aggregators import Aggregator, Targets
from server.aggregators._consensus import mixture, one_target
from server.outliers import guarded, outlier_scores


@final
@component
class ExpGuard(Aggregator):
    r"""One target per sample, T = 1: a mixture in which clients far from the middle weigh little.

    .. math::
        a(x) = \sum_k v_k(x) p_k(x), \qquad v_k(x) \propto w_k(x) e^{-\eta s_k}, \qquad
        s_k = \frac1N \sum_x \| p_k(x) - g(x) \|_2

    :math:`g(x)` is the geometric median of the opinions under the weights, :math:`s_k` the
    outlier score of client k over all N texts. A client that is odd on one text is borne with;
    one that is odd all along is not. No two distributions are farther apart than
    :math:`\sqrt 2`, so the weight of nobody falls by more than :math:`e^{\eta \sqrt 2}`.

    It cannot tell a liar from a client that alone knows a field: with few clients of different
    fields it punishes the expert. Opinions are needed one by one; a sum over clients does not
    do. Texts are not looked at one by one, so fewer texts give other scores.

    Departures: in the source a server keeps the weights and multiplies them in every round by
    :math:`e^{-\eta' s_k}`, and the scores come from any robust rule, first of all from filtering
    along the direction of the largest variance. An aggregator here keeps nothing from round to
    round (the weighting ``exp_guard`` does); teachers that stay the same have the same scores in
    every round, so that :math:`\eta` stands for t rounds of the source at step size
    :math:`\eta / t`. Where teachers change, a liar who behaves for a round is forgiven at once.
    The middle here is the geometric
    median, which the source also scores by; it has no direction that is undefined where two
    variances are equal.

    Attributes:
        strength: :math:`\eta`; 0 is ``mean``.

    Reference: Roux, Zimmer, Pokutta. *On the Byzantine-Resilience of Distillation-Based
    Federated Learning*, ICLR 2025 (ExpGuard) and the released code.
    https://arxiv.org/abs/2402.12265
    """

    sees_all_samples: ClassVar[bool] = True
    robust: ClassVar[bool] = True

    strength: float = Field(default=10.0, ge=0, le=1000)

    @override
    def combine(self, probs: Floats, weights: Floats, geometry: LabelGeometry) -> Targets:
        del geometry
        penalties = self.strength * outlier_scores(probs, weights)
        return one_target(mixture(probs, guarded(weights, penalties)))
