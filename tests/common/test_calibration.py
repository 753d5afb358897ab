import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve

from common import calibration, metrics
from tests.common.soft_predictions import drawn, exact, sample

SEEDS = st.integers(0, 2**32 - 1)


def test_ece_by_hand():
    probs = np.array([[0.95, 0.05], [0.85, 0.15], [0.55, 0.45], [0.4, 0.6], [1.0, 0.0]])
    labels = np.array([0, 1, 1, 1, 0])
    # Ten bins: .55 wrong and .6 right share (.5, .6]; .85 wrong; .95 and 1 right.
    wanted = (abs(1 - 1.15) + 0.85 + abs(2 - 1.95)) / 5
    assert calibration.ece(probs, labels, bins=10) == pytest.approx(wanted)
    confidence, hits, count = calibration.calibration_bins(probs, labels, bins=10)
    assert count.tolist() == [0, 0, 0, 0, 0, 2, 0, 0, 1, 2]
    assert confidence[5] == pytest.approx(0.575)
    assert hits[5] == pytest.approx(0.5)
    assert np.isnan(confidence[0])


@settings(max_examples=30, deadline=None)
@given(SEEDS)
def test_ece_with_one_bin_is_the_mean_gap(seed):
    probs, labels = sample(seed, n=25)
    gap = abs(probs.max(axis=1).mean(dtype=np.float64) - metrics.accuracy(probs, labels))
    assert calibration.ece(probs, labels, bins=1) == pytest.approx(gap)


def gap(right, confidence, bins):
    """The weighted gap of one reliability curve of scikit-learn's."""
    hits, mean = calibration_curve(right, confidence, n_bins=bins)
    edges = np.linspace(0, 1, bins + 1)
    count = np.bincount(np.searchsorted(edges[1:-1], confidence), minlength=bins)
    return np.abs(hits - mean) @ count[count > 0] / count.sum()


@pytest.mark.parametrize("bins", [4, 15])
@pytest.mark.parametrize("classes", [None, [0, 3], [2]])
@pytest.mark.parametrize("seed", range(3))
def test_both_errors_agree_with_sklearns_curves(seed, classes, bins):
    probs, labels = sample(seed, n=300, classes=classes)
    probs = probs.astype(np.float64)
    of_top = gap(probs.argmax(axis=1) == labels, probs.max(axis=1), bins)
    assert calibration.ece(probs, labels, bins) == pytest.approx(of_top, abs=1e-12)
    of_each = np.mean([gap(labels == c, probs[:, c], bins) for c in range(5)])
    assert calibration.ece_classwise(probs, labels, bins) == pytest.approx(of_each, abs=1e-12)


def test_classwise_error_by_hand():
    probs = np.array([[0.9, 0.1, 0.0], [0.8, 0.2, 0.0], [0.3, 0.3, 0.4]])
    labels = np.array([0, 1, 2])
    # Two bins. Label 0: {.9, .8} with one hit, {.3} with none; label 1: all below .5, one
    # hit against .6; label 2: all below .5, one hit against .4.
    wanted = (abs(1 - 1.7) + 0.3 + abs(1 - 0.6) + abs(1 - 0.4)) / 3 / 3
    assert calibration.ece_classwise(probs, labels, bins=2) == pytest.approx(wanted)


def test_two_labels_have_one_calibration():
    probs, labels = sample(3, n=200, c=2)
    probs = exact(probs)
    # Both columns tell the same story, mirrored, unless a probability sits on an edge.
    assert calibration.ece_classwise(probs, labels, bins=10) == pytest.approx(
        gap(labels == 1, probs[:, 1], 10)
    )


def test_only_the_classwise_error_sees_below_the_largest():
    probs, labels = drawn(1, 4000, c=3)
    rest = probs.copy()
    # Swap the two smaller probabilities: the top label stays as well calibrated as it was.
    order = probs.argsort(axis=1)
    rows = np.arange(len(probs))
    rest[rows, order[:, 0]], rest[rows, order[:, 1]] = (
        probs[rows, order[:, 1]],
        probs[rows, order[:, 0]],
    )
    assert calibration.ece(rest, labels) == calibration.ece(probs, labels)
    before, after = (calibration.ece_classwise(p, labels) for p in (probs, rest))
    assert before < 0.03 < after


def test_a_bin_ends_with_its_upper_edge():
    edges = np.array([0.0, 0.1, 0.5, 0.51, 1.0])
    assert calibration.bin_of(edges, 2).tolist() == [0, 0, 0, 1, 1]
