"""What every aggregator must satisfy; members are enumerated, never named."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.arrays import Floats
from common.configure import dump, find, kinds, load
from common.labels import LabelGeometry
from server.aggregators import Aggregator, Targets

GRADES = LabelGeometry.ordinal(list("abcde"))

every_aggregator = pytest.mark.parametrize(
    "aggregator", [pytest.param(find(Aggregator, kind)(), id=kind) for kind in kinds(Aggregator)]
)


def opinions(seed: int, clients: int = 4, samples: int = 6) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(seed)
    probs = rng.dirichlet([0.3] * 5, size=(clients, samples)).astype(np.float32)
    return probs, rng.gamma(1.0, size=(clients, samples))


def assert_are_targets(targets: Targets, samples: int) -> None:
    assert targets.probs.ndim == 3
    assert targets.probs.shape[1:] == (samples, 5)
    assert targets.weights.shape == targets.probs.shape[:2]
    assert targets.probs.dtype == targets.weights.dtype == np.float32
    assert np.all(targets.probs >= 0)
    assert np.all(targets.weights >= 0)
    assert np.allclose(targets.probs.sum(axis=2), 1, atol=1e-6)
    assert np.allclose(targets.weights.sum(axis=0), 1, atol=1e-6)


@every_aggregator
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), clients=st.integers(1, 6))
def test_targets_are_distributions(aggregator: Aggregator, seed: int, clients: int) -> None:
    probs, weights = opinions(seed, clients)
    assert_are_targets(aggregator.combine(probs, weights, GRADES), samples=6)


@every_aggregator
def test_teachers_nobody_believes_and_certain_ones_are_served(aggregator: Aggregator) -> None:
    probs, weights = opinions(1)
    weights[:, 2] = 0
    probs[:2] = np.eye(5, dtype=np.float32)[[0, 4]][:, None]
    assert_are_targets(aggregator.combine(probs, weights, GRADES), samples=6)


@every_aggregator
def test_agreement_is_kept(aggregator: Aggregator) -> None:
    probs, weights = opinions(2)
    agreed = np.broadcast_to(probs[0], probs.shape)
    targets = aggregator.combine(agreed, weights, GRADES)
    assert np.allclose(targets.probs, probs[0], atol=1e-6)


@every_aggregator
def test_the_scale_of_weights_is_irrelevant(aggregator: Aggregator) -> None:
    probs, weights = opinions(3)
    one, other = (
        aggregator.combine(probs, weights, GRADES),
        aggregator.combine(probs, 8 * weights, GRADES),
    )
    assert np.array_equal(one.probs, other.probs)
    assert np.array_equal(one.weights, other.weights)


@every_aggregator
def test_same_opinions_same_bits_and_nothing_is_written_to(aggregator: Aggregator) -> None:
    probs, weights = opinions(4)
    kept = probs.copy(), weights.copy()
    one, other = (
        aggregator.combine(probs, weights, GRADES),
        aggregator.combine(probs, weights, GRADES),
    )
    assert one.probs.tobytes() == other.probs.tobytes()
    assert np.array_equal(probs, kept[0])
    assert np.array_equal(weights, kept[1])


@pytest.mark.parametrize("kind", kinds(Aggregator))
def test_settings_survive_a_round_trip(kind: str) -> None:
    aggregator = find(Aggregator, kind)()
    assert load(Aggregator, {"kind": kind, **dump(aggregator)}) == aggregator
