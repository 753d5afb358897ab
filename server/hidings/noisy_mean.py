"""The mean over clients, noised."""

from typing import final

import numpy as np
from typing_extensions import override

from common.arrays import Floats
from common.component import component
from server.hidings._gaussian import Gaussian


@final
@component
class NoisyMean(Gaussian):
    r"""The student learns from a noised mean, so that it hides each whole client.

    .. math:: \tilde m = \Pi\Big(\tfrac1K \big(\textstyle\sum_k p_k + \sigma n\big)\Big),
              \qquad \sigma = \sqrt{2N} / \mu, \quad n_{ic} \sim \mathcal N(0, 1)

    on N texts, where :math:`\Pi` takes every row to the nearest distribution. The server is
    trusted: it sees every answer, and what leaves it (the student, and what it says back) is
    differentially private for a whole client. Noise on a probability is :math:`\sigma / K`: at
    epsilon 8, delta 1e-3 and N = 1,000 that is 2.15 with 10 clients and 0.086 with 250.

    Needs ``server.weighting = "uniform"`` and ``server.aggregator = "mean"``.

    Attributes:
        epsilon_target: epsilon of one round; the smaller, the more private.
        delta: probability with which the promise may fail; well below 1 / K.
        budget: the largest epsilon of all rounds together; not given: ``epsilon_target``, so
            that there is one round.
        noise_seed: for tests; a run with it is **not private**, and says so.

    Reference: Balle, Wang. *Improving the Gaussian Mechanism*, ICML 2018, theorem 8,
    https://arxiv.org/abs/1805.06530; the projection: Duchi, Shalev-Shwartz, Singer, Chandra.
    *Efficient Projections onto the l1-Ball*, ICML 2008, figure 1.
    """

    @override
    def counted(self, probs: Floats) -> Floats:
        return probs

    @override
    def target(self, mean: Floats) -> Floats:
        return nearest_distributions(mean)

    @override
    def told(self, sigma: float, clients: int) -> str:
        return f"noise of {sigma / clients:.3g} on every averaged probability"


def nearest_distributions(rows: Floats) -> Floats:
    """For every row (N, C) the distribution that is nearest to it in Euclidean distance."""
    falling = -np.sort(-rows, axis=1)
    over = np.cumsum(falling, axis=1) - 1
    ranks = np.arange(1, rows.shape[1] + 1)
    support = (falling - over / ranks > 0).sum(axis=1)
    shift = over[np.arange(len(rows)), support - 1] / support
    made: Floats = np.maximum(rows - shift[:, None], 0)
    return made
