"""What every geometry of the server must satisfy; members are enumerated, never named."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from common.configure import dump, kinds, load
from common.failures import ConfigError
from common.labels import LabelGeometry
from server.geometries import Geometry

GRADES = LabelGeometry.ordinal(
    ["very negative", "negative", "neutral", "positive", "very positive"], (-2.2, -1, 0, 1, 2.2)
)

# Settings for the kinds that have none of their own, and quick ones for the others.
SAMPLES = {
    "label_names": {"encoder": {"kind": "hashing", "dimensions": 32}},
    "learned": {"every": 1},
    "matrix": {"cost": [[abs(i - j) ** 0.5 for j in range(5)] for i in range(5)]},
    "points": {"points": [[0, 1], [1, 0], [0, 0.0], [-1, 0], [0, -1]], "p": 2},
    "preset": {"name": "knot_sentiment"},
    "tree": {
        "edges": [
            ["bad", "very negative", 1],
            ["bad", "negative", 1],
            ["bad", "neutral", 2.5],
            ["neutral", "good", 2],
            ["good", "positive", 1],
            ["good", "very positive", 1],
        ]
    },
}


def sample(kind: str) -> Geometry:
    """Fails for a kind that needs settings and has no sample above."""
    return load(Geometry, {"kind": kind, **SAMPLES.get(kind, {})}, "server.geometry")


every_kind = pytest.mark.parametrize("kind", kinds(Geometry))


def batch(seed: int, size: int = 5) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    q, p = rng.dirichlet([0.4] * size, size=7), rng.dirichlet([0.4] * size, size=(3, 7))
    made = (torch.tensor(x, dtype=torch.float32) for x in (q, p, rng.dirichlet([1.0] * 3, 7).T))
    return tuple(made)  # type: ignore[return-value]


def assert_serves(made: LabelGeometry) -> None:
    assert made.names == GRADES.names
    assert made.points.dtype == made.cost.dtype == np.float64
    assert made.points.shape[0] == 5
    assert made.cost.shape == (5, 5)
    assert np.array_equal(made.cost, made.cost.T)
    assert np.all(np.diag(made.cost) == 0)
    assert np.all(made.cost[~np.eye(5, dtype=bool)] > 0)
    assert np.all(np.isfinite(made.cost))
    assert np.all(np.isfinite(made.points))


@every_kind
def test_the_labels_keep_their_names_and_the_cost_is_one(kind: str) -> None:
    kept = GRADES.points.copy(), GRADES.cost.copy()
    assert_serves(sample(kind).build(GRADES))
    assert np.array_equal(GRADES.points, kept[0])
    assert np.array_equal(GRADES.cost, kept[1])


@every_kind
def test_same_labels_same_bits(kind: str) -> None:
    one, other = sample(kind).build(GRADES), sample(kind).build(GRADES)
    assert one.points.tobytes() == other.points.tobytes()
    assert one.cost.tobytes() == other.cost.tobytes()


@every_kind
def test_settings_survive_a_round_trip(kind: str) -> None:
    made = sample(kind)
    assert load(Geometry, {"kind": kind, **dump(made)}) == made


@every_kind
@settings(max_examples=10)
@given(seed=st.integers(0, 10_000), step=st.integers(1, 30))
def test_a_step_leaves_a_geometry_of_the_same_labels(kind: str, seed: int, step: int) -> None:
    component = sample(kind)
    built = component.build(GRADES)
    before = built.cost.copy()
    one, other = (component.refine(built, step, *batch(seed)) for _ in range(2))
    assert_serves(one)
    assert one.cost.tobytes() == other.cost.tobytes()
    assert np.array_equal(built.cost, before)


def refused_or_built(kind: str, labels: LabelGeometry) -> str | LabelGeometry:
    try:
        return sample(kind).build(labels)
    except ConfigError as refusal:
        return str(refusal)


@every_kind
def test_two_labels_are_served_or_refused_in_one_line(kind: str) -> None:
    made = refused_or_built(kind, LabelGeometry.ordinal(("no", "yes")))
    if isinstance(made, str):
        assert made.startswith("server.geometry")
        assert "\n" not in made
    else:
        assert made.names == ("no", "yes")
