"""How fast something grows: a line through points, and how sure its slope is."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

_LEAST = 3  # points that leave a degree of freedom


@dataclass(frozen=True)
class Slope:
    """The slope of a line, with a 95 % interval.

    Attributes:
        value: per unit of x.
        low: lower end of the interval.
        high: its upper end.
    """

    value: float
    low: float
    high: float

    @property
    def is_flat(self) -> bool:
        """Whether the interval contains 0."""
        return self.low <= 0.0 <= self.high


def slope(x: Sequence[float], y: Sequence[float]) -> Slope | None:
    r"""Ordinary least squares (Draper and Smith, Applied Regression Analysis, 3rd ed., 1.4).

    The slope is :math:`b = \sum (x - \bar x)(y - \bar y) / \sum (x - \bar x)^2`, and its
    interval :math:`b \pm t_{n-2} \sqrt{\sum r^2 / ((n - 2) \sum (x - \bar x)^2)}` with the
    residuals r. It takes the residuals for independent. Those of a memory that was sampled
    in a row are not, so that the true interval is wider: "not flat" is said too often.

    Args:
        x: shape (M,).
        y: shape (M,).

    Returns:
        None for fewer than three points, or if all x are equal.
    """
    across, up = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if len(across) < _LEAST or np.ptp(across) == 0:
        return None
    dx, dy = across - across.mean(), up - up.mean()
    spread, freedom = float(dx @ dx), len(across) - 2
    value = float(dx @ dy) / spread
    residuals = dy - value * dx
    error = math.sqrt(float(residuals @ residuals) / freedom / spread)
    reach = float(stdtrit(freedom, 0.975)) * error
    return Slope(value, value - reach, value + reach)
