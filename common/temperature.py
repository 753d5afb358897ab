"""Making predictions more or less certain, and fitting how much on held-out samples.

Axes: N samples, C labels, T temperatures, D coordinates. A temperature is positive and has
no unit; below 1 sharpens, above 1 flattens.
"""

from collections.abc import Callable

import numpy as np

from common.arrays import Floats, Ints
from common.labels import LabelGeometry
from common.per_sample import TINY, checked

COLDEST, HOTTEST = 0.03, 30.0
"""The range in which temperatures are fitted."""


def at_temperature(probs: Floats, temperature: float) -> Floats:
    """``softmax(log p / T)``, shape (N, C): below 1 sharpens, above 1 flattens.

    Source: temperature scaling, Guo et al. 2017, section 4.2, on log-probabilities, which
    are logits up to a constant. Probabilities are clipped at 1e-12.
    """
    if temperature <= 0:
        raise ValueError(f"a temperature is positive, got {temperature}")
    scaled: Floats = np.exp(_below_largest(probs) / temperature)
    scaled /= scaled.sum(axis=1, keepdims=True)
    return scaled


def fit_temperature(probs: Floats, labels: Ints) -> float:
    """The T in [0.03, 30] with the least negative log-likelihood (Guo et al. 2017).

    An end of the range is returned as it is: all predictions right, or worse than chance.
    """
    probs, labels = checked(probs, labels)
    logits = _below_largest(probs)
    gold = float(logits[np.arange(len(labels)), labels].mean())
    inverse = _root(lambda b: _slope(logits, gold, b), 1 / HOTTEST, 1 / COLDEST)
    return min(max(1 / inverse, COLDEST), HOTTEST)


def fit_temperature_for_distance(probs: Floats, labels: Ints, geometry: LabelGeometry) -> float:
    """The T in [0.03, 30] with the least Semantic Distance: the sharpening control.

    What this temperature gains over T = 1 is owed to certainty alone. A distance need not
    have one valley: a grid of 41 temperatures finds the deepest, the golden section
    (Kiefer 1953) its bottom, to 1e-7 of log T.
    """
    probs, labels = checked(probs, labels)
    logits = _below_largest(probs)
    points = np.column_stack([geometry.points, np.ones(len(geometry))])  # last: the total
    gold = geometry.points[labels]
    weights = _each_label_the_same(labels)

    def distance(log_t: float) -> float:
        sums = np.exp(logits * np.exp(-log_t)) @ points
        away = sums[:, :-1] / sums[:, -1:] - gold
        return float(np.sqrt(np.einsum("ni,ni->n", away, away)) @ weights)

    return _deepest(distance)


def _below_largest(probs: Floats) -> Floats:
    """Log-probabilities minus their row's largest, shape (N, C): all at most 0."""
    logits: Floats = np.log(np.maximum(np.asarray(probs, dtype=np.float64), TINY))
    logits -= logits.max(axis=1, keepdims=True)
    return logits


def _each_label_the_same(labels: Ints) -> Floats:
    """Shape (N,), sum 1: what turns a sum over samples into the mean of the labels' means."""
    count = np.bincount(labels)
    weights: Floats = 1 / (count[labels] * np.count_nonzero(count))
    return weights


def _slope(logits: Floats, gold: float, inverse: float) -> tuple[float, float]:
    """First and second derivative of the mean NLL at ``softmax(b z)`` with respect to b.

    Mean over samples of ``E[z] - z_y`` and of ``Var[z]``, both under that softmax: the
    likelihood of an exponential family, hence convex in b = 1/T.
    """
    odds = np.exp(logits * inverse)
    odds /= odds.sum(axis=1, keepdims=True)
    weighted = odds * logits
    mean = weighted.sum(axis=1)
    spread = float(np.vdot(weighted, logits) - mean @ mean) / len(mean)
    return float(mean.mean()) - gold, spread


def _root(slope: Callable[[float], tuple[float, float]], low: float, high: float) -> float:
    """Where an increasing function crosses zero in [low, high]: Newton, kept by bisection."""
    if slope(high)[0] <= 0:
        return high
    if slope(low)[0] >= 0:
        return low
    at = 1.0
    while high - low > 1e-13 * high:
        value, rise = slope(at)
        low, high = (at, high) if value < 0 else (low, at)
        step = at - value / rise if rise > 0 else low
        if abs(step - at) <= 1e-13 * at:
            return step
        at = step if low < step < high else (low * high) ** 0.5
    return at


def _deepest(score: Callable[[float], float]) -> float:
    """The T whose ``score(log T)`` is least: a grid, then the golden section around it."""
    grid = np.linspace(np.log(COLDEST), np.log(HOTTEST), 41)
    best = int(np.argmin([score(x) for x in grid]))
    low, high = float(grid[max(best - 1, 0)]), float(grid[min(best + 1, len(grid) - 1)])
    return float(np.clip(np.exp(_golden_section(score, low, high)), COLDEST, HOTTEST))


def _golden_section(score: Callable[[float], float], low: float, high: float) -> float:
    """The minimiser within [low, high] (Kiefer 1953), to 1e-7."""
    ratio = (5**0.5 - 1) / 2
    left, right = high - ratio * (high - low), low + ratio * (high - low)
    at_left, at_right = score(left), score(right)
    while high - low > 1e-7:
        if at_left <= at_right:
            high, right, at_right = right, left, at_left
            left = high - ratio * (high - low)
            at_left = score(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + ratio * (high - low)
            at_right = score(right)
    return (low + high) / 2
