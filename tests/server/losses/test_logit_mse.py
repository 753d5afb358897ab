"""Logit matching against the logits themselves, and what the floor does."""

import numpy as np
import pytest
import torch

from server.losses.logit_mse import LogitMse
from tests.server.losses.pairs import FLAT, assert_minimal, pairs, teachers


def test_probabilities_serve_as_well_as_logits_up_to_their_mean() -> None:
    z, y = np.random.default_rng(0).normal(size=(2, 8, 5))
    expected = 5 * np.var(z - y, axis=1)
    student, target = (torch.from_numpy(x).softmax(dim=1) for x in (z, y))
    assert LogitMse()(student.log(), target, FLAT).numpy() == pytest.approx(expected)


def test_nothing_is_closer_to_a_target_than_itself_zeros_included() -> None:
    _, p = pairs()
    assert LogitMse()(p.clamp_min(1e-300).log(), p, FLAT).abs().max() < 1e-12


def test_a_zero_says_at_most_the_floor() -> None:
    loss = LogitMse(floor=0.01)
    p = torch.tensor([[0.0, 0.4, 0.6]]).double()
    at_most = torch.tensor([[1e-6, 0.4, 0.6]]).double()
    assert loss(at_most.log(), p, FLAT).item() == pytest.approx(0, abs=1e-12)
    more = torch.tensor([[0.1, 0.36, 0.54]]).double()
    error = np.log([0.1 / 0.01, 0.9, 0.9])
    assert loss(more.log(), p, FLAT).item() == pytest.approx(3 * np.var(error))


def test_who_is_certain_and_wrong_is_pulled_back() -> None:
    logits = torch.tensor([[0.0, 40.0]]).requires_grad_()
    LogitMse()(logits.log_softmax(dim=1), torch.tensor([[1.0, 0.0]]), FLAT).backward()
    assert logits.grad is not None
    assert logits.grad[0, 0] < -10
    assert logits.grad[0, 1] > 10


def test_several_teachers_have_their_geometric_mean() -> None:
    p, weights = teachers()
    pooled = (weights[..., None] * p.log()).sum(dim=0).exp()
    assert_minimal(LogitMse(), pooled / pooled.sum(dim=1, keepdim=True), p, weights)
