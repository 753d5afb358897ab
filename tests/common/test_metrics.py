import math

import numpy as np
import ot
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from scipy.stats import wasserstein_distance
from sklearn.metrics import accuracy_score, brier_score_loss, f1_score, log_loss

from common import metrics
from common.labels import LabelGeometry
from common.seeds import stream

STARS = LabelGeometry.ordinal("abcde", (-2.2, -1, 0, 1, 2.2))
FLAT = LabelGeometry.discrete("abcde")
WHEEL_POINTS = np.array([(-0.4, 0.8), (0.9, 0.2), (0.0, 0.0), (-0.9, -0.4), (0.4, 0.9)])
WHEEL = LabelGeometry(
    tuple("abcde"),
    WHEEL_POINTS,
    np.linalg.norm(WHEEL_POINTS[:, None] - WHEEL_POINTS[None], axis=-1),
)
SEEDS = st.integers(0, 2**32 - 1)


def sample(seed, n=60, c=5, classes=None):
    rng = stream(seed, "metrics")
    probs = rng.dirichlet(np.full(c, 0.6), size=n).astype(np.float32)
    return probs, rng.choice(classes or c, size=n)


@pytest.mark.parametrize("classes", [None, [0, 3], [2]])
@pytest.mark.parametrize("seed", range(5))
def test_accuracy_and_macro_f1_agree_with_sklearn(seed, classes):
    probs, labels = sample(seed, classes=classes)
    guess = probs.argmax(axis=1)
    assert metrics.accuracy(probs, labels) == pytest.approx(accuracy_score(labels, guess))
    wanted = f1_score(labels, guess, average="macro", labels=np.unique(labels), zero_division=0)
    assert metrics.macro_f1(probs, labels) == pytest.approx(wanted)


@pytest.mark.parametrize("seed", range(5))
def test_nll_and_brier_agree_with_sklearn(seed):
    probs, labels = sample(seed)
    exact = probs.astype(np.float64)
    exact /= exact.sum(axis=1, keepdims=True)
    assert metrics.nll(exact, labels) == pytest.approx(log_loss(labels, exact, labels=range(5)))
    wanted = brier_score_loss(labels, exact, labels=range(5), scale_by_half=False)
    assert metrics.brier(exact, labels) == pytest.approx(wanted)


def test_nll_of_an_impossible_gold_label_is_the_clip():
    assert metrics.nll(np.eye(2), np.array([1, 1])) == pytest.approx(-math.log(1e-12) / 2)


def test_semantic_distance_by_hand_weighs_labels_not_samples():
    line = LabelGeometry.ordinal("xyz")
    probs = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0.5, 0, 0.5], [0.25, 0.5, 0.25]])
    labels = np.array([0, 0, 0, 2, 2])
    # Distances 0, 1, 2 of label 0; |1 - 2| = 1 twice of label 2; label 1 does not occur.
    assert metrics.semantic_distance(probs, labels, line) == pytest.approx((1 + 1) / 2)
    assert metrics.semantic_distance_mean(probs, labels, line) == pytest.approx(5 / 5)
    # The mean position hides the spread of the fourth sample; transport does not.
    assert metrics.w1(probs[3:4], labels[3:4], line) == pytest.approx(1.0)
    assert metrics.semantic_distance(probs[3:4], np.array([1]), line) == pytest.approx(0.0)
    assert metrics.w1(probs[3:4], np.array([1]), line) == pytest.approx(1.0)


def test_semantic_distance_in_the_plane_by_hand():
    probs = np.array([[0.5, 0.5, 0, 0, 0], [0, 0, 0, 0, 1.0]])
    labels = np.array([2, 2])
    first, second = math.hypot(0.25, 0.5), math.hypot(0.4, 0.9)
    assert metrics.semantic_distance(probs, labels, WHEEL) == pytest.approx((first + second) / 2)


@pytest.mark.parametrize("geometry", [STARS, FLAT, WHEEL], ids=["line", "flat", "wheel"])
def test_w1_agrees_with_pot(geometry):
    probs, labels = sample(1, n=20)
    exact = probs.astype(np.float64)
    exact /= exact.sum(axis=1, keepdims=True)
    wanted = [ot.emd2(p, q, geometry.cost) for p, q in zip(exact, np.eye(5)[labels], strict=True)]
    assert metrics.w1(exact, labels, geometry) == pytest.approx(np.mean(wanted))
    one_hot = metrics.w1_to_distribution(exact, np.eye(5)[labels], geometry)
    assert one_hot == pytest.approx(np.mean(wanted))


@pytest.mark.parametrize("geometry", [STARS, FLAT, WHEEL], ids=["line", "flat", "wheel"])
def test_w1_to_distributions_agrees_with_pot(geometry):
    (probs, _), (gold, _) = sample(2, n=20), sample(3, n=20)
    norm = [
        x.astype(np.float64) / x.astype(np.float64).sum(1, keepdims=True) for x in (probs, gold)
    ]
    wanted = np.mean([ot.emd2(p, q, geometry.cost) for p, q in zip(*norm, strict=True)])
    assert metrics.w1_to_distribution(probs, gold, geometry) == pytest.approx(wanted)


def test_w1_on_a_line_agrees_with_scipy():
    (probs, _), (gold, _) = sample(2, n=20), sample(3, n=20)
    line = STARS.points[:, 0]
    wanted = [wasserstein_distance(line, line, p, q) for p, q in zip(probs, gold, strict=True)]
    assert metrics.w1_to_distribution(probs, gold, STARS) == pytest.approx(np.mean(wanted))


def test_flat_w1_is_total_variation():
    probs, labels = sample(4)
    missing = 1 - probs[np.arange(60), labels].astype(np.float64)
    assert metrics.w1(probs, labels, FLAT) == pytest.approx(missing.mean(), abs=1e-6)


def test_ece_by_hand():
    probs = np.array([[0.95, 0.05], [0.85, 0.15], [0.55, 0.45], [0.4, 0.6], [1.0, 0.0]])
    labels = np.array([0, 1, 1, 1, 0])
    # Ten bins: .55 wrong and .6 right share (.5, .6]; .85 wrong; .95 and 1 right.
    wanted = (abs(1 - 1.15) + 0.85 + abs(2 - 1.95)) / 5
    assert metrics.ece(probs, labels, bins=10) == pytest.approx(wanted)
    confidence, hits, count = metrics.calibration_bins(probs, labels, bins=10)
    assert count.tolist() == [0, 0, 0, 0, 0, 2, 0, 0, 1, 2]
    assert confidence[5] == pytest.approx(0.575)
    assert hits[5] == pytest.approx(0.5)
    assert np.isnan(confidence[0])


@settings(max_examples=30, deadline=None)
@given(SEEDS)
def test_ece_with_one_bin_is_the_mean_gap(seed):
    probs, labels = sample(seed, n=25)
    gap = abs(probs.max(axis=1).mean(dtype=np.float64) - metrics.accuracy(probs, labels))
    assert metrics.ece(probs, labels, bins=1) == pytest.approx(gap)


@pytest.mark.parametrize("temperature", [0.1, 1.0, 7.0])
def test_at_temperature_is_a_softmax_of_scaled_logits(temperature):
    logits = stream(0, "logits").normal(size=(30, 5))
    scaled = metrics.at_temperature(softmax(logits, axis=1), temperature)
    assert np.allclose(scaled, softmax(logits / temperature, axis=1))


@settings(max_examples=20, deadline=None)
@given(SEEDS, st.floats(0.2, 5.0))
def test_fitted_temperature_agrees_with_scipy(seed, spread):
    rng = stream(seed, "fit")
    logits = rng.normal(size=(80, 4)) * spread
    labels = rng.integers(0, 4, 80)
    labels[:60] = logits[:60].argmax(axis=1)

    def loss(log_t):
        scaled = log_softmax(logits / math.exp(log_t), axis=1)
        return -scaled[np.arange(80), labels].mean()

    wanted = minimize_scalar(loss, bounds=(math.log(0.03), math.log(30)), method="bounded")
    fitted = metrics.fit_temperature(softmax(logits, axis=1), labels)
    assert loss(math.log(fitted)) <= wanted.fun + 1e-9
    assert fitted == pytest.approx(math.exp(wanted.x), rel=1e-3)


def test_fitted_temperature_undoes_a_temperature():
    rng = stream(5, "undo")
    probs = softmax(rng.normal(size=(20000, 4)), axis=1)
    labels = np.array([rng.choice(4, p=p) for p in probs])
    assert metrics.fit_temperature(metrics.at_temperature(probs, 0.4), labels) == pytest.approx(
        metrics.fit_temperature(probs, labels) / 0.4, rel=1e-5
    )
    assert metrics.fit_temperature(probs, labels) == pytest.approx(1, abs=0.1)


def test_a_fit_ends_at_the_range():
    probs = np.array([[0.6, 0.4], [0.3, 0.7]])
    assert metrics.fit_temperature(probs, np.array([0, 1])) == pytest.approx(0.03)
    assert metrics.fit_temperature(probs, np.array([1, 0])) == pytest.approx(30)


@settings(max_examples=20, deadline=None)
@given(SEEDS)
def test_the_sharpening_control_finds_the_least_distance_of_a_fine_grid(seed):
    probs, labels = sample(seed, n=40)
    sharp = metrics.fit_temperature_for_distance(probs, labels, STARS)
    found = metrics.semantic_distance(metrics.at_temperature(probs, sharp), labels, STARS)
    grid = np.exp(np.linspace(math.log(0.03), math.log(30), 200))
    least = min(
        metrics.semantic_distance(metrics.at_temperature(probs, t), labels, STARS) for t in grid
    )
    assert 0.03 <= sharp <= 30
    assert found <= least + 2e-3


def test_evaluate_is_every_metric_under_its_name():
    (probs, labels), held_out, (gold, _) = sample(7), sample(8), sample(9)
    row = metrics.evaluate(probs, labels, STARS, validation=held_out, gold=gold)
    assert tuple(sorted(row)) == tuple(sorted(metrics.METRICS))
    assert all(type(value) is float for value in row.values())
    fitted = metrics.fit_temperature(*held_out)
    assert row["temperature"] == fitted
    assert row["semantic_distance_at_temperature"] == metrics.semantic_distance(
        metrics.at_temperature(probs, fitted), labels, STARS
    )
    assert row["w1_human"] == metrics.w1_to_distribution(probs, gold, STARS)
    sharp = metrics.fit_temperature_for_distance(*held_out, STARS)
    assert row["sharpening_temperature"] == sharp
    assert row["semantic_distance_at_sharpening_temperature"] == metrics.semantic_distance(
        metrics.at_temperature(probs, sharp), labels, STARS
    )


def test_what_was_not_measured_is_none():
    row = metrics.evaluate(*sample(7), STARS, validation=None)
    assert tuple(sorted(row)) == tuple(sorted(metrics.METRICS))
    assert {name for name, value in row.items() if value is None} == {
        "w1_human",
        "temperature",
        "semantic_distance_at_temperature",
        "sharpening_temperature",
        "semantic_distance_at_sharpening_temperature",
    }


@pytest.mark.parametrize("geometry", [STARS, FLAT, WHEEL], ids=["line", "flat", "wheel"])
def test_a_perfect_student_is_perfect(geometry):
    labels = sample(3)[1]
    row = metrics.evaluate(
        np.eye(5)[labels], labels, geometry, validation=None, gold=np.eye(5)[labels]
    )
    assert (row["accuracy"], row["macro_f1"]) == (1.0, 1.0)
    zero = ("semantic_distance", "semantic_distance_mean", "w1", "w1_human", "ece", "nll", "brier")
    assert all(row[name] == pytest.approx(0.0, abs=1e-12) for name in zero)


@pytest.mark.parametrize(
    ("probs", "labels"),
    [
        (np.full((2, 2), 0.5), np.array([0, 2])),
        (np.full((2, 2), 0.5), np.array([-1, 0])),
        (np.full((2, 2), 0.5), np.array([0])),
        (np.full((0, 2), 0.5), np.array([], dtype=int)),
        (np.full((2, 2), np.nan), np.array([0, 1])),
    ],
)
def test_what_cannot_be_scored_is_refused(probs, labels):
    with pytest.raises(ValueError, match=r"labels must lie|expected|finite"):
        metrics.accuracy(probs, labels)


def test_shapes_and_temperatures_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="differ in shape"):
        metrics.w1_to_distribution(np.ones((2, 2)), np.ones((2, 3)), STARS)
    with pytest.raises(ValueError, match="positive"):
        metrics.at_temperature(np.ones((2, 2)), 0)
