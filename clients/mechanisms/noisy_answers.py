"""Gaussian noise on every probability that is said: obfuscation, no guarantee."""

import math
from typing import final

import numpy as np
from pydantic import Field
from typing_extensions import override

from clients.mechanisms._answering import Answering, source
from clients.noise import Noise
from common.arrays import Floats
from common.component import component
from common.gaussian_dp import epsilon_of

_FLOOR = 1e-6  # left of a probability that noise took below zero


@final
@component
class NoisyAnswers(Answering):
    r"""What is often taken for privacy, and is obfuscation.

    .. math:: \tilde p_{ic} \propto \max(p_{ic} + \sigma n_{ic},\, 10^{-6}), \qquad
              n_{ic} \sim \mathcal N(0, 1)

    A teacher that is trained as usual may change all N of its answers because of one example, and
    two distributions are at most :math:`\sqrt2` apart, so the sensitivity is
    :math:`\sqrt{2N}` and the noise is exactly mu-GDP with :math:`\mu = \sqrt{2N} / \sigma`: at
    N = 1,000, sigma = 0.2 and delta = 1e-5 that is epsilon 25,953. The summary and the report
    print this number beside "none".

    The noise is drawn from the operating system, once for a teacher and a text: asked again, in
    any round, a client says the same. Distilling averages the noise of different texts and clients
    away, so a student loses little, and so can whoever attacks.

    Attributes:
        sigma: standard deviation of the noise on a probability.
        delta: at which the worst case is told.
        noise_seed: for tests; a run with it is **not private**, and says so.

    Reference: Dwork and Roth. *The Algorithmic Foundations of Differential Privacy*, 2014,
    section 3.5.3 and appendix A; Balle, Wang. *Improving the Gaussian Mechanism*, ICML 2018,
    theorem 8, https://arxiv.org/abs/1805.06530.
    """

    sigma: float = Field(default=0.2, gt=0)
    delta: float = Field(default=1e-5, gt=0, lt=1)
    noise_seed: int | None = Field(default=None, ge=0)

    @property
    @override
    def private(self) -> bool:
        return self.noise_seed is None

    @override
    def release(self, probs: Floats, noise: Noise | None = None) -> Floats:
        drawn = source(self.noise_seed, noise, probs).normal(*probs.shape)
        raised = np.maximum(probs + self.sigma * drawn, _FLOOR)
        made: Floats = (raised / raised.sum(axis=-1, keepdims=True)).astype(np.float32)
        return made

    @override
    def worst_case(self, rows: int, times: int = 1) -> float:
        return epsilon_of(math.sqrt(2 * rows * times) / self.sigma, self.delta)
