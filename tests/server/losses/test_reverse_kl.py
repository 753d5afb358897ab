"""Reverse divergence against scipy, and what its floor does."""

import numpy as np
import pytest
import torch
from scipy.special import rel_entr

from common.labels import LabelGeometry
from server.losses.reverse_kl import ReverseKl
from tests.server.losses.pairs import FLAT, assert_minimal, pairs, teachers


def test_it_is_what_scipy_says_with_the_sides_exchanged() -> None:
    q, p = (x.numpy() for x in pairs())
    p = 0.9 * p + 0.02
    ours = ReverseKl()(torch.from_numpy(q).log(), torch.from_numpy(p), FLAT)
    assert ours.numpy() == pytest.approx(rel_entr(q, p).sum(axis=1))


def test_a_zero_is_read_as_the_floor() -> None:
    q, p = torch.tensor([[0.2, 0.8]]), torch.tensor([[0.0, 1.0]])
    expected = 0.2 * np.log(0.2 * 1.01 / 0.01) + 0.8 * np.log(0.8 * 1.01 / 1.0)
    value = ReverseKl(floor=0.01)(q.log(), p, FLAT)
    assert value.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("floor", [1e-3, 0.1, 0.4])
def test_below_the_floor_it_stays_within_its_slack(floor: float) -> None:
    loss, labels = ReverseKl(floor=floor), LabelGeometry.discrete(["a", "b"])
    q = torch.linspace(1e-9, 1 - 1e-9, 2001, dtype=torch.float64)
    students = torch.stack([q, 1 - q], dim=1).log()
    for p in ([0.0, 1.0], [floor / 2, 1 - floor / 2]):
        target = torch.tensor([p]).double()
        least = loss(students, target.expand(2001, 2), labels).min()
        at_target = loss(target.clamp_min(1e-300).log(), target, labels)
        assert -1e-9 <= least <= at_target.item() + 1e-6 <= least + loss.slack(labels)


def test_several_teachers_have_their_geometric_mean() -> None:
    p, weights = teachers()
    pooled = (weights[..., None] * p.log()).sum(dim=0).exp()
    assert_minimal(ReverseKl(), pooled / pooled.sum(dim=1, keepdim=True), p, weights)
