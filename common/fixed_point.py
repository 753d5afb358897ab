"""Numbers in [0, 1] as 32-bit words that can be added without rounding, and sums of them back.

One client's contribution is, for each of N texts, C words of weight times value, one word of
weight and a 1 that says it contributed: shape (N, C + 2), in units of 2^-20. Words are added
modulo 2^32; as long as the true sum stays below that, the sum of the words is exact.
"""

from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from common.arrays import Floats

Words: TypeAlias = NDArray[np.uint32]

SCALE: Final = 2**20
MOST_PARTIES: Final = (2**32 - 1) // SCALE
"""So many words of 1 fit under 2^32: 4,095."""

EXTRA: Final = 2
"""Columns beyond the C of the values: weight, and who contributed."""


def to_words(values: Floats, weights: Floats, parties: int, *, whole: bool) -> Words:
    """One client's contribution, shape (N, C + 2).

    Args:
        values: shape (N, C), in [0, 1]; distributions if ``whole``.
        weights: shape (N,), in (0, 1].
        parties: how many will be added.
        whole: whether the values of a row sum to 1; then their words sum to that of the
            weight, exactly: floor, then the largest remainders, ties to the lower label.

    Raises:
        ValueError: a value or weight is not a number in its range, or shapes differ.
        OverflowError: the sum of so many parties might not fit into 32 bits.
    """
    values, weights = np.asarray(values, np.float64), np.asarray(weights, np.float64)
    if values.ndim != 2 or weights.shape != values.shape[:1]:
        raise ValueError(f"values {values.shape} and weights {weights.shape} do not fit")
    if not (np.all(values >= 0) and np.all(weights > 0)) or not np.all(np.isfinite(values)):
        raise ValueError("values must be finite and not negative, weights positive")
    units = np.rint(weights * SCALE)
    largest = max(units.max(initial=1), (weights[:, None] * values * SCALE).max(initial=1))
    if not largest * parties < 2**32:  # also if it is infinite
        raise OverflowError("the sum of all parties might not fit into 32 bits")
    made = _shared(values, units) if whole else np.rint(units[:, None] * values)
    ones = np.ones((len(values), 1))
    return np.hstack([made, units[:, None], ones]).astype(np.uint32)


@dataclass(frozen=True, eq=False)
class Sums:
    """What is known once all masks have cancelled.

    Attributes:
        values: shape (N, C), weighted means; zero where ``weights`` is.
        weights: shape (N,), the sums of the weights.
        contributors: shape (N,), how many contributed to each text.
    """

    values: Floats
    weights: Floats
    contributors: NDArray[np.int64]


def from_words(total: Words) -> Sums:
    """The weighted means in a sum of contributions, (N, C + 2)."""
    exact = total.astype(np.float64)
    units, count = exact[:, -2:-1], total[:, -1].astype(np.int64)
    means = np.divide(exact[:, :-2], units, out=np.zeros_like(exact[:, :-2]), where=units > 0)
    return Sums(means, units[:, 0] / SCALE, count)


def _shared(values: Floats, units: Floats) -> Floats:
    """Whole numbers (N, C) that sum to ``units`` (N,), nearest to their shares of it."""
    exact = values / values.sum(axis=1, keepdims=True) * units[:, None]
    made = np.floor(exact)
    missing = np.rint(units - made.sum(axis=1))
    order = np.argsort(made - exact, axis=1, kind="stable")
    rank = np.argsort(order, axis=1, kind="stable")
    shared: Floats = made + (rank < missing[:, None])
    return shared
