"""What noised sums over random samples cost: privacy amplified by sampling, numerically.

Reference: Koskela, Jaelkoe, Honkela. *Computing Tight Differential Privacy Guarantees Using FFT*,
AISTATS 2020, https://arxiv.org/abs/1906.03049; Doroshenko et al. *Connect the Dots*, PoPETS 2022,
https://arxiv.org/abs/2207.04380. Numbers come from Google's ``dp-accounting``, which discretises
privacy losses upwards, so that what it says is never below the truth.
"""

from collections.abc import Sequence
from functools import lru_cache

from clients.mechanisms import Spending
from common.gaussian_dp import composed, epsilon_of
from common.gaussian_dp import noise_multiplier as of_whole_sums

_GRID = 1e-3  # of privacy losses; a finer one changes the fifth digit
_CLOSE = 1e-3  # how much more noise than needed is good enough, relative
_LEAST = 0.3  # below it losses are so large that no grid holds them, and sampling helps little


def epsilon_of_trainings(spent: Sequence[Spending], delta: float) -> float:
    """The epsilon of several trainings of one client together; exact without sampling."""
    return _epsilon(tuple((one.noise_multiplier, one.sampling, one.steps) for one in spent), delta)


@lru_cache(maxsize=256)
def sampled_noise_multiplier(epsilon: float, delta: float, sampling: float, steps: int) -> float:
    """The smallest noise multiplier, to a thousandth, that keeps (epsilon, delta); 0.3 at least.

    Where less would do even without sampling, that is taken.

    Args:
        epsilon: of the whole training.
        delta: of the whole training.
        sampling: the probability with which an example is part of a step.
        steps: how many.
    """
    high = of_whole_sums(epsilon, delta, steps)  # sampling only helps
    if sampling == 1 or high <= _LEAST:
        return high
    low = high
    while low > _LEAST and _epsilon(((low, sampling, steps),), delta) <= epsilon:
        low, high = max(low / 2, _LEAST), low
    if low == _LEAST and _epsilon(((low, sampling, steps),), delta) <= epsilon:
        return low
    while high - low > _CLOSE * high:
        middle = (low + high) / 2
        enough = _epsilon(((middle, sampling, steps),), delta) <= epsilon
        low, high = (low, middle) if enough else (middle, high)
    return high


@lru_cache(maxsize=256)
def _epsilon(spent: tuple[tuple[float, float, int], ...], delta: float) -> float:
    if all(sampling == 1 or z < _LEAST for z, sampling, _ in spent):  # sampling only helps
        return epsilon_of(composed([steps**0.5 / z for z, _, steps in spent]), delta)
    # Function level: only this needs the optional extra.
    import dp_accounting
    from dp_accounting.pld import PLDAccountant

    accountant = PLDAccountant(
        dp_accounting.NeighboringRelation.ADD_OR_REMOVE_ONE, value_discretization_interval=_GRID
    )
    for z, sampling, steps in spent:
        step = dp_accounting.PoissonSampledDpEvent(sampling, dp_accounting.GaussianDpEvent(z))
        accountant.compose(step, steps)
    return float(accountant.get_epsilon(delta))
