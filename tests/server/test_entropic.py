"""The kernel-domain solver against POT and against a long run in the logarithmic domain."""

import numpy as np
import ot
import pytest
import torch
from torch import Tensor

from server.transport.entropic import MIN_EPSILON, potentials


def plane(size: int, seed: int = 0) -> Tensor:
    points = torch.rand(size, 2, generator=torch.Generator().manual_seed(seed)).double()
    return torch.cdist(points, points)


COSTS = {
    "grades": torch.cdist(*[torch.tensor([[-2.2], [-1.0], [0], [1], [2.2]]).double()] * 2),
    "flat": (1 - torch.eye(4)).double(),
    "plane": plane(7),
}
every_cost = pytest.mark.parametrize("cost", COSTS.values(), ids=COSTS.keys())


def pairs(size: int, rows: int = 32, seed: int = 0) -> tuple[Tensor, Tensor]:
    rng = np.random.default_rng(seed)
    q, p = rng.dirichlet([1.0] * size, size=(2, rows))
    p[0], p[1], q[2] = np.eye(size)[0], np.eye(size)[-1], np.eye(size)[1]
    return torch.from_numpy(q), torch.from_numpy(p)


def plan(q: Tensor, p: Tensor, cost: Tensor, epsilon: float, sweeps: int) -> Tensor:
    f, g = potentials(q, p, cost, epsilon, sweeps)
    exponent = (f[:, :, None] + g[:, None, :] - cost) / (epsilon * cost.max())
    return q[:, :, None] * p[:, None, :] * exponent.exp()


def slow_potential(q: Tensor, p: Tensor, cost: Tensor, epsilon: float) -> Tensor:
    """f by plain iterations in the logarithmic domain, float64, until it no longer moves."""
    q, p, reg = q.double(), p.double(), epsilon * cost.max()
    log_q, log_p, g = q.log(), p.log(), torch.zeros_like(p)
    for _ in range(5000):
        f = -reg * torch.logsumexp(log_p[:, None, :] + (g[:, None, :] - cost) / reg, dim=2)
        last, g = g, -reg * torch.logsumexp(log_q[:, :, None] + (f[:, :, None] - cost) / reg, 1)
        if (g - last).abs().max() < 1e-12:
            break
    return f - f.mean(dim=1, keepdim=True)


def logits_gradient(f: Tensor, q: Tensor) -> Tensor:
    return q * (f - (q * f).sum(dim=1, keepdim=True))


@every_cost
def test_plan_and_cost_are_what_pot_says(cost: Tensor) -> None:
    q, p = pairs(len(cost))
    ours = plan(q, p, cost, 0.1, 500)
    reg = 0.1 * float(cost.max())
    # POT's scaling divides by zero masses; it gets the rows without.
    for row in range(3, len(q)):
        a, b, m = q[row].numpy(), p[row].numpy(), cost.numpy()
        theirs = ot.sinkhorn(a, b, m, reg, numItermax=20_000, stopThr=1e-12)
        assert np.allclose(ours[row].numpy(), theirs, atol=1e-6)
        value = ot.sinkhorn2(a, b, m, reg, numItermax=20_000, stopThr=1e-12)
        assert float((ours[row] * cost).sum()) == pytest.approx(value, abs=1e-6)


@every_cost
def test_dual_value_is_cost_plus_penalty_of_the_plan(cost: Tensor) -> None:
    q, p = pairs(len(cost))
    f, g = potentials(q, p, cost, 0.1, 500)
    flow, product = plan(q, p, cost, 0.1, 500), q[:, :, None] * p[:, None, :]
    penalty = (torch.xlogy(flow, flow) - torch.xlogy(flow, product)).sum(dim=(1, 2))
    primal = (flow * cost).sum(dim=(1, 2)) + 0.1 * cost.max() * penalty
    assert torch.allclose((f * q).sum(dim=1) + (g * p).sum(dim=1), primal, atol=1e-7)


@every_cost
def test_default_sweeps_leave_little_of_the_marginal_error(cost: Tensor) -> None:
    q, p = pairs(len(cost), rows=256, seed=1)
    flow = plan(q, p, cost, 0.1, 40)
    assert torch.allclose(flow.sum(dim=2), q, atol=1e-9)
    error = (flow.sum(dim=1) - p).abs().sum(dim=1)
    assert error.max() < 0.03
    assert error.mean() < 1e-3


@every_cost
def test_default_sweeps_give_the_converged_gradient_in_single_precision(cost: Tensor) -> None:
    q, p = pairs(len(cost), rows=128, seed=2)
    f, _ = potentials(q.float(), p.float(), cost, 0.1, 40)
    assert f.dtype == torch.float32
    ours = logits_gradient(f.double(), q)
    truth = logits_gradient(slow_potential(q, p, cost, 0.1), q)
    assert torch.linalg.norm(ours - truth) < 0.02 * torch.linalg.norm(truth)


@every_cost
def test_nearly_equal_distributions_converge_slowly_but_in_the_right_direction(
    cost: Tensor,
) -> None:
    _, p = pairs(len(cost), rows=32, seed=3)
    noise = torch.randn(p.shape, generator=torch.Generator().manual_seed(0)).double()
    p = 0.99 * p + 0.01 / len(cost)
    q = torch.softmax(p.log() + 0.1 * noise, dim=1)
    ours = logits_gradient(potentials(q, p, cost, 0.1, 40)[0], q).flatten()
    truth = logits_gradient(slow_potential(q, p, cost, 0.1), q).flatten()
    assert torch.cosine_similarity(ours, truth, dim=0) > 0.98


@every_cost
@pytest.mark.parametrize("epsilon", [10.0, 1.0, 0.1, 0.05, 1 / 40, 1 / 41, 0.01, MIN_EPSILON])
@pytest.mark.parametrize("sweeps", [1, 3, 40, 1000])
def test_potentials_stay_finite_and_centred(cost: Tensor, epsilon: float, sweeps: int) -> None:
    size = len(cost)
    q = torch.cat([torch.eye(size).repeat(size, 1), torch.full((1, size), 1 / size)])
    p = torch.cat([torch.eye(size).repeat_interleave(size, dim=0), torch.eye(size)[:1]])
    noise = torch.randn(64, size, generator=torch.Generator().manual_seed(0))
    soft = [torch.softmax(sharpness * noise, dim=1) for sharpness in (0.5, 3.0, 20.0)]
    q, p = torch.cat([q, *soft]), torch.cat([p, *soft[::-1]])
    f, g = potentials(q, p, cost, epsilon, sweeps)
    assert torch.all(torch.isfinite(f))
    assert torch.all(torch.isfinite(g))
    assert f.sum(dim=1).abs().max() < 1e-4 * max(1.0, epsilon)


def test_the_unit_of_the_cost_is_the_unit_of_the_potentials() -> None:
    q, p = pairs(7)
    (f, g), (f_in_cm, g_in_cm) = (potentials(q, p, s * plane(7), 0.1, 40) for s in (1, 100))
    assert torch.allclose(100 * f, f_in_cm)
    assert torch.allclose(100 * g, g_in_cm)


def test_where_nothing_costs_anything_nothing_is_charged() -> None:
    q, p = pairs(3)
    f, g = potentials(q, p, torch.zeros(3, 3), 0.1, 5)
    assert f.abs().max() < 1e-12
    assert g.abs().max() < 1e-12


def test_a_hundred_labels_are_served() -> None:
    q, p = pairs(100, rows=8)
    flow = plan(q, p, plane(100), 0.1, 100)
    assert torch.allclose(flow.sum(dim=1), p, atol=1e-4)


@every_cost
def test_a_small_epsilon_starts_from_what_larger_ones_found(cost: Tensor) -> None:
    q, p = pairs(len(cost), rows=32, seed=4)
    truth = logits_gradient(slow_potential(q, p, cost, 0.01), q)
    ours = logits_gradient(potentials(q, p, cost, 0.01, 3)[0], q)
    # From scratch, three sweeps leave an error of about .8.
    assert torch.linalg.norm(ours - truth) < 0.6 * torch.linalg.norm(truth)
