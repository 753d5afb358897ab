"""Cross-entropy against torch's own on logits, and scipy's entropy."""

import numpy as np
import pytest
import torch
from scipy.stats import entropy
from torch.nn import functional

from server.losses.cross_entropy import CrossEntropy
from server.losses.kl import Kl
from tests.server.losses.pairs import FLAT, assert_minimal, pairs, teachers

TEMPERATURES = [0.5, 1.0, 2.0, 20.0]


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_probabilities_serve_as_well_as_logits(temperature: float) -> None:
    z, y = np.random.default_rng(0).normal(scale=3, size=(2, 8, 5))
    student, teacher = torch.from_numpy(z), torch.from_numpy(y)
    soft = torch.softmax(teacher / temperature, dim=1)
    expected = temperature**2 * functional.cross_entropy(
        student / temperature, soft, reduction="none"
    )
    loss = CrossEntropy(temperature=temperature)
    value = loss(student.log_softmax(dim=1), teacher.softmax(dim=1), FLAT)
    assert torch.allclose(value, expected)


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_at_the_target_it_is_the_entropy_of_the_softened_target(temperature: float) -> None:
    _, p = pairs()
    soft = p.numpy() ** (1 / temperature)
    expected = temperature**2 * entropy(soft, axis=1)
    value = CrossEntropy(temperature=temperature)(p.clamp_min(1e-300).log(), p, FLAT)
    assert value.numpy() == pytest.approx(expected, abs=1e-9)


def test_at_temperature_one_it_differs_from_kl_by_a_constant() -> None:
    q, p = pairs()
    logits = q.log().requires_grad_()
    log_q = logits.log_softmax(dim=1)
    gap = CrossEntropy()(log_q, p, FLAT) - Kl()(log_q, p, FLAT)
    assert gap.detach().numpy() == pytest.approx(entropy(p.numpy(), axis=1))
    (slope,) = torch.autograd.grad(gap.sum(), logits)
    assert slope.abs().max() < 1e-9


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_several_teachers_have_their_power_mean(temperature: float) -> None:
    p, weights = teachers()
    soft = p ** (1 / temperature)
    soft = soft / soft.sum(dim=-1, keepdim=True)
    pooled = (weights[..., None] * soft).sum(dim=0) ** temperature
    q = pooled / pooled.sum(dim=1, keepdim=True)
    assert_minimal(CrossEntropy(temperature=temperature), q, p, weights)


def test_a_low_temperature_underflows_to_the_likeliest_label() -> None:
    p = torch.tensor([[0.3, 0.2, 0.2, 0.2, 0.1]])
    value = CrossEntropy(temperature=1e-3)(p.log(), p, FLAT)
    assert value.item() == pytest.approx(0, abs=1e-6)
