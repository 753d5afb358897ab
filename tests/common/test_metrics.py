import math

import numpy as np
import ot
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import wasserstein_distance
from sklearn.metrics import (
    accuracy_score,
    brier_score_loss,
    cohen_kappa_score,
    f1_score,
    log_loss,
)

from common import metrics
from common.labels import LabelGeometry
from tests.common.soft_predictions import FLAT, GEOMETRIES, STARS, WHEEL, exact, sample

SEEDS = st.integers(0, 2**32 - 1)


@pytest.mark.parametrize("classes", [None, [0, 3], [2]])
@pytest.mark.parametrize("seed", range(5))
def test_accuracy_and_macro_f1_agree_with_sklearn(seed, classes):
    probs, labels = sample(seed, classes=classes)
    guess = probs.argmax(axis=1)
    assert metrics.accuracy(probs, labels) == pytest.approx(accuracy_score(labels, guess))
    wanted = f1_score(labels, guess, average="macro", labels=np.unique(labels), zero_division=0)
    assert metrics.macro_f1(probs, labels) == pytest.approx(wanted)


@pytest.mark.parametrize("classes", [None, [0, 3], [2]])
@pytest.mark.parametrize("seed", range(5))
def test_quadratic_kappa_agrees_with_sklearn(seed, classes):
    probs, labels = sample(seed, classes=classes)
    guess = probs.argmax(axis=1)
    wanted = cohen_kappa_score(labels, guess, labels=range(5), weights="quadratic")
    assert metrics.quadratic_kappa(probs, labels) == pytest.approx(wanted)


def test_kappa_at_its_ends():
    labels = np.array([0, 1, 2, 3, 4, 4])
    assert metrics.quadratic_kappa(np.eye(5)[labels], labels) == pytest.approx(1)
    assert metrics.quadratic_kappa(np.eye(2)[[1, 0]], np.array([0, 1])) == pytest.approx(-1)
    assert metrics.quadratic_kappa(np.eye(5)[[2] * 6], labels) == pytest.approx(0)
    assert metrics.quadratic_kappa(np.eye(5)[[2] * 6], np.full(6, 2)) is None


def test_ranked_probability_score_by_hand():
    probs = np.array([[0.2, 0.5, 0.3], [0.0, 0.0, 1.0]])
    # Cumulative .2, .7 against 0, 1; 0, 0 against 1, 1: the farthest miss scores 1.
    wanted = ((0.2**2 + 0.3**2) / 2 + 1) / 2
    assert metrics.rps(probs, np.array([1, 0])) == pytest.approx(wanted)


@settings(max_examples=30, deadline=None)
@given(SEEDS, st.integers(2, 7))
def test_ranked_probability_score_is_epsteins(seed, size):
    probs, labels = sample(seed, n=20, c=size)
    probs = exact(probs)

    def epstein(p, label):  # his equation for the outcome `label` of K = size categories
        steps = range(1, size)
        spread = sum(p[:i].sum() ** 2 + p[i:].sum() ** 2 for i in steps)
        away = sum(abs(i - label) * p[i] for i in range(size))
        return 1.5 - spread / (2 * (size - 1)) - away / (size - 1)

    wanted = 1 - np.mean([epstein(p, y) for p, y in zip(probs, labels, strict=True)])
    assert metrics.rps(probs, labels) == pytest.approx(wanted)


@pytest.mark.parametrize("seed", range(3))
def test_ranked_probability_score_is_the_mean_brier_score_of_thresholds(seed):
    probs, labels = sample(seed)
    probs = exact(probs)
    below = np.clip(np.cumsum(probs, axis=1), 0, 1)
    wanted = [brier_score_loss(labels <= c, below[:, c], pos_label=True) for c in range(4)]
    assert metrics.rps(probs, labels) == pytest.approx(np.mean(wanted))
    halves = exact(sample(seed, c=2)[0])
    assert metrics.rps(halves, labels % 2) == pytest.approx(metrics.brier(halves, labels % 2) / 2)


def test_ranked_probability_score_rewards_the_truth_and_transport_does_not():
    line = LabelGeometry.ordinal("xyz")
    labels = np.repeat([0, 1, 2], [5, 1, 4])
    honest, middle = np.tile([0.5, 0.1, 0.4], (10, 1)), np.tile([0.0, 1.0, 0.0], (10, 1))
    assert metrics.rps(honest, labels) < metrics.rps(middle, labels)
    assert metrics.w1(honest, labels, line) > metrics.w1(middle, labels, line)


@pytest.mark.parametrize("seed", range(5))
def test_nll_and_brier_agree_with_sklearn(seed):
    probs, labels = sample(seed)
    probs = exact(probs)
    assert metrics.nll(probs, labels) == pytest.approx(log_loss(labels, probs, labels=range(5)))
    wanted = brier_score_loss(labels, probs, labels=range(5), scale_by_half=False)
    assert metrics.brier(probs, labels) == pytest.approx(wanted)


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


@pytest.mark.parametrize("geometry", GEOMETRIES.values(), ids=GEOMETRIES)
def test_w1_agrees_with_pot(geometry):
    probs, labels = sample(1, n=20)
    probs = exact(probs)
    wanted = [ot.emd2(p, q, geometry.cost) for p, q in zip(probs, np.eye(5)[labels], strict=True)]
    assert metrics.w1(probs, labels, geometry) == pytest.approx(np.mean(wanted))
    one_hot = metrics.w1_to_distribution(probs, np.eye(5)[labels], geometry)
    assert one_hot == pytest.approx(np.mean(wanted))


@pytest.mark.parametrize("geometry", GEOMETRIES.values(), ids=GEOMETRIES)
def test_w1_to_distributions_agrees_with_pot(geometry):
    (probs, _), (gold, _) = sample(2, n=20), sample(3, n=20)
    pairs = zip(exact(probs), exact(gold), strict=True)
    wanted = np.mean([ot.emd2(p, q, geometry.cost) for p, q in pairs])
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
    unfitted = {
        "w1_human",
        "temperature",
        "semantic_distance_at_temperature",
        "sharpening_temperature",
        "semantic_distance_at_sharpening_temperature",
    }
    assert {name for name, value in row.items() if value is None} == unfitted


@pytest.mark.parametrize("geometry", [FLAT, WHEEL], ids=["flat", "wheel"])
def test_labels_without_an_order_have_no_ordinal_metric(geometry):
    row = metrics.evaluate(*sample(7), geometry, validation=sample(8), gold=sample(9)[0])
    assert {name for name, value in row.items() if value is None} == {"quadratic_kappa", "rps"}


@pytest.mark.parametrize("geometry", GEOMETRIES.values(), ids=GEOMETRIES)
def test_a_perfect_student_is_perfect(geometry):
    labels = sample(3)[1]
    row = metrics.evaluate(
        np.eye(5)[labels], labels, geometry, validation=None, gold=np.eye(5)[labels]
    )
    assert (row["accuracy"], row["macro_f1"]) == (1.0, 1.0)
    assert row["quadratic_kappa"] == (1.0 if geometry is STARS else None)
    zero = {"semantic_distance", "semantic_distance_mean", "w1", "w1_human", "nll", "brier"}
    zero |= {"ece", "ece_classwise"} | ({"rps"} if geometry is STARS else set())
    assert all(row[name] == pytest.approx(0.0, abs=1e-12) for name in zero)
