"""How far every metric would move on other test samples: the bootstrap over rows.

Axes: N test samples, C labels, B draws. A draw takes N rows of the N with replacement; all
that matters is how often it took each: its counts, shape (B, N). Every metric is a function
of means over rows (:mod:`common.row_means`), so a draw costs one row of a matrix product and
no prediction is ever copied.

**An interval covers the choice of test samples and nothing else.** It says nothing about
another seed of the split, the teachers or the student. It takes rows for independent: rows
of one document or author move together, and then it is too narrow. Rows are drawn plainly,
not within labels or clients. Temperatures are not fitted anew: a metric at a fitted
temperature is read at the one from the validation samples.
"""

from collections.abc import Iterator

import numpy as np

from common.arrays import Floats, Ints
from common.labels import LabelGeometry
from common.metrics import METRICS
from common.row_means import Statistic, statistics

Interval = tuple[float, float]
LEVEL, DRAWS = 0.95, 1000
"""What :func:`bootstrap` does unless told otherwise."""

_BIASED = ("ece", "ece_classwise")
_BLOCK = 4_000_000  # counts at a time: 32 MB


def bootstrap(  # noqa: PLR0913 - what, against what, and how sure
    probs: Floats,
    labels: Ints,
    geometry: LabelGeometry,
    *,
    validation: tuple[Floats, Ints] | None,
    gold: Floats | None = None,
    level: float = LEVEL,
    draws: int = DRAWS,
    rng: np.random.Generator,
) -> dict[str, Interval | None]:
    """Intervals (low, high) under the names of :data:`common.metrics.METRICS`.

    The interval lies between the (1 - level)/2 and (1 + level)/2 quantiles of the metric
    over the draws: the percentile interval of Efron and Tibshirani, *An Introduction to
    the Bootstrap*, 1993, section 13.3. Calibration errors are sums of absolute values,
    which every resampling raises: percentiles can miss the value itself. Theirs are moved
    by the estimated bias (ibid., section 10.2) and tell how far the *reported* figure
    would move; the figure itself stays above the error of infinitely many samples.

    The same generator state draws the same rows, so arms can share them.

    Args:
        probs: shape (N, C); the arm's predictions on the test samples.
        labels: shape (N,); their gold labels.
        geometry: the C labels and their coordinates.
        validation: as for :func:`common.metrics.evaluate`.
        gold: as for :func:`common.metrics.evaluate`.
        level: share of draws between the ends.
        draws: B, how many samples of size N are drawn.
        rng: draws the rows.

    Returns:
        None for the two temperatures, which test samples do not touch, and for what
        ``evaluate`` does not measure either.
    """
    measured = statistics(probs, labels, geometry, validation, gold)
    parts = [_replicate(measured, counts) for counts in _counts(len(labels), draws, rng)]
    value = _replicate(measured, np.ones((1, len(labels)), dtype=np.int64))
    made: dict[str, Interval | None] = dict.fromkeys(METRICS)
    for name in measured:
        moved = np.concatenate([part[name] for part in parts])
        made[name] = _interval(moved, level, value[name] if name in _BIASED else None)
    return made


def replicates(
    probs: Floats,
    labels: Ints,
    geometry: LabelGeometry,
    counts: Ints,
    *,
    validation: tuple[Floats, Ints] | None,
    gold: Floats | None = None,
) -> dict[str, Floats]:
    """Every metric of every draw, shape (B,), where test samples define it.

    Two arms given the same ``counts`` may be subtracted draw by draw.

    Args:
        probs: shape (N, C).
        labels: shape (N,).
        geometry: the C labels.
        counts: shape (B, N); how often each draw holds each row, every row summing to N.
        validation: as for :func:`bootstrap`.
        gold: as for :func:`bootstrap`.
    """
    return _replicate(statistics(probs, labels, geometry, validation, gold), counts)


def resample(size: int, draws: int, rng: np.random.Generator) -> Ints:
    """Counts of shape (draws, size): rows 0..size-1 drawn ``size`` times with replacement."""
    rows = rng.integers(0, size, (draws, size)) + size * np.arange(draws)[:, None]
    return np.bincount(rows.ravel(), minlength=draws * size).reshape(draws, size)


def _counts(size: int, draws: int, rng: np.random.Generator) -> Iterator[Ints]:
    block = max(1, _BLOCK // size)
    for start in range(0, draws, block):
        yield resample(size, min(block, draws - start), rng)


def _replicate(measured: dict[str, Statistic], counts: Ints) -> dict[str, Floats]:
    columns = np.hstack([s.columns for s in measured.values()])
    means = (counts.astype(np.float64) @ columns) / len(columns)
    ends = np.cumsum([s.columns.shape[1] for s in measured.values()])
    parts = np.split(means, ends[:-1], axis=1)
    return {name: s.read(part) for (name, s), part in zip(measured.items(), parts, strict=True)}


def _interval(moved: Floats, level: float, value: Floats | None) -> Interval | None:
    known = moved[np.isfinite(moved)]
    if not len(known):
        return None
    low, high = (float(q) for q in np.quantile(known, [(1 - level) / 2, (1 + level) / 2]))
    if value is None:
        return low, high
    bias = float(known.mean() - value[0])
    return max(low - bias, 0.0), high - bias
