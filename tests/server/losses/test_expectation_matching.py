"""Expected labels by hand, and what the loss cannot see."""

import numpy as np
import pytest
import torch

from common.labels import LabelGeometry
from server.losses.brier import Brier
from server.losses.expectation_matching import ExpectationMatching
from tests.server.losses.pairs import FLAT, GRADES, assert_minimal, pairs, teachers

PLANE = LabelGeometry(("a", "b", "c"), np.array([[0.0, 0], [3, 0], [0, 4]]), 1 - np.eye(3))


def test_on_a_line_by_hand() -> None:
    q, p = torch.tensor([[0.5, 0, 0, 0, 0.5]]), torch.tensor([[0.0, 0, 0, 1, 0]])
    value = ExpectationMatching()(q.clamp_min(1e-30).log(), p, GRADES)
    assert value.item() == pytest.approx(1.0)


def test_in_the_plane_by_hand() -> None:
    q, p = torch.tensor([[0.5, 0.5, 0.0]]), torch.tensor([[0.5, 0.0, 0.5]])
    value = ExpectationMatching()(q.clamp_min(1e-30).log(), p, PLANE)
    assert value.item() == pytest.approx(1.5**2 + 2.0**2)


def test_who_hedges_between_the_ends_counts_as_certain_of_the_middle() -> None:
    hedge = torch.tensor([[0.5, 1e-9, 1e-9, 1e-9, 0.5]])
    middle = torch.tensor([[0.0, 0, 1, 0, 0]])
    assert ExpectationMatching()(hedge.log(), middle, GRADES).item() == pytest.approx(0, abs=1e-9)


def test_one_axis_per_label_makes_it_the_brier_score() -> None:
    q, p = pairs()
    ours = ExpectationMatching()(q.log(), p, FLAT)
    assert torch.allclose(ours, Brier()(q.log(), p, FLAT))


def test_several_teachers_are_averaged_where_the_points_tell_distributions_apart() -> None:
    p, weights = teachers()
    assert_minimal(ExpectationMatching(), (weights[..., None] * p).sum(dim=0), p, weights, FLAT)
