import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from common import metrics, temperature
from common.seeds import stream
from tests.common.soft_predictions import GEOMETRIES, STARS, sample

SEEDS = st.integers(0, 2**32 - 1)


@pytest.mark.parametrize("t", [0.1, 1.0, 7.0])
def test_at_temperature_is_a_softmax_of_scaled_logits(t):
    logits = stream(0, "logits").normal(size=(30, 5))
    scaled = temperature.at_temperature(softmax(logits, axis=1), t)
    assert np.allclose(scaled, softmax(logits / t, axis=1))


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
    fitted = temperature.fit_temperature(softmax(logits, axis=1), labels)
    assert loss(math.log(fitted)) <= wanted.fun + 1e-9
    assert fitted == pytest.approx(math.exp(wanted.x), rel=1e-3)


def test_fitted_temperature_undoes_a_temperature():
    rng = stream(5, "undo")
    probs = softmax(rng.normal(size=(20000, 4)), axis=1)
    labels = np.array([rng.choice(4, p=p) for p in probs])
    assert temperature.fit_temperature(
        temperature.at_temperature(probs, 0.4), labels
    ) == pytest.approx(temperature.fit_temperature(probs, labels) / 0.4, rel=1e-5)
    assert temperature.fit_temperature(probs, labels) == pytest.approx(1, abs=0.1)


def test_a_fit_ends_at_the_range():
    probs = np.array([[0.6, 0.4], [0.3, 0.7]])
    assert temperature.fit_temperature(probs, np.array([0, 1])) == pytest.approx(0.03)
    assert temperature.fit_temperature(probs, np.array([1, 0])) == pytest.approx(30)


@settings(max_examples=20, deadline=None)
@given(SEEDS)
def test_the_sharpening_control_finds_the_least_distance_of_a_fine_grid(seed):
    probs, labels = sample(seed, n=40)
    sharp = temperature.fit_temperature_for_distance(probs, labels, STARS)
    found = metrics.semantic_distance(temperature.at_temperature(probs, sharp), labels, STARS)
    grid = np.exp(np.linspace(math.log(0.03), math.log(30), 200))
    least = min(
        metrics.semantic_distance(temperature.at_temperature(probs, t), labels, STARS) for t in grid
    )
    assert 0.03 <= sharp <= 30
    assert found <= least + 2e-3


@settings(max_examples=30, deadline=None)
@given(SEEDS, st.sampled_from([0.02, 0.3, 1.0, 4.0]))
def test_the_likelihood_is_flat_at_the_fitted_temperature(seed, spread):
    rng = stream(seed, "flat")
    probs = softmax(rng.normal(size=(60, 4)) * spread, axis=1)
    labels = rng.integers(0, 4, 60)
    fitted = temperature.fit_temperature(probs, labels)

    def loss(t):
        return metrics.nll(temperature.at_temperature(probs, t), labels)

    aside = [t for t in (fitted * 0.99, fitted * 1.01) if 0.03 <= t <= 30]
    assert all(loss(fitted) <= loss(t) for t in aside)


@pytest.mark.parametrize("labels", [np.array([0, 1]), np.array([1, 0])])
def test_certain_predictions_end_at_the_range_as_it_is(labels):
    right = labels[0] == 0
    assert temperature.fit_temperature(np.eye(2), labels) == (0.03 if right else 30.0)


def test_predictions_that_no_temperature_changes_get_the_coldest():
    flat = np.full((4, 5), 0.2)
    assert temperature.fit_temperature(flat, np.arange(4)) == 0.03


@pytest.mark.parametrize("geometry", GEOMETRIES.values(), ids=GEOMETRIES)
def test_the_sharpening_control_is_the_bottom_of_its_valley(geometry):
    probs, labels = sample(11, n=80)

    def distance(t):
        return metrics.semantic_distance(temperature.at_temperature(probs, t), labels, geometry)

    sharp = temperature.fit_temperature_for_distance(probs, labels, geometry)
    bracket = (math.log(max(sharp / 1.2, 0.03)), math.log(min(sharp * 1.2, 30)))
    near = minimize_scalar(lambda x: distance(math.exp(x)), bounds=bracket, method="bounded")
    assert distance(sharp) <= near.fun + 1e-9


def test_a_temperature_is_positive():
    with pytest.raises(ValueError, match="positive"):
        temperature.at_temperature(np.ones((2, 2)), 0)
