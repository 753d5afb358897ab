import inspect

import numpy as np
import ot
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common import metrics, per_sample
from common.labels import LabelGeometry
from common.temperature import at_temperature
from tests.common.soft_predictions import (
    FLAT,
    GEOMETRIES,
    STARS,
    WHEEL,
    WHEEL_POINTS,
    exact,
    sample,
)

SEEDS = st.integers(0, 2**32 - 1)


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


@pytest.mark.parametrize("geometry", GEOMETRIES.values(), ids=GEOMETRIES)
def test_every_term_stands_alone(geometry):
    (probs, labels), (gold, _) = sample(1, n=12), sample(2, n=12)
    known = {"probs": probs, "labels": labels, "gold": gold, "geometry": geometry}
    for term in (
        per_sample.hits,
        per_sample.distances,
        per_sample.transports,
        per_sample.ranked,
        per_sample.surprises,
        per_sample.squares,
        per_sample.transports_between,
    ):
        wants = {name: known[name] for name in inspect.signature(term).parameters}
        whole = term(**wants)
        assert whole.shape == (12,)
        assert whole.dtype == np.float64
        last = {k: v if k == "geometry" else v[-1:] for k, v in wants.items()}
        assert whole[-1:] == pytest.approx(term(**last))


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_transport_does_not_depend_on_the_unit_of_the_cost(scale):
    (probs, _), (gold, _) = sample(2, n=40), sample(3, n=40)
    scaled = LabelGeometry(WHEEL.names, WHEEL_POINTS * scale, WHEEL.cost * scale)
    wanted = scale * metrics.w1_to_distribution(probs, gold, WHEEL)
    assert metrics.w1_to_distribution(probs, gold, scaled) == pytest.approx(wanted, rel=1e-9)


@settings(max_examples=20, deadline=None)
@given(SEEDS, st.sampled_from([0.03, 0.3, 30.0]))
def test_the_solver_is_content_with_certain_and_with_flat_rows(seed, t):
    (probs, _), (gold, _) = sample(seed, n=12), sample(seed + 1, n=12)
    sharp = at_temperature(probs, t)
    found = metrics.w1_to_distribution(sharp, gold, WHEEL)
    assert found == pytest.approx(metrics.w1_to_distribution(gold, sharp, WHEEL), abs=1e-9)
    assert metrics.w1_to_distribution(sharp, sharp, WHEEL) == pytest.approx(0, abs=1e-9)


def test_labels_in_one_place_cost_nothing():
    nowhere = LabelGeometry(tuple("abcde"), np.zeros((5, 2)), np.zeros((5, 5)))
    assert metrics.w1_to_distribution(sample(2)[0], sample(3)[0], nowhere) == 0


def test_a_flat_cost_is_solved_without_a_solver_and_alike():
    (probs, _), (gold, _) = sample(2, n=20), sample(3, n=20)
    bent = FLAT.cost.copy()
    bent[0, 1] = bent[1, 0] = 1 + 1e-13
    almost = LabelGeometry(FLAT.names, FLAT.points, bent)
    assert metrics.w1_to_distribution(probs, gold, FLAT) == pytest.approx(
        metrics.w1_to_distribution(probs, gold, almost)
    )
    pairs = zip(exact(probs), exact(gold), strict=True)
    wanted = np.mean([ot.emd2(p, q, 3 * FLAT.cost) for p, q in pairs])
    tripled = LabelGeometry(FLAT.names, FLAT.points, 3 * FLAT.cost)
    assert metrics.w1_to_distribution(probs, gold, tripled) == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("probs", "gold", "hint"),
    [
        (np.ones((2, 2)), np.ones((2, 3)), "differ in shape"),
        (np.ones((1, 5)), np.zeros((1, 5)), "all zero"),
        (np.ones((1, 5)), np.array([[1, 1, -1, 0, 0]]), "not negative"),
        (np.full((1, 5), np.nan), np.ones((1, 5)), "finite"),
    ],
)
def test_what_is_no_distribution_is_refused(probs, gold, hint):
    with pytest.raises(ValueError, match=hint):
        metrics.w1_to_distribution(probs, gold, STARS)
