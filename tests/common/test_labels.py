import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.distance import pdist, squareform

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


@pytest.mark.parametrize(
    ("positions", "says"),
    [((0, 1), "got 2"), ((2, 1, 0), "got .2.0, 1.0, 0.0."), ((0, 1, np.inf), "inf")],
)
def test_what_is_wrong_with_positions_is_said(positions, says):
    with pytest.raises(ValueError, match=f"^positions: 3 increasing numbers are needed, .*{says}"):
        LabelGeometry.ordinal(THREE, positions)


PLANE = [[0.0, 0.0], [3.0, 4.0], [0.0, 1.0]]


def test_labels_in_space():
    made = LabelGeometry.at_points(THREE, PLANE)
    assert made.cost == pytest.approx(squareform(pdist(PLANE)))
    assert made.points.tolist() == PLANE
    assert made.is_metric
    assert not made.is_line


@settings(max_examples=50)
@given(arrays(float, (4, 2), elements=st.floats(-100, 100)), st.floats(0.25, 4))
def test_distances_to_a_power(points, p):
    made = LabelGeometry.at_points("abcd", points, p)
    assert np.allclose(made.cost, squareform(pdist(points)) ** p)
    assert np.array_equal(made.cost, made.cost.T)
    apart = made.cost[~np.eye(4, dtype=bool)].min() > 0
    if p <= 1:
        assert made.is_metric == apart


def test_squared_distances_are_no_metric():
    assert LabelGeometry.at_points(THREE, [0, 1, 2], p=2).cost[0].tolist() == [0, 1, 4]
    assert not LabelGeometry.at_points(THREE, [0, 1, 2], p=2).is_metric
    assert not LabelGeometry.at_points(THREE, [0, 0, 2]).is_metric  # two labels coincide


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=2, max_size=6, unique=True))
def test_points_on_a_line_cost_what_positions_cost_in_any_order(line):
    names, rank = [f"label {i}" for i in range(len(line))], np.argsort(line)
    ordered = LabelGeometry.ordinal([names[i] for i in rank], np.sort(line))
    made = LabelGeometry.at_points(names, line)
    assert np.array_equal(made.cost[np.ix_(rank, rank)], ordered.cost)
    assert made.is_line == (line == sorted(line))


@pytest.mark.parametrize(
    ("points", "p", "says"),
    [
        ([0, 1], 1, "points: one entry for each of 3 labels is needed, got 2"),
        (3, 1, "got one number"),
        ([[0, 1], [2], [3, 4]], 1, "points: all 3 rows need the same number of numbers"),
        ([[], [], []], 1, "same number of coordinates"),
        (np.zeros((3, 1, 1)), 1, "same number of coordinates"),
        ([0, np.nan, 1], 1, "points: entry 1 is not finite"),
        ([0, 1, 2], 0, "p: a number above 0 is needed, got 0"),
        ([0, 1, 2], np.inf, "p: "),
        ([0, 1, 1e200], 2, "overflow"),
    ],
)
def test_points_that_are_refused(points, p, says):
    with pytest.raises(ValueError, match=says):
        LabelGeometry.at_points(THREE, points, p)


def test_a_matrix_of_distances_gets_points_with_these_distances():
    made = LabelGeometry.from_matrix(THREE, squareform(pdist(PLANE)))
    assert pdist(made.points) == pytest.approx(pdist(PLANE))
    assert made.cost == pytest.approx(squareform(pdist(PLANE)))


def test_a_matrix_of_a_line_is_a_line():
    line = LabelGeometry.ordinal("abcde", (-2.2, -1, 0, 1, 2.2))
    assert LabelGeometry.from_matrix("abcde", line.cost).is_line
    turned = line.permuted((3, 1, 0, 2, 4))
    assert not LabelGeometry.from_matrix("abcde", turned.cost).is_line


def test_a_matrix_need_not_be_a_metric():
    made = LabelGeometry.from_matrix(THREE, [[0, 1, 9], [1, 0, 1], [9, 1, 0]])
    assert made.cost[0].tolist() == [0, 1, 9]
    assert not made.is_metric
    assert np.isfinite(made.points).all()


@pytest.mark.parametrize(
    ("cost", "says"),
    [
        ([[0, 1, 2], [1, 0, -1], [2, -1, 0]], "cost: 'middle' to 'high' is -1, is negative"),
        ([[0, 1, 2], [1, 3, 1], [2, 1, 0]], "cost: 'middle' to 'middle' is 3, must be 0"),
        ([[0, 1, 2], [1, 0, 1], [5, 1, 0]], "cost: 'low' to 'high' is 2, differs"),
        ([[0, 1, 2], [1, 0, np.nan], [2, 1, 0]], "cost: entry 1 is not finite"),
        ([[0, 1], [1, 0]], "one entry for each of 3 labels is needed, got 2"),
        ([[0, 1], [1, 0], [1, 1]], "cost: 3 rows of 3 numbers"),
        ([[0, 1, 2], [1, 0], [2, 1, 0]], "same number of numbers"),
    ],
)
def test_matrices_that_are_refused(cost, says):
    with pytest.raises(ValueError, match=says):
        LabelGeometry.from_matrix(THREE, cost)


def test_rounding_makes_no_matrix_asymmetric():
    cost = GOOD.cost.copy()
    cost[0, 2] += 1e-12
    made = LabelGeometry.from_matrix(THREE, cost)
    assert np.array_equal(made.cost, made.cost.T)


def test_labels_in_a_tree():
    edges = [("root", "low", 1), ("root", "inner", 2), ("inner", "middle", 1), ("inner", "high", 3)]
    made = LabelGeometry.tree(THREE, edges)
    assert made.cost.tolist() == [[0, 4, 6], [4, 0, 4], [6, 4, 0]]
    assert made.is_metric


def test_a_path_is_a_line():
    assert LabelGeometry.tree(THREE, [("low", "middle", 1), ("high", "middle", 2)]).is_line


def test_permuted_labels_stand_where_others_stood():
    made = LabelGeometry.ordinal(THREE, (0, 1, 5)).permuted((2, 0, 1))
    assert made.names == THREE
    assert made.points.tolist() == [[5], [0], [1]]
    assert made.cost[0].tolist() == [0, 5, 4]
    assert not made.is_line


@pytest.mark.parametrize("order", [(0, 1), (0, 1, 1), (1, 2, 3), (0, 1, 2, 3), ()])
def test_only_permutations_permute(order):
    with pytest.raises(ValueError, match=r"^order: a permutation of 0 to 2 is needed, got"):
        GOOD.permuted(order)


def test_mean_cost():
    assert GOOD.mean_cost == pytest.approx(4 / 3)
    assert LabelGeometry.discrete(THREE).mean_cost == 1
