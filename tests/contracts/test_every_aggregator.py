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
CORNERS = np.array([[0.0, 0.0], [1.0, 0.2], [0.1, 1.1], [1.2, 1.0], [0.5, 0.4]])
GEOMETRIES = {
    "line": GRADES,
    "discrete": LabelGeometry.discrete(list("abcde")),
    "plane": LabelGeometry(
        tuple("abcde"), CORNERS, np.linalg.norm(CORNERS[:, None] - CORNERS[None], axis=2)
    ),
}

every_geometry = pytest.mark.parametrize(
    "geometry", [pytest.param(made, id=name) for name, made in GEOMETRIES.items()]
)

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
@every_geometry
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), clients=st.integers(1, 6))
def test_targets_are_distributions(
    aggregator: Aggregator, geometry: LabelGeometry, seed: int, clients: int
) -> None:
    probs, weights = opinions(seed, clients)
    assert_are_targets(aggregator.combine(probs, weights, geometry), samples=6)


@every_aggregator
@every_geometry
def test_teachers_nobody_believes_and_certain_ones_are_served(
    aggregator: Aggregator, geometry: LabelGeometry
) -> None:
    probs, weights = opinions(1)
    weights[:, 2] = 0
    probs[:2] = np.eye(5, dtype=np.float32)[[0, 4]][:, None]
    assert_are_targets(aggregator.combine(probs, weights, geometry), samples=6)


@every_aggregator
@every_geometry
@pytest.mark.parametrize("clients", [1, 4])
def test_agreement_is_kept(aggregator: Aggregator, geometry: LabelGeometry, clients: int) -> None:
    probs, weights = opinions(2, clients)
    agreed = np.broadcast_to(probs[0], probs.shape)
    targets = aggregator.combine(agreed, weights, geometry)
    if aggregator.repeats_agreement:
        assert np.allclose(targets.probs, probs[0], atol=1e-6)
    alone = aggregator.combine(probs[:1], weights[:1], geometry)
    assert np.allclose(targets.probs, alone.probs, atol=1e-6)
    assert np.array_equal(alone.probs[0].argmax(axis=1), probs[0].argmax(axis=1))


@every_aggregator
@every_geometry
@pytest.mark.parametrize("value", [0.0, 0.37])
def test_equal_weights_are_no_weights(
    aggregator: Aggregator, geometry: LabelGeometry, value: float
) -> None:
    probs, weights = opinions(8)
    without = aggregator.combine(probs, np.ones_like(weights), geometry)
    targets = aggregator.combine(probs, np.full_like(weights, value), geometry)
    assert np.allclose(targets.probs, without.probs, atol=1e-6)
    assert np.allclose(targets.weights, without.weights, atol=1e-6)


@every_aggregator
@every_geometry
def test_the_order_of_labels_changes_nothing_but_rounding(
    aggregator: Aggregator, geometry: LabelGeometry
) -> None:
    probs, weights = opinions(9)
    order = np.array([3, 0, 4, 1, 2])
    renamed = LabelGeometry(
        tuple(geometry.names[i] for i in order),
        geometry.points[order],
        geometry.cost[np.ix_(order, order)],
    )
    one = aggregator.combine(probs, weights, geometry)
    other = aggregator.combine(probs[:, :, order], weights, renamed)
    assert np.allclose(other.probs, one.probs[:, :, order], atol=1e-6)
    assert np.allclose(other.weights, one.weights, atol=1e-6)


@every_aggregator
@every_geometry
def test_the_scale_of_weights_is_irrelevant(
    aggregator: Aggregator, geometry: LabelGeometry
) -> None:
    probs, weights = opinions(3)
    one, other = (
        aggregator.combine(probs, weights, geometry),
        aggregator.combine(probs, 8 * weights, geometry),
    )
    assert np.array_equal(one.probs, other.probs)
    assert np.array_equal(one.weights, other.weights)


@every_aggregator
@every_geometry
def test_the_order_of_clients_changes_nothing_but_rounding(
    aggregator: Aggregator, geometry: LabelGeometry
) -> None:
    probs, weights = opinions(5, clients=6)
    weights[:, :3] = 1  # ties
    order = np.array([3, 0, 5, 1, 4, 2])
    one = aggregator.combine(probs, weights, geometry)
    other = aggregator.combine(probs[order], weights[order], geometry)
    back = np.argsort(order) if len(one.probs) == len(probs) else slice(None)
    assert np.allclose(other.probs[back], one.probs, atol=1e-6)
    assert np.allclose(other.weights[back], one.weights, atol=1e-6)


@every_aggregator
@every_geometry
def test_who_weighs_nothing_says_nothing(aggregator: Aggregator, geometry: LabelGeometry) -> None:
    probs, weights = opinions(6)
    weights[1] = 0
    targets = aggregator.combine(probs, weights, geometry)
    without = aggregator.combine(np.delete(probs, 1, 0), np.delete(weights, 1, 0), geometry)
    heard = targets.weights > 0
    for sample in range(probs.shape[1]):
        of_some = heard[:, sample]
        assert np.allclose(targets.probs[of_some, sample], without.probs[:, sample], atol=1e-6)
        assert np.allclose(targets.weights[of_some, sample], without.weights[:, sample])


@every_aggregator
@every_geometry
def test_samples_do_not_see_each_other_unless_it_says_so(
    aggregator: Aggregator, geometry: LabelGeometry
) -> None:
    probs, weights = opinions(7)
    together = aggregator.combine(probs, weights, geometry)
    alone = aggregator.combine(probs[:, 2:3], weights[:, 2:3], geometry)
    if aggregator.sees_all_samples:
        return  # and says so
    assert np.allclose(together.probs[:, 2:3], alone.probs, atol=1e-6)
    assert np.allclose(together.weights[:, 2:3], alone.weights, atol=1e-6)


@every_aggregator
@every_geometry
def test_same_opinions_same_bits_and_nothing_is_written_to(
    aggregator: Aggregator, geometry: LabelGeometry
) -> None:
    probs, weights = opinions(4)
    kept = probs.copy(), weights.copy()
    one, other = (
        aggregator.combine(probs, weights, geometry),
        aggregator.combine(probs, weights, geometry),
    )
    assert one.probs.tobytes() == other.probs.tobytes()
    assert np.array_equal(probs, kept[0])
    assert np.array_equal(weights, kept[1])


@pytest.mark.parametrize("kind", kinds(Aggregator))
def test_settings_survive_a_round_trip(kind: str) -> None:
    aggregator = find(Aggregator, kind)()
    assert load(Aggregator, {"kind": kind, **dump(aggregator)}) == aggregator
