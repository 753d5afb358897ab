"""The mixture of all opinions, sharpened until it is as certain as they are."""

from typing import ClassVar, Final, final

import numpy as np
from pydantic import Field
from typing_extensions import override

from common.arrays import Floats
from common.component import component
from common.labels import LabelGeometry
from server.aggregators import Aggregator, Targets
from server.aggregators._consensus import mixture, one_target, powered
from server.opinions import distributions
from server.weightings import normalised

_ROUNDING: Final = 1e-12  # nats; a mixture that is softer by less has not been softened
_HALVINGS: Final = 50


@final
@component
class EntropyMatchedMean(Aggregator):
    r"""One target per sample, T = 1: the mixture at the power that undoes what mixing softened.

    .. math::
        a_c(x) = \bar p_c(x)^\beta / \sum_d \bar p_d(x)^\beta, \qquad
        \frac1N \sum_x H\big(a(x)\big) = \frac1N \sum_x \sum_k w_k(x) H\big(p_k(x)\big)

    :math:`\bar p = \sum_k w_k p_k` is the weighted mean, H the entropy. H is concave, so the mean
    is never more certain than the opinions are on average; the difference is their
    Jensen-Shannon divergence under the weights. One :math:`\beta \ge 1`, the same for all texts
    and labels, takes that much entropy away, in the mean over the texts: no label is asked for,
    and there is no strength to choose. Since :math:`dH / d\beta \le 0` for every row, bisection
    finds it.

    Opinions that are all equal have :math:`\beta = 1` exactly, and are repeated. Certain opinions
    that disagree ask for an entropy of 0, which no finite power of their mean has: they get
    ``max_power``, and so does whatever asks for more than it. Labels keep their order, zeros stay
    zeros, ties stay ties.

    It makes targets as certain as the teachers, and not as certain as they should be: teachers
    that are too sure are followed in it. All texts decide on the power together, so fewer texts
    give another one.

    Departures: it is known that a linear pool of calibrated forecasts is too soft, and by what
    measure; Ranjan and Gneiting sharpen by a beta transform that is fitted to outcomes. The power
    in its place, and the mean entropy by which it is fitted without outcomes, are ours.

    Attributes:
        max_power: the largest :math:`\beta`.

    References: Ranjan, Gneiting. *Combining Probability Forecasts*, Journal of the Royal
    Statistical Society B 72, 2010, section 3 (a linear pool lacks sharpness); Lin. *Divergence
    Measures Based on the Shannon Entropy*, IEEE Transactions on Information Theory 37, 1991,
    section IV (the difference of entropies).
    """

    sees_all_samples: ClassVar[bool] = True

    max_power: float = Field(default=10.0, gt=1, le=100)

    @override
    def combine(self, probs: Floats, weights: Floats, geometry: LabelGeometry) -> Targets:
        del geometry
        mixed = mixture(probs, weights)
        each = entropies(distributions(probs))  # (K, N)
        wanted = float((normalised(weights) * each).sum(axis=0).mean())
        return one_target(powered(mixed, matching_power(mixed, wanted, self.max_power)))


def matching_power(mixed: Floats, wanted: float, most: float) -> float:
    """The power in [1, most] at which rows have a mean entropy, or the end that is nearer to it.

    Args:
        mixed: shape (N, C), rows are distributions.
        wanted: nats.
        most: the largest power.
    """

    def too_soft(power: float) -> bool:
        rows = powered(mixed, power)
        rows /= rows.sum(axis=1, keepdims=True)
        return float(entropies(rows).mean()) > wanted + _ROUNDING

    if not too_soft(1.0):
        return 1.0
    if too_soft(most):
        return most
    low, high = 1.0, most
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if too_soft(middle) else (low, middle)
    return high


def entropies(rows: Floats) -> Floats:
    """In nats, of distributions along the last axis (..., C)."""
    logs = np.log(rows, out=np.zeros_like(rows), where=rows > 0)
    return np.asarray(-(rows * logs).sum(axis=-1))
