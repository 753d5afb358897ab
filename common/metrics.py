"""How good a set of soft predictions is: right, near, calibrated.

Axes: N samples, C labels. ``probs`` is always shape (N, C), rows are distributions;
``labels`` is shape (N,), integers 0..C-1. Distances are in units of the label
coordinates. Everything is computed in float64. Nothing here is random.

**A lower distance that a temperature also gives is sharpening, not geometry.** Semantic
Distance looks at the mean position only, and a student can lower it by being more
certain, which needs no knowledge of where labels lie. :func:`evaluate` therefore always
reports the distance at two fitted temperatures beside the raw one.
"""

from collections.abc import Callable

import numpy as np

from common.arrays import Floats, Ints
from common.labels import LabelGeometry

METRICS = (
    "accuracy",
    "macro_f1",
    "semantic_distance",
    "semantic_distance_mean",
    "w1",
    "w1_human",
    "ece",
    "nll",
    "brier",
    "temperature",
    "semantic_distance_at_temperature",
    "sharpening_temperature",
    "semantic_distance_at_sharpening_temperature",
)
"""The keys of :func:`evaluate`, in the order in which a report prints them."""

_TINY = 1e-12
_COLDEST, _HOTTEST = 0.03, 30.0


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
        geometry: the C labels and their coordinates.
        validation: ``probs`` (V, C) and ``labels`` (V,) of held-out labelled samples, on
            which both temperatures are fitted; without them these four values are None.
        gold: shape (N, C); the raters' distributions, where the data has them. Without
            them ``w1_human`` is None.
    """
    human = None if gold is None else w1_to_distribution(probs, gold, geometry)
    return {
        "accuracy": accuracy(probs, labels),
        "macro_f1": macro_f1(probs, labels),
        "semantic_distance": semantic_distance(probs, labels, geometry),
        "semantic_distance_mean": semantic_distance_mean(probs, labels, geometry),
        "w1": w1(probs, labels, geometry),
        "w1_human": human,
        "ece": ece(probs, labels),
        "nll": nll(probs, labels),
        "brier": brier(probs, labels),
        **_at_fitted_temperatures(probs, labels, geometry, validation),
    }


def accuracy(probs: Floats, labels: Ints) -> float:
    """Share of samples whose largest probability is on the gold label; ties go down."""
    probs, labels = _checked(probs, labels)
    return float(np.mean(probs.argmax(axis=1) == labels))


def macro_f1(probs: Floats, labels: Ints) -> float:
    """Mean F1 over the labels that occur in gold, each counting the same.

    F1 of label c is 2 TP / (2 TP + FP + FN), with TP, FP, FN of the top label. A label
    nobody holds in ``labels`` has no recall and is left out; predicting it still costs
    the F1 of the label it was mistaken for. This is scikit-learn's
    ``f1_score(average="macro", labels=unique(gold), zero_division=0)``.
    """
    probs, labels = _checked(probs, labels)
    present = np.unique(labels)
    gold = labels[:, None] == present
    guess = probs.argmax(axis=1)[:, None] == present
    hits = (gold & guess).sum(axis=0)
    return float(np.mean(2 * hits / (gold.sum(axis=0) + guess.sum(axis=0))))


def semantic_distance(probs: Floats, labels: Ints, geometry: LabelGeometry) -> float:
    """KNOT's Semantic Distance, macro over the gold labels present, in label coordinates.

    ``(1/C') sum_{c present} mean_{i: y_i = c} || sum_a p_ia u_a - u_c ||_2``, with u the
    points of ``geometry``. Source: KNOT (Bhardwaj, Vaidya, Poria, COLING 2022,
    arXiv:2110.02432), ``reg_score`` of the authors' code. It sees the mean position
    only: half on either end of a scale scores like all in the middle; read :func:`w1` too.
    """
    distances = _distances(probs, labels, geometry)
    return float(np.mean([distances[labels == c].mean() for c in np.unique(labels)]))


def semantic_distance_mean(probs: Floats, labels: Ints, geometry: LabelGeometry) -> float:
    """Like :func:`semantic_distance`, as the plain mean over samples."""
    return float(_distances(probs, labels, geometry).mean())


def w1(probs: Floats, labels: Ints, geometry: LabelGeometry) -> float:
    """Mean exact transport cost to the one-hot gold label, in units of the ground cost.

    All mass must travel to one label, so the plan is forced: ``sum_a p_a M[a, y]``
    (Villani, Topics in Optimal Transportation, section 1.1: transport to a point mass).
    """
    probs, labels = _checked(probs, labels)
    return float(np.einsum("nc,nc->n", probs, geometry.cost[labels]).mean())


def w1_to_distribution(probs: Floats, gold: Floats, geometry: LabelGeometry) -> float:
    """Mean exact transport cost from ``probs`` to ``gold``, both shape (N, C).

    On a line the closed form ``sum_c |P(c) - Q(c)| (u_{c+1} - u_c)`` over cumulative
    sums P, Q (Villani 2003, theorem 2.18); for any other cost POT's network simplex. Rows
    are normalised to sum 1 first, because their rounding would make a plan infeasible.
    """
    source, target = _normalised(probs), _normalised(gold)
    if source.shape != target.shape:
        raise ValueError(f"probs {source.shape} and gold {target.shape} differ in shape")
    if geometry.is_line:
        ahead = np.cumsum(source - target, axis=1)[:, :-1]
        return float((np.abs(ahead) @ np.diff(geometry.points[:, 0])).mean())
    # POT takes seconds to import; runs on a line never pay for it.
    from ot import emd2

    costs = [emd2(p, q, geometry.cost) for p, q in zip(source, target, strict=True)]
    return float(np.mean(costs))


def ece(probs: Floats, labels: Ints, bins: int = 15) -> float:
    """Expected calibration error of the top label over equal-width bins.

    ``sum_b (n_b / N) |accuracy_b - confidence_b|``. Source: Guo et al., "On Calibration
    of Modern Neural Networks", ICML 2017, equation 3.
    """
    confidence, hits, count = calibration_bins(probs, labels, bins)
    filled = count > 0
    gaps = np.abs(hits[filled] - confidence[filled])
    return float((gaps * count[filled]).sum() / count.sum())


def calibration_bins(probs: Floats, labels: Ints, bins: int = 15) -> tuple[Floats, Floats, Ints]:
    """Mean confidence, accuracy and count of each of ``bins`` bins ((b/bins, (b+1)/bins]).

    Returns three arrays of shape (bins,); the means of an empty bin are NaN. Source: the
    reliability diagram of Guo et al. 2017, section 2.
    """
    probs, labels = _checked(probs, labels)
    top = probs.max(axis=1)
    index = np.clip(np.ceil(top * bins).astype(np.int64) - 1, 0, bins - 1)
    count = np.bincount(index, minlength=bins)
    right = (probs.argmax(axis=1) == labels).astype(np.float64)
    size = np.where(count > 0, count, np.nan)
    confidence = np.bincount(index, weights=top, minlength=bins) / size
    return confidence, np.bincount(index, weights=right, minlength=bins) / size, count


def nll(probs: Floats, labels: Ints) -> float:
    """Mean negative log-likelihood of the gold label, in nats; p is clipped at 1e-12."""
    probs, labels = _checked(probs, labels)
    return float(-np.log(np.maximum(probs[np.arange(len(labels)), labels], _TINY)).mean())


def brier(probs: Floats, labels: Ints) -> float:
    """Mean squared distance to the one-hot gold label, 0..2 (Brier 1950, all classes)."""
    probs, labels = _checked(probs, labels)
    return float(((probs - np.eye(probs.shape[1])[labels]) ** 2).sum(axis=1).mean())


def at_temperature(probs: Floats, temperature: float) -> Floats:
    """``softmax(log p / T)``, shape (N, C): below 1 sharpens, above 1 flattens.

    Source: temperature scaling, Guo et al. 2017, section 4.2, on log-probabilities, which
    are logits up to a constant. Probabilities are clipped at 1e-12.
    """
    return np.exp(_log_at_temperature(probs, temperature))


def fit_temperature(probs: Floats, labels: Ints) -> float:
    """The T in [0.03, 30] with the least negative log-likelihood (Guo et al. 2017).

    An end of the range is returned as it is: all predictions right, or worse than chance.
    """
    probs, labels = _checked(probs, labels)
    rows = np.arange(len(labels))
    return _best_temperature(lambda t: -_log_at_temperature(probs, t)[rows, labels].mean())


def fit_temperature_for_distance(probs: Floats, labels: Ints, geometry: LabelGeometry) -> float:
    """The T in [0.03, 30] with the least Semantic Distance: the sharpening control.

    What this temperature gains over T = 1 is owed to certainty alone.
    """
    return _best_temperature(
        lambda t: semantic_distance(at_temperature(probs, t), labels, geometry)
    )


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


def _best_temperature(score: Callable[[float], float]) -> float:
    """The minimiser of ``score(T)`` over log T: a grid, then the golden section around it.

    The likelihood is convex in 1/T, a distance need not be; the grid finds its valley.
    """
    grid = np.linspace(np.log(_COLDEST), np.log(_HOTTEST), 41)
    best = int(np.argmin([score(float(np.exp(x))) for x in grid]))
    low, high = float(grid[max(best - 1, 0)]), float(grid[min(best + 1, len(grid) - 1)])
    return float(np.clip(np.exp(_golden_section(score, low, high)), _COLDEST, _HOTTEST))


def _golden_section(score: Callable[[float], float], low: float, high: float) -> float:
    """The minimiser within [low, high] of log T (Kiefer 1953), to 1e-7."""
    ratio = (5**0.5 - 1) / 2
    left, right = high - ratio * (high - low), low + ratio * (high - low)
    at_left, at_right = score(float(np.exp(left))), score(float(np.exp(right)))
    while high - low > 1e-7:
        if at_left <= at_right:
            high, right, at_right = right, left, at_left
            left = high - ratio * (high - low)
            at_left = score(float(np.exp(left)))
        else:
            low, left, at_left = left, right, at_right
            right = low + ratio * (high - low)
            at_right = score(float(np.exp(right)))
    return (low + high) / 2


def _log_at_temperature(probs: Floats, temperature: float) -> Floats:
    if temperature <= 0:
        raise ValueError(f"a temperature is positive, got {temperature}")
    logits = np.log(np.maximum(np.asarray(probs, dtype=np.float64), _TINY)) / temperature
    logits -= logits.max(axis=1, keepdims=True)
    log_probs: Floats = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return log_probs


def _distances(probs: Floats, labels: Ints, geometry: LabelGeometry) -> Floats:
    probs, labels = _checked(probs, labels)
    distances: Floats = np.linalg.norm(probs @ geometry.points - geometry.points[labels], axis=1)
    return distances


def _normalised(probs: Floats) -> Floats:
    rows: Floats = np.array(probs, dtype=np.float64)
    rows /= rows.sum(axis=1, keepdims=True)
    return rows


def _checked(probs: Floats, labels: Ints) -> tuple[Floats, Ints]:
    probs, labels = np.asarray(probs, dtype=np.float64), np.asarray(labels, dtype=np.int64)
    if probs.ndim != 2 or labels.shape != probs.shape[:1] or not len(labels):
        raise ValueError(f"expected (N, C) and (N,), N > 0, got {probs.shape} and {labels.shape}")
    if not np.all(np.isfinite(probs)):
        raise ValueError("predictions must be finite")
    if labels.min() < 0 or labels.max() >= probs.shape[1]:
        raise ValueError(f"labels must lie in 0..{probs.shape[1] - 1}")
    return probs, labels
