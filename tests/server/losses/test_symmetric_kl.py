"""Jeffreys divergence against scipy, and what its floor does."""

import numpy as np
import pytest
import torch
from scipy.special import rel_entr

from common.labels import LabelGeometry
from server.losses.symmetric_kl import SymmetricKl
from tests.server.losses.pairs import FLAT, pairs


def test_symmetric_kl_is_half_of_both_directions_in_scipy() -> None:
    q, p = (x.numpy() for x in pairs())
    p = 0.9 * p + 0.02
    expected = 0.5 * (rel_entr(p, q) + rel_entr(q, p)).sum(axis=1)
    ours = SymmetricKl()(torch.from_numpy(q).log(), torch.from_numpy(p), FLAT)
    assert ours.numpy() == pytest.approx(expected)


def test_symmetric_kl_reads_a_zero_as_its_floor() -> None:
    q, p = torch.tensor([[0.2, 0.8]]), torch.tensor([[0.0, 1.0]])
    expected = 0.5 * (np.log(1 / 0.8) + 0.2 * np.log(0.2 / 0.01) + 0.8 * np.log(0.8))
    value = SymmetricKl(floor=0.01)(q.log(), p, FLAT)
    assert value.item() == pytest.approx(expected, rel=1e-5)


def test_symmetric_kl_below_the_floor_stays_within_its_slack() -> None:
    loss = SymmetricKl(floor=0.1)
    q = torch.linspace(1e-6, 0.2, 1000).double()
    q, p = torch.stack([q, 1 - q], dim=1), torch.tensor([[0.0, 1.0]]).double()
    values = loss(q.log(), p.expand_as(q), FLAT)
    assert -loss.slack(LabelGeometry.discrete(["a", "b"])) <= values.min() < 0
