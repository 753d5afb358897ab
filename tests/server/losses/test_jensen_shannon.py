"""Jensen-Shannon divergence against scipy, zeros and certainties included."""

import math

import pytest
import torch
from scipy.spatial.distance import jensenshannon

from server.losses.jensen_shannon import JensenShannon
from tests.server.losses.pairs import FLAT, pairs


def test_it_is_the_square_of_what_scipy_calls_the_distance() -> None:
    q, p = pairs()
    expected = jensenshannon(p.numpy(), q.numpy(), axis=1) ** 2
    assert JensenShannon()(q.log(), p, FLAT).numpy() == pytest.approx(expected)


def test_it_is_symmetric() -> None:
    q, p = pairs()
    p = 0.9 * p + 0.02
    there, back = JensenShannon()(q.log(), p, FLAT), JensenShannon()(p.log(), q, FLAT)
    assert torch.allclose(there, back)


def test_two_certainties_are_a_bit_apart_or_nothing() -> None:
    log_q = (1e3 * torch.eye(5)).log_softmax(dim=1)
    apart = JensenShannon()(log_q, torch.eye(5).roll(1, dims=0), FLAT)
    assert torch.allclose(apart, torch.full((5,), math.log(2)))
    assert JensenShannon()(log_q, torch.eye(5), FLAT).abs().max() < 1e-6


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_gradient_at_certainty_is_the_formula_s(dtype: torch.dtype) -> None:
    log_q = torch.tensor([[0.0, -1e3, -1e3], [0.0, -1e3, -30.0]], dtype=dtype).requires_grad_()
    p = torch.tensor([[0.0, 0.5, 0.5], [1.0, 0.0, 0.0]], dtype=dtype)
    JensenShannon()(log_q, p, FLAT).sum().backward()
    # With respect to log q it is q / 2 log(q / m).
    q = log_q.detach().exp()
    expected = torch.xlogy(q, q / (0.5 * (p + q)).clamp_min(1e-30)) / 2
    assert log_q.grad is not None
    assert torch.allclose(log_q.grad, expected, atol=1e-6)
