"""How good a set of soft predictions is: right, near, calibrated.

Axes: N samples, C labels. ``probs`` is always shape (N, C), rows are distributions;
``labels`` is shape (N,), integers 0..C-1. Distances are in units of the label
coordinates. Everything is computed in float64. Nothing here is random; how far the figures
would move on other test rows is :func:`common.intervals.bootstrap`.

**A lower distance that a temperature also gives is sharpening, not geometry.** Semantic
Distance looks at the mean position only, and a student can lower it by being more
certain, which needs no knowledge of where labels lie. :func:`evaluate` therefore always
reports the distance at two fitted temperatures beside the raw one.
"""

import numpy as np

from common import per_sample
from common.arrays import Floats, Ints
from common.calibration import calibration_bins, ece, ece_classwise
from common.labels import LabelGeometry
from common.temperature import at_temperature, fit_temperature, fit_temperature_for_distance

__all__ = [
    "METRICS",
    "accuracy",
    "at_temperature",
    "brier",
    "calibration_bins",
    "ece",
    "ece_classwise",
    "evaluate",
    "fit_temperature",
    "fit_temperature_for_distance",
    "macro_f1",
    "nll",
    "quadratic_kappa",
    "rps",
    "semantic_distance",
    "semantic_distance_mean",
    "w1",
    "w1_to_distribution",
]

METRICS = (
    "accuracy",
    "macro_f1",
    "quadratic_kappa",
    "semantic_distance",
    "semantic_distance_mean",
    "w1",
    "w1_human",
    "rps",
    "ece",
    "ece_classwise",
    "nll",
    "brier",
    "temperature",
    "semantic_distance_at_temperature",
    "sharpening_temperature",
    "semantic_distance_at_sharpening_temperature",
)
"""The keys of :func:`evaluate`, in the order in which a report prints them."""


def evaluate(
    probs: Floats,
    labels: Ints,
    geometry: LabelGeometry,
    *,
    validation: tuple[Floats, Ints] | None,
    gold: Floats | None = None,
) -> dict[str, float | None]:
    """Every metric of one arm, under the names of :data:`METRICS`.

    A lower distance that a temperature also gives is sharpening, not geometry: compare
    arms at ``semantic_distance_at_temperature`` (T fitted to the likelihood) and against
    ``semantic_distance_at_sharpening_temperature`` (T fitted to the distance itself, the
    most that sharpening alone can give) before crediting a loss with knowing the labels.

    Args:
        probs: shape (N, C); the arm's predictions on the test samples.
        labels: shape (N,); their gold labels.
        geometry: the C labels and their coordinates. Only labels on a line have an order;
            off it ``quadratic_kappa`` and ``rps`` are None.
        validation: ``probs`` (V, C) and ``labels`` (V,) of held-out labelled samples, on
            which both temperatures are fitted; without them these four values are None.
        gold: shape (N, C); the raters' distributions, where the data has them. Without
            them ``w1_human`` is None.
    """
    human = None if gold is None else w1_to_distribution(probs, gold, geometry)
    return {
        "accuracy": accuracy(probs, labels),
        "macro_f1": macro_f1(probs, labels),
        "quadratic_kappa": quadratic_kappa(probs, labels) if geometry.is_line else None,
        "semantic_distance": semantic_distance(probs, labels, geometry),
        "semantic_distance_mean": semantic_distance_mean(probs, labels, geometry),
        "w1": w1(probs, labels, geometry),
        "w1_human": human,
        "rps": rps(probs, labels) if geometry.is_line else None,
        "ece": ece(probs, labels),
        "ece_classwise": ece_classwise(probs, labels),
        "nll": nll(probs, labels),
        "brier": brier(probs, labels),
        **_at_fitted_temperatures(probs, labels, geometry, validation),
    }


def accuracy(probs: Floats, labels: Ints) -> float:
    """Share of samples whose largest probability is on the gold label; ties go down."""
    return float(per_sample.hits(probs, labels).mean())


def macro_f1(probs: Floats, labels: Ints) -> float:
    """Mean F1 over the labels that occur in gold, each counting the same.

    F1 of label c is 2 TP / (2 TP + FP + FN), with TP, FP, FN of the top label. A label
    nobody holds in ``labels`` has no recall and is left out; predicting it still costs
    the F1 of the label it was mistaken for. This is scikit-learn's
    ``f1_score(average="macro", labels=unique(gold), zero_division=0)``.
    """
    table = _confusion(probs, labels)
    held = table.sum(axis=1)
    present = held > 0
    f1 = 2 * np.diag(table)[present] / (held + table.sum(axis=0))[present]
    return float(f1.mean())


def quadratic_kappa(probs: Floats, labels: Ints) -> float | None:
    """Agreement of top and gold label beyond chance, by squared steps: 1 is full, 0 chance.

    ``1 - sum_ij (i-j)^2 O_ij / sum_ij (i-j)^2 E_ij``, O the counts of gold i and top label
    j, E what their margins give by chance. None where chance cannot disagree: one label in
    gold and predictions. Source: Cohen, "Weighted kappa", Psychological Bulletin 70, 1968,
    with quadratic weights. Takes columns as ordered and equally spaced.
    """
    table = _confusion(probs, labels)
    label = np.arange(len(table))
    steps = (label[:, None] - label) ** 2
    chance = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    by_chance = float((steps * chance).sum())
    return 1 - float((steps * table).sum()) / by_chance if by_chance else None


def semantic_distance(probs: Floats, labels: Ints, geometry: LabelGeometry) -> float:
    """KNOT's Semantic Distance, macro over the gold labels present, in label coordinates.

    ``(1/C') sum_{c present} mean_{i: y_i = c} || sum_a p_ia u_a - u_c ||_2``, with u the
    points of ``geometry``. Source: KNOT (Bhardwaj, Vaidya, Poria, COLING 2022,
    arXiv:2110.02432), ``reg_score`` of the authors' code. It sees the mean position
    only: half on either end of a scale scores like all in the middle; read :func:`w1` too.
    """
    away = per_sample.distances(probs, labels, geometry)
    count = np.bincount(labels)
    present = count > 0
    return float((np.bincount(labels, weights=away)[present] / count[present]).mean())


def semantic_distance_mean(probs: Floats, labels: Ints, geometry: LabelGeometry) -> float:
    """Like :func:`semantic_distance`, as the plain mean over samples."""
    return float(per_sample.distances(probs, labels, geometry).mean())


def w1(probs: Floats, labels: Ints, geometry: LabelGeometry) -> float:
    """Mean exact transport cost to the one-hot gold label, in units of the ground cost.

    The formula and its source: :func:`common.per_sample.transports`.
    """
    return float(per_sample.transports(probs, labels, geometry).mean())


def w1_to_distribution(probs: Floats, gold: Floats, geometry: LabelGeometry) -> float:
    """Mean exact transport cost from ``probs`` to ``gold``, both shape (N, C).

    Formulas, solver and sources: :func:`common.per_sample.transports_between`.
    """
    return float(per_sample.transports_between(probs, gold, geometry).mean())


def rps(probs: Floats, labels: Ints) -> float:
    """Mean ranked probability score, 0..1, of labels in column order (Epstein 1969).

    The formula and its source: :func:`common.per_sample.ranked`. Proper: no distribution
    scores better on average than the true one, which holds for no distance above.
    """
    return float(per_sample.ranked(probs, labels).mean())


def nll(probs: Floats, labels: Ints) -> float:
    """Mean negative log-likelihood of the gold label, in nats; p is clipped at 1e-12."""
    return float(per_sample.surprises(probs, labels).mean())


def brier(probs: Floats, labels: Ints) -> float:
    """Mean squared distance to the one-hot gold label, 0..2 (Brier 1950, all classes)."""
    return float(per_sample.squares(probs, labels).mean())


def _confusion(probs: Floats, labels: Ints) -> Ints:
    """Counts, shape (C, C): rows are gold labels, columns the top label."""
    probs, labels = per_sample.checked(probs, labels)
    size = probs.shape[1]
    cells = labels * size + probs.argmax(axis=1)
    return np.bincount(cells, minlength=size * size).reshape(size, size)


def _at_fitted_temperatures(
    probs: Floats,
    labels: Ints,
    geometry: LabelGeometry,
    validation: tuple[Floats, Ints] | None,
) -> dict[str, float | None]:
    if validation is None:
        return dict.fromkeys(METRICS[-4:])
    fitted = fit_temperature(*validation)
    sharp = fit_temperature_for_distance(*validation, geometry)
    distance = {
        t: semantic_distance(at_temperature(probs, t), labels, geometry) for t in (fitted, sharp)
    }
    return dict(zip(METRICS[-4:], (fitted, distance[fitted], sharp, distance[sharp]), strict=True))
