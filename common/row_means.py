"""Every metric as a function of means over rows, which is what a draw of rows changes.

Axes: N samples, C labels, B draws, F columns. A draw is how often it holds each row; the
means of a metric's columns under those weights are all that it needs. The formulas are those
of :mod:`common.metrics` and :mod:`common.calibration`, which see rows instead.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from common import per_sample
from common.arrays import Floats, Ints
from common.calibration import BINS, bin_of
from common.labels import LabelGeometry
from common.temperature import at_temperature, fit_temperature, fit_temperature_for_distance


@dataclass(frozen=True, eq=False)
class Statistic:
    """A metric as a function of means over rows.

    Attributes:
        columns: shape (N, F), what is averaged.
        read: from the F averages of every draw, (B, F), to the metric, (B,); NaN where a
            draw does not define it.
    """

    columns: Floats
    read: Callable[[Floats], Floats]


def statistics(
    probs: Floats,
    labels: Ints,
    geometry: LabelGeometry,
    validation: tuple[Floats, Ints] | None,
    gold: Floats | None,
) -> dict[str, Statistic]:
    """The metrics of :func:`common.metrics.evaluate` that test samples define, by name.

    The two temperatures are fitted on ``validation`` and stay; the arguments are those of
    ``evaluate``.
    """
    probs, labels = per_sample.checked(probs, labels)
    away = per_sample.distances(probs, labels, geometry)
    made = {
        "accuracy": _mean(per_sample.hits(probs, labels)),
        "macro_f1": _macro_f1(probs, labels),
        "semantic_distance": _macro(away, labels),
        "semantic_distance_mean": _mean(away),
        "w1": _mean(per_sample.transports(probs, labels, geometry)),
        "ece": _ece(probs, labels),
        "ece_classwise": _ece_classwise(probs, labels),
        "nll": _mean(per_sample.surprises(probs, labels)),
        "brier": _mean(per_sample.squares(probs, labels)),
    }
    if geometry.is_line:
        made["quadratic_kappa"] = _quadratic_kappa(probs, labels)
        made["rps"] = _mean(per_sample.ranked(probs, labels))
    if gold is not None:
        made["w1_human"] = _mean(per_sample.transports_between(probs, gold, geometry))
    if validation is not None:
        fitted = fit_temperature(*validation)
        sharp = fit_temperature_for_distance(*validation, geometry)
        for name, t in (("temperature", fitted), ("sharpening_temperature", sharp)):
            scaled = per_sample.distances(at_temperature(probs, t), labels, geometry)
            made[f"semantic_distance_at_{name}"] = _macro(scaled, labels)
    return made


def _mean(terms: Floats) -> Statistic:
    return Statistic(terms[:, None], lambda means: means[:, 0])


def _macro(terms: Floats, labels: Ints) -> Statistic:
    """The mean of the labels' means, over the labels that a draw holds."""
    of = np.eye(labels.max() + 1)[labels]
    return Statistic(np.hstack([terms[:, None] * of, of]), lambda m: _over_present(*_halves(m)))


def _macro_f1(probs: Floats, labels: Ints) -> Statistic:
    eye = np.eye(probs.shape[1])
    gold, guess = eye[labels], eye[probs.argmax(axis=1)]

    def read(means: Floats) -> Floats:
        hits, held, guessed = np.split(means, 3, axis=1)
        scores = 2 * hits / np.maximum(held + guessed, per_sample.TINY)
        return _over_present(scores * held, held)

    return Statistic(np.hstack([gold * guess, gold, guess]), read)


def _quadratic_kappa(probs: Floats, labels: Ints) -> Statistic:
    """Chance disagreement by moments: ``E(g-h)^2 = E g^2 + E h^2 - 2 Eg Eh`` if independent."""
    gold, guess = labels.astype(np.float64), probs.argmax(axis=1).astype(np.float64)

    def read(means: Floats) -> Floats:
        g, h, squares, found = means.T
        chance = squares - 2 * g * h
        # One label alone leaves rounding; otherwise chance is at least about 1 / N.
        possible = chance > 1e-12 * squares
        share: Floats = np.divide(found, chance, out=np.full_like(chance, np.nan), where=possible)
        return 1 - share

    return Statistic(np.column_stack([gold, guess, gold**2 + guess**2, (gold - guess) ** 2]), read)


def _ece(probs: Floats, labels: Ints) -> Statistic:
    gaps = (probs.argmax(axis=1) == labels) - probs.max(axis=1)
    columns = gaps[:, None] * np.eye(BINS)[bin_of(probs.max(axis=1))]
    return Statistic(columns, lambda means: np.abs(means).sum(axis=1))


def _ece_classwise(probs: Floats, labels: Ints) -> Statistic:
    size = probs.shape[1]
    columns = np.zeros((len(labels), size * BINS))
    cells = bin_of(probs) + BINS * np.arange(size)
    np.put_along_axis(columns, cells, np.eye(size)[labels] - probs, axis=1)
    filled = columns[:, columns.any(axis=0)]
    return Statistic(filled, lambda means: np.abs(means).sum(axis=1) / size)


def _halves(means: Floats) -> tuple[Floats, Floats]:
    left, right = np.split(means, 2, axis=1)
    return left, right


def _over_present(sums: Floats, held: Floats) -> Floats:
    """The mean of ``sums / held`` over the columns whose share ``held`` is not zero."""
    present = held > 0
    ratios = np.divide(sums, held, out=np.zeros_like(sums), where=present)
    means: Floats = ratios.sum(axis=1) / present.sum(axis=1)
    return means
