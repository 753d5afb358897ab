"""From correct guesses to a lower bound of epsilon."""

import math

import numpy as np
from scipy.stats import binom, norm, t

from common.arrays import Floats
from common.gaussian_dp import epsilon_of

_ROUNDS, _MOST = 60, 100.0


def one_run_p_value(
    canaries: int, guesses: int, correct: int, epsilon: float, delta: float
) -> float:
    """How likely so many correct guesses are at most, if (epsilon, delta)-DP holds.

    Reference: Steinke, Nasr, Jagielski. *Privacy Auditing with One (1) Training Run*, NeurIPS
    2023, theorem 5.2, https://arxiv.org/abs/2305.08846: the number of correct ones among r
    guesses is below a binomial one of r trials with chance e^eps / (1 + e^eps), but for
    ``2 m delta`` times the largest mean of its probabilities just below v.

    Args:
        canaries: m, each included with probability 1/2 by itself.
        guesses: r, how many were guessed; the others were passed over.
        correct: v, of them.
        epsilon: at least 0.
        delta: in [0, 1).
    """
    chance = 1 / (1 + math.exp(-epsilon))
    beta = float(binom.sf(correct - 1, guesses, chance))
    below = binom.pmf(np.arange(correct - 1, -1, -1), guesses, chance)  # v-1, v-2, .. 0
    means = np.cumsum(below) / np.arange(1, correct + 1)
    alpha = float(means.max(initial=0.0))
    return min(1.0, beta + 2 * canaries * delta * alpha)


def one_run_epsilon(
    canaries: int, guesses: int, correct: int, delta: float, significance: float
) -> float:
    """The largest epsilon that so many correct guesses refute; 0 if they refute none."""
    if one_run_p_value(canaries, guesses, correct, 0.0, delta) > significance:
        return 0.0
    low, high = 0.0, _MOST
    for _ in range(_ROUNDS):
        middle = (low + high) / 2
        refuted = one_run_p_value(canaries, guesses, correct, middle, delta) <= significance
        low, high = (middle, high) if refuted else (low, middle)
    return low


def gaussian_mu(shares: Floats, significance: float) -> float:
    """The largest mu that the shares of correct guesses in R independent runs refute.

    Whether one canary is included cannot be guessed more often than with probability
    Phi(mu / 2) under mu-GDP (Dong, Roth, Su 2022, equation 6, at the balanced threshold), so
    nor is the expected share of all guesses that are correct larger. Runs are independent,
    canaries of one run are not: the bound is a one-sided t-interval over runs, and never above
    what R runs can show at all if the canaries of a run are all right or all wrong together,
    ``significance ** (1 / R)``.

    Args:
        shares: shape (R,), R > 1, of correct guesses in each run, every canary guessed.
        significance: one-sided.
    """
    runs = len(shares)
    spread = float(shares.std(ddof=1)) / math.sqrt(runs)
    lower = float(shares.mean()) - float(t.ppf(1 - significance, runs - 1)) * spread
    return max(0.0, 2 * float(norm.ppf(min(max(lower, 0.5), significance ** (1 / runs)))))


def gaussian_epsilon(shares: Floats, delta: float, significance: float) -> float:
    """:func:`gaussian_mu` as an epsilon, for a mechanism that claims to be Gaussian."""
    mu = gaussian_mu(shares, significance)
    return epsilon_of(mu, delta) if mu > 0 else 0.0
