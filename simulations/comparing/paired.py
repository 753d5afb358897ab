"""Paired differences over seeds, with intervals that allow for many of them at once.

Two arms of one seed learn from the same predictions, start from the same weights and see
the same batches, so what is compared is the difference within a seed, n of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr, stdtrit
from typing_extensions import override

ALPHA = 0.05
"""Chance, at most, that any interval of a report leaves out the true difference by accident."""


@dataclass(frozen=True)
class Difference:
    """An arm minus its control, seed by seed.

    Attributes:
        values: shape (n,), one difference per seed, in units of the measure.
        p: of the two-sided paired t-test against zero; None with fewer than two seeds.
        p_holm: the same, adjusted for all comparisons of the report.
        level: share of wrong intervals that was allowed for this one.
        half_width: of the t-interval at that level, in units of the measure.
    """

    values: tuple[float, ...]
    p: float | None = None
    p_holm: float | None = None
    level: float | None = None
    half_width: float | None = None

    @property
    def mean(self) -> float:
        """The mean difference."""
        return float(np.mean(self.values))

    @property
    def lower(self) -> bool:
        """Whether the whole interval lies below zero."""
        return self.half_width is not None and self.mean + self.half_width < 0

    @property
    def higher(self) -> bool:
        """Whether the whole interval lies above zero."""
        return self.half_width is not None and self.mean - self.half_width > 0

    @property
    def is_zero(self) -> bool:
        """Whether arm and control agree to the last bit on every seed."""
        return not any(self.values)

    @override
    def __str__(self) -> str:
        spread = "" if self.half_width is None else f" ± {self.half_width:.3f}"
        return f"{self.mean:+.3f}{spread}"


def differences(measured: Sequence[Sequence[float]], alpha: float = ALPHA) -> list[Difference]:
    """Every comparison of a report, with t-intervals widened by Holm's procedure.

    An interval leaves out zero exactly where Holm's procedure rejects "no difference".

    Args:
        measured: m comparisons of n differences each.
        alpha: chance, at most, of one wrong interval among all m.
    """
    tests = [t_test(values) for values in measured]
    known = [p for p in tests if p is not None]
    steps = iter(holm(known, alpha))
    made = []
    for values, p in zip(measured, tests, strict=True):
        if p is None:
            made.append(Difference(tuple(values)))
            continue
        adjusted, level = next(steps)
        made.append(Difference(tuple(values), p, adjusted, level, half_width(values, level)))
    return made


def t_test(values: Sequence[float]) -> float | None:
    r"""The two-sided p of Student's paired t-test; None for fewer than two values.

    :math:`t = \bar d / (s / \sqrt n)` with n - 1 degrees of freedom (Student, *The Probable
    Error of a Mean*, Biometrika 1908). Differences without any spread are certain: 1 or 0.
    """
    if len(values) < 2:
        return None
    mean, error = float(np.mean(values)), _standard_error(values)
    if error == 0:
        return 0.0 if mean else 1.0
    return float(2 * stdtr(len(values) - 1, -abs(mean) / error))


def half_width(values: Sequence[float], level: float) -> float:
    """Half the width of the t-interval that misses the mean with probability ``level``."""
    quantile = float(stdtrit(len(values) - 1, 1 - level / 2))
    return quantile * _standard_error(values)


def holm(tests: Sequence[float], alpha: float = ALPHA) -> list[tuple[float, float]]:
    """Holm's step-down procedure: for each p its adjusted value and the level it was held to.

    The r-th smallest of m values of p is held to alpha / (m - r + 1), until the first that
    fails; all after it fail, and are held to the level of that one. Adjusted, the r-th is
    the largest of :math:`(m - j + 1) p_{(j)}` over j <= r, at most 1.

    Reference: Holm. *A Simple Sequentially Rejective Multiple Test Procedure*, Scandinavian
    Journal of Statistics 6, 1979.
    """
    size = len(tests)
    made = [(1.0, alpha)] * size
    adjusted, level, failed = 0.0, alpha, False
    for rank, index in enumerate(np.argsort(tests, kind="stable")):
        if not failed:
            level = alpha / (size - rank)
            failed = tests[index] > level
        adjusted = max(adjusted, min(1.0, (size - rank) * tests[index]))
        made[index] = (adjusted, level)
    return made


def _standard_error(values: Sequence[float]) -> float:
    return float(np.std(values, ddof=1) / np.sqrt(len(values)))
