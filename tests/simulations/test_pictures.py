from collections import Counter

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import confusion_matrix

from common.labels import LabelGeometry
from common.metrics import ece
from simulations import pictures
from tests.simulations.run_folders import STARS, arm


def test_confusion_agrees_with_sklearn():
    labels, probs = arm(0.6)
    wanted = confusion_matrix(labels, probs.argmax(axis=1), labels=range(5))
    assert pictures.confusion(probs, labels, 5) == wanted.tolist()


def test_holdings_count_every_label_even_of_an_empty_client():
    shards = [np.array([0, 0, 4]), np.array([], dtype=np.int64), np.array([2])]
    counted = [[Counter(shard.tolist())[c] for c in range(5)] for shard in shards]
    assert pictures.holdings(shards, 5) == counted


def test_reliability_agrees_with_sklearn_and_with_the_calibration_error():
    labels, probs = arm(0.6)
    curve = pictures.reliability(probs, labels, bins=10)
    filled = [b for b in range(10) if curve["count"][b]]
    right = probs.argmax(axis=1) == labels
    hits, confidence = calibration_curve(right, probs.max(axis=1), n_bins=10)
    assert [curve["accuracy"][b] for b in filled] == pytest.approx(hits.tolist())
    assert [curve["confidence"][b] for b in filled] == pytest.approx(confidence.tolist())
    assert curve["confidence"][0] is None
    assert sum(curve["count"]) == len(labels)
    gaps = [abs(curve["accuracy"][b] - curve["confidence"][b]) * curve["count"][b] for b in filled]
    assert sum(gaps) / len(labels) == pytest.approx(ece(probs, labels, bins=10))


def test_expected_position_by_hand_and_only_on_a_line():
    probs = np.array([[0.5, 0.5, 0, 0, 0], [1, 0, 0, 0, 0], [0, 0, 0, 0.5, 0.5]])
    found = pictures.expected_position(probs, np.array([0, 0, 4]), STARS)
    assert found is not None
    assert [found[0], found[4]] == pytest.approx([(-1.6 - 2.2) / 2, 1.6])
    assert found[1:4] == [None, None, None]
    flat = LabelGeometry.discrete("abcde")
    assert pictures.expected_position(probs, np.array([0, 0, 4]), flat) is None
