"""Classical scaling: distances come back, signs and axes are settled."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import pdist, squareform
from sklearn.decomposition import PCA

from common.scaling import classical_scaling


@settings(max_examples=50)
@given(st.integers(2, 12), st.integers(1, 4), st.integers(0, 10_000), st.floats(1e-3, 1e3))
def test_euclidean_distances_come_back(size, axes, seed, scale):
    points = scale * np.random.default_rng(seed).normal(size=(size, axes))
    made = classical_scaling(squareform(pdist(points)))
    assert made.shape == (size, min(axes, size - 1))
    assert pdist(made) == pytest.approx(pdist(points), rel=1e-6, abs=1e-6 * scale)


def test_axes_are_the_principal_components():
    points = np.random.default_rng(0).normal(size=(9, 3)) * [5, 2, 1]
    made, known = classical_scaling(squareform(pdist(points))), PCA(3).fit_transform(points)
    assert np.allclose(np.abs(made), np.abs(known))


def test_the_first_label_off_zero_is_negative_on_every_axis():
    points = np.random.default_rng(1).normal(size=(6, 3))
    assert np.all(classical_scaling(squareform(pdist(points)))[0] < 0)
    cross = np.array([[0, 0], [2, 0], [-2, 0], [0, 1], [0, -1.0]])  # the first at the origin
    made = classical_scaling(squareform(pdist(cross)))
    assert made == pytest.approx(np.abs(cross) * np.sign(made))
    assert made[1, 0] < 0 < made[2, 0]
    assert made[3, 1] < 0 < made[4, 1]


def test_a_line_keeps_its_order():
    line = np.array([0, 1, 1.5, 7.0])[:, None]
    assert classical_scaling(np.abs(line - line.T)) == pytest.approx(line - line.mean())


def test_costs_of_no_euclidean_space_keep_what_can_be_shown():
    star = 2.0 - 2 * np.eye(4)
    star[0, 1:] = star[1:, 0] = 1  # three arms of length 1, the centre first
    made = classical_scaling(star)
    assert made.shape == (4, 2)
    assert pdist(made[1:]) == pytest.approx([2, 2, 2])


def test_labels_in_one_place_have_points():
    assert classical_scaling(np.zeros((3, 3))).tolist() == [[0], [0], [0]]
