"""Believe teachers as the best mixture of them does where labels are known."""

from typing import ClassVar, Literal, final

import numpy as np
from pydantic import Field
from typing_extensions import override

from common.arrays import Floats
from common.component import component
from common.predictions import Ensemble
from server.weightings import State, Weighting
from server.weightings._known import known, leanings

_STEPS = 10_000
_SETTLED = 1e-10  # a step that moves no weight by more ends the fit


@final
@component
class Stacking(Weighting):
    r"""The mixture of teachers under which M known labels are likeliest, drawn to uniform.

    .. math::
        w = \arg\max_w \sum_m \log \sum_k w_k p_{k, y_m}(x_m) + s \sum_k \frac1K \log w_k

    over weights that sum to 1: the linear opinion pool with the best logarithmic score, under a
    Dirichlet prior worth s labels. The sum is concave, and strictly so with a prior; EM climbs
    it. A teacher gets weight by being right where the others are not, so of two alike each gets
    half, and one that is seldom best may get little, however good.

    ``per = "label"`` fits one mixture for each label that the plain mean of all opinions likes
    best, from the known labels of such texts only; its prior is the common mixture in place of
    1/K. So a teacher may be believed of one label, and not of another.

    Departures: Wolpert learns any model of the opinions; logistic regression may have negative
    weights and is no weighting. Yao and others choose among posteriors by leaving out; the
    teachers here have never seen the texts.

    Attributes:
        per: ``all``, one mixture for every text, or ``label``.
        prior: s, in labels.

    Reference: Wolpert. *Stacked Generalization*, 1992; Yao, Vehtari, Simpson, Gelman. *Using
    Stacking to Average Bayesian Predictive Distributions*, 2018, section 3 (the logarithmic
    score on the simplex), https://arxiv.org/abs/1704.02030; Dempster, Laird, Rubin. *Maximum
    Likelihood from Incomplete Data via the EM Algorithm*, 1977, section 4.3 (mixtures).
    """

    needs: ClassVar[frozenset[str]] = frozenset({"labels"})
    sees_all_samples: ClassVar[bool] = True

    per: Literal["all", "label"] = "all"
    prior: float = Field(default=10.0, gt=0)

    @override
    def weigh(self, ensemble: Ensemble, state: State) -> Floats:
        del state
        found = known(ensemble, "stacking")
        clients, samples, labels = ensemble.probs.shape
        common = mixture(found.likelihoods, np.full(clients, 1 / clients), self.prior)
        if self.per == "all":
            return np.repeat(common[:, None], samples, axis=1)
        groups = leanings(ensemble)  # (N,)
        of_rows = groups[found.rows]
        parts = [found.likelihoods[:, of_rows == label] for label in range(labels)]
        fitted = np.stack([mixture(part, common, self.prior) for part in parts], axis=1)
        return np.asarray(fitted[:, groups])


def mixture(likelihoods: Floats, centre: Floats, prior: float) -> Floats:
    """The weights with the largest posterior, by EM.

    Args:
        likelihoods: shape (K, M), positive; M may be 0.
        centre: shape (K,), sums to 1; what the prior draws to.
        prior: its worth in labels, positive.

    Returns:
        Shape (K,), sums to 1.
    """
    weights, count = centre, likelihoods.shape[1]
    for _ in range(_STEPS):
        shares = weights[:, None] * likelihoods
        shares /= shares.sum(axis=0)
        before, weights = weights, (shares.sum(axis=1) + prior * centre) / (count + prior)
        if np.abs(weights - before).max() <= _SETTLED:
            break
    return weights
