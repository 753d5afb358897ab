import numpy as np
import pytest

from common.labels import LabelGeometry

THREE = ("low", "middle", "high")


def test_labels_on_a_line():
    made = LabelGeometry.ordinal(THREE)
    assert made.points.tolist() == [[0], [1], [2]]
    assert made.cost.tolist() == [[0, 1, 2], [1, 0, 1], [2, 1, 0]]
    assert len(made) == 3
    assert made.is_line


def test_labels_at_positions():
    made = LabelGeometry.ordinal(THREE, (-2.2, 0, 1))
    assert made.cost[0].tolist() == [0, 2.2, 3.2]
    assert made.points.shape == (3, 1)
    assert made.is_line


def test_labels_without_an_order():
    made = LabelGeometry.discrete(THREE)
    assert made.cost.tolist() == [[0, 1, 1], [1, 0, 1], [1, 1, 0]]
    assert not made.is_line


def test_two_labels_without_an_order_are_no_line_but_cost_the_same():
    assert np.array_equal(LabelGeometry.discrete("ab").cost, LabelGeometry.ordinal("ab").cost)
    assert not LabelGeometry.discrete("ab").is_line


LINE = np.array([[0.0], [1.0], [2.0]])


@pytest.mark.parametrize(
    ("points", "cost"),
    [
        (LINE, (LINE - LINE.T) ** 2),  # squared distances
        (LINE[::-1], np.abs(LINE[::-1] - LINE[::-1].T)),  # falling
        (LINE * 2, np.abs(LINE - LINE.T)),  # another unit
        (np.hstack([LINE, LINE]), np.abs(LINE - LINE.T)),  # a plane
    ],
)
def test_what_is_no_line(points, cost):
    assert not LabelGeometry(THREE, points, cost).is_line


GOOD = LabelGeometry.ordinal(THREE)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"names": ("only",)}, "two different"),
        ({"names": ()}, "two different"),
        ({"names": ("a", "b", "a")}, "two different"),
        ({"names": ("a", "b")}, "points have shape"),
        ({"points": np.zeros(3)}, "points have shape"),
        ({"cost": np.zeros((3, 2))}, "cost has shape"),
        ({"cost": np.zeros(3)}, "cost has shape"),
        ({"cost": GOOD.cost + np.eye(3)}, "zero diagonal"),
        ({"cost": np.triu(GOOD.cost)}, "symmetric"),
        ({"cost": -GOOD.cost}, "negative"),
        ({"cost": np.where(GOOD.cost == 2, np.inf, GOOD.cost)}, "finite"),
        ({"cost": np.full((3, 3), np.nan)}, "finite"),
        ({"points": GOOD.points * np.nan}, "finite"),
    ],
)
def test_a_geometry_checks_itself(changes, says):
    parts = {"names": THREE, "points": GOOD.points, "cost": GOOD.cost} | changes
    with pytest.raises(ValueError, match=says):
        LabelGeometry(**parts)


@pytest.mark.parametrize("positions", [(0, 1), (0, 1, 1), (2, 1, 0), (0, np.nan, 1), ()])
def test_positions_must_increase(positions):
    with pytest.raises(ValueError, match="3 increasing numbers"):
        LabelGeometry.ordinal(THREE, positions)
