"""The favourite label of most clients, votes noised."""

from typing import final

import numpy as np
from typing_extensions import override

from common.arrays import Floats
from common.component import component
from server.hidings._gaussian import Gaussian


@final
@component
class NoisyVotes(Gaussian):
    r"""Every client votes for its favourite label; the winner after noise is what is learned.

    .. math:: c_i = \arg\max_c \Big(\textstyle\sum_k 1[\arg\max_d p_{k,i,d} = c]
              + \sigma n_{ic}\Big), \qquad \sigma = \sqrt{2N} / \mu

    on N texts, the first label where probabilities tie. Noise on a count does not depend on the
    number of clients: at epsilon 8, delta 1e-3 and N = 1,000 it is 21.5, so a winner has to lead
    by that many votes and more. The server is trusted, as in ``noisy_mean``.

    Departures: this is the Gaussian noisy max of PATE for all N texts. Its data-dependent bound,
    cheaper where nearly all agree, is not used; nor is its confident variant, which answers some
    texts only.

    Needs ``server.weighting = "uniform"`` and ``server.aggregator = "mean"``.

    Attributes:
        epsilon_target: epsilon of one round; the smaller, the more private.
        delta: probability with which the promise may fail; well below 1 / K.
        budget: the largest epsilon of all rounds together; not given: ``epsilon_target``, so
            that there is one round.
        noise_seed: for tests; a run with it is **not private**, and says so.

    Reference: Papernot, Song, Mironov, Raghunathan, Talwar, Erlingsson. *Scalable Private
    Learning with PATE*, ICLR 2018, the GNMax aggregator, https://arxiv.org/abs/1802.08908.
    """

    @override
    def counted(self, probs: Floats) -> Floats:
        return _one_hot(probs)

    @override
    def target(self, mean: Floats) -> Floats:
        return _one_hot(mean)

    @override
    def told(self, sigma: float, clients: int) -> str:
        return f"noise of {sigma:.3g} on every count of at most {clients} votes"


def _one_hot(rows: Floats) -> Floats:
    """1 at the largest of the last axis, the first of those that tie; 0 elsewhere."""
    made: Floats = np.eye(rows.shape[-1])[rows.argmax(axis=-1)]
    return made
