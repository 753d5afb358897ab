"""Differential privacy of Gaussian noise, exactly: what noise costs, and what a budget buys.

A release is (epsilon, delta)-differentially private if the odds of any outcome change by a
factor of at most exp(epsilon) when one example is added or removed, but for a probability of
delta. Several releases with Gaussian noise, each with its noise multiplier z (the standard
deviation in units of the sensitivity), are together exactly as private as one with
mu = sqrt(sum of 1/z^2), which Dong, Roth and Su call mu-GDP.

Reference: Dong, Roth, Su. *Gaussian Differential Privacy*, JRSS B 2022, corollaries 2.13 and
3.3, https://arxiv.org/abs/1905.02383; Balle, Wang. *Improving the Gaussian Mechanism for
Differential Privacy*, ICML 2018, theorem 8, https://arxiv.org/abs/1805.06530.
"""

import math

from scipy.special import log_ndtr, ndtr

_ROUNDS = 200  # of bisection; doubles have no more digits


def delta_of(mu: float, epsilon: float) -> float:
    """The smallest delta at which mu-GDP is (epsilon, delta)-DP; mu >= 0, epsilon >= 0."""
    if mu == 0:
        return 0.0
    first = math.exp(log_ndtr(-epsilon / mu + mu / 2))
    log_second = epsilon + log_ndtr(-epsilon / mu - mu / 2)
    return max(0.0, first - math.exp(min(log_second, 0.0)))


def epsilon_of(mu: float, delta: float) -> float:
    """The smallest epsilon at which mu-GDP is (epsilon, delta)-DP, never below the true one.

    Args:
        mu: at least 0; infinity for no noise.
        delta: in (0, 1).

    Returns:
        0 for mu = 0, infinity for no noise.
    """
    if math.isinf(mu):
        return math.inf
    if delta_of(mu, 0.0) <= delta:
        return 0.0
    low, high = 0.0, 1.0
    while delta_of(mu, high) > delta:
        low, high = high, 2 * high
    for _ in range(_ROUNDS):
        middle = (low + high) / 2
        low, high = (middle, high) if delta_of(mu, middle) > delta else (low, middle)
    return high


def mu_of(epsilon: float, delta: float) -> float:
    """The largest mu for which mu-GDP is (epsilon, delta)-DP, never above the true one.

    Args:
        epsilon: more than 0.
        delta: in (0, 1).
    """
    low, high = 0.0, 1.0
    while delta_of(high, epsilon) <= delta:
        low, high = high, 2 * high
    for _ in range(_ROUNDS):
        middle = (low + high) / 2
        low, high = (middle, high) if delta_of(middle, epsilon) <= delta else (low, middle)
    return low


def composed(mus: list[float]) -> float:
    """The mu of several releases together: the root of the sum of squares."""
    return math.sqrt(math.fsum(mu * mu for mu in mus))


def client_level_sigma(epsilon: float, delta: float, rows: int, clients: int) -> float:
    """The noise on every averaged probability that hides a whole client.

    Of K clients' distributions on N texts the mean is released once, with Gaussian noise. One
    client may turn all of its N rows, each by at most sqrt(2), so the mean moves by at most
    sqrt(2 N) / K. Of counted favourites (GNMax votes: Papernot et al., *Scalable Private
    Learning with PATE*, ICLR 2018, https://arxiv.org/abs/1802.08908) a vote turns two counts by
    one, which is sqrt(2) as well: the noise on a count is K times this. The bound holds whatever
    the votes are; where nearly all agree, PATE's own analysis is cheaper.

    Args:
        epsilon: more than 0.
        delta: in (0, 1).
        rows: N.
        clients: K.

    Returns:
        The standard deviation on an averaged probability.
    """
    return math.sqrt(2 * rows) / clients / mu_of(epsilon, delta)


def winner_survives(lead: float, sigma: float) -> float:
    """The probability that noise of ``sigma`` on each of two counts leaves the winner the winner.

    Args:
        lead: by which the first is ahead of the second, in the units of ``sigma``.
        sigma: standard deviation of the noise on each.
    """
    return float(ndtr(lead / (math.sqrt(2) * sigma)))


def noise_multiplier(epsilon: float, delta: float, releases: int) -> float:
    """The noise multiplier of each of ``releases`` that together are (epsilon, delta)-DP."""
    return math.sqrt(releases) / mu_of(epsilon, delta)
