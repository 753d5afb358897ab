"""Transport between batches against POT."""

import math

import numpy as np
import ot
import pytest
import torch
from scipy.spatial.distance import cdist
from torch import Tensor

from common.arrays import Floats
from common.configure import load
from common.failures import ConfigError
from common.labels import LabelGeometry
from server.losses import DistillationLoss
from server.losses.kl import Kl
from server.losses.sinkd import Sinkd
from tests.server.losses.pairs import FLAT, pairs


def alone(epsilon: float = 0.1, sweeps: int = 2000, temperature: float = 1.0) -> Sinkd:
    return Sinkd(epsilon=epsilon, sweeps=sweeps, temperature=temperature, kl_weight=0)


def uniform(rows: int) -> Floats:
    return np.full(rows, 1 / rows)


def lattice(steps: int) -> Tensor:
    """Every distribution over three labels in multiples of 1 / ``steps``."""
    rows = [(i, j, steps - i - j) for i in range(steps + 1) for j in range(steps + 1 - i)]
    return torch.tensor(rows).double() / steps


@pytest.mark.parametrize("epsilon", [0.025, 0.1, 1.0])
@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_the_mean_is_the_regularised_cost_of_pot(epsilon: float, temperature: float) -> None:
    q, p = pairs()
    soft = [x.numpy() ** (1 / temperature) for x in (q, p)]
    a, b = (x / x.sum(axis=1, keepdims=True) for x in soft)
    cost = cdist(a, b, "cityblock")
    expected = ot.solve(
        cost, uniform(12), uniform(12), reg=epsilon, reg_type="KL", max_iter=20000, tol=1e-12
    )
    value = alone(epsilon, temperature=temperature)(q.log(), p, FLAT).mean()
    assert value.item() == pytest.approx(expected.value, abs=1e-6)


def test_the_gradient_is_the_cost_s_under_the_plan_of_pot() -> None:
    q, p = pairs()
    logits = q.log().requires_grad_()
    alone(sweeps=20)(logits.log_softmax(dim=1), p, FLAT).mean().backward()
    cost = cdist(q.numpy(), p.numpy(), "cityblock")
    # POT ends with the rows and we with the columns, hence the other way round.
    plan = ot.sinkhorn(
        uniform(12), uniform(12), cost.T, 0.1, numItermax=20, stopThr=0, warn=False
    ).T
    x = q.log().requires_grad_()
    distance = (x.softmax(dim=1)[:, None] - p[None]).abs().sum(dim=2)
    (torch.from_numpy(plan) * distance).sum().backward()
    assert logits.grad is not None
    assert x.grad is not None
    assert torch.allclose(logits.grad, x.grad, atol=1e-12)


@pytest.mark.parametrize("sharpness", [1.0, 3.0])
def test_after_twenty_sweeps_the_gradient_is_still_the_slope(sharpness: float) -> None:
    generator, step = torch.Generator().manual_seed(0), 1e-5
    logits, y = sharpness * torch.randn(2, 8, 5, generator=generator, dtype=torch.float64)
    loss, p = Sinkd(kl_weight=0), y.softmax(dim=1)

    def value(x: Tensor) -> Tensor:
        return loss(x.log_softmax(dim=1), p, FLAT).sum()

    x = logits.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(value(x), x)
    steps = [step * d.reshape(8, 5) for d in torch.eye(40).double()]
    slopes = torch.stack([value(logits + d) - value(logits - d) for d in steps]) / (2 * step)
    error = torch.linalg.norm(gradient.flatten() - slopes) / torch.linalg.norm(slopes)
    assert error < 0.01


def test_twenty_sweeps_are_close_to_all_of_them() -> None:
    q, p = pairs(64)
    few, many = (alone(sweeps=sweeps, temperature=2.0) for sweeps in (20, 5000))
    gap = many(q.log(), p, FLAT).mean() - few(q.log(), p, FLAT).mean()
    assert 0 <= gap.item() < 1e-3


def test_who_swaps_two_samples_is_not_told_so_by_transport_but_by_kl() -> None:
    q, p = pairs()
    value, swapped = (alone(sweeps=50)(rows.log(), p, FLAT) for rows in (q, q.flip(0)))
    assert torch.allclose(value.flip(0), swapped)
    right, wrong = (Sinkd()(rows.clamp_min(1e-9).log(), p, FLAT).mean() for rows in (p, p.flip(0)))
    assert wrong > right + 1


def test_kl_is_added_to_every_sample() -> None:
    q, p = pairs()
    added = Sinkd(kl_weight=3.0)(q.log(), p, FLAT) - Sinkd(kl_weight=0.0)(q.log(), p, FLAT)
    assert torch.allclose(added, 3 * Kl()(q.log(), p, FLAT))


def test_one_sample_can_only_go_to_its_target() -> None:
    q, p = pairs()
    value = alone()(q[:1].log(), p[:1], FLAT)
    assert value.item() == pytest.approx((q[0] - p[0]).abs().sum().item())


@pytest.mark.parametrize("epsilon", [0.025, 0.1, 0.5, 10.0])
@pytest.mark.parametrize("sweeps", [1, 20])
def test_at_the_target_it_costs_no_more_than_the_slack(epsilon: float, sweeps: int) -> None:
    labels, loss = LabelGeometry.discrete(["a", "b", "c"]), alone(epsilon, sweeps)
    spread = torch.eye(3).double().repeat(20, 1).clamp_min(1e-300)
    for p in (lattice(4), lattice(40), spread):
        value = loss(p.clamp_min(1e-300).log(), p, labels).mean()
        assert -1e-9 <= value <= loss.slack(labels)
        assert value <= epsilon * math.log(len(p)) + 1e-9


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_smallest_epsilon_is_in_range_where_everybody_is_certain(dtype: torch.dtype) -> None:
    logits = (1e3 * torch.eye(5, dtype=dtype)).repeat(20, 1).requires_grad_()
    p = torch.eye(5, dtype=dtype)[torch.arange(100) // 40].expand(2, 100, 5)
    value = alone(1 / 40, sweeps=50)(logits.log_softmax(dim=1), p, FLAT)
    value.sum().backward()
    # Forty of a hundred claim a label that no target holds; each must move by 2.
    assert value.mean().item() == pytest.approx(2 * 0.4, abs=0.1)
    assert logits.grad is not None
    assert torch.all(torch.isfinite(logits.grad))


def test_an_epsilon_beyond_the_range_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"server.loss.epsilon"):
        load(DistillationLoss, {"kind": "sinkd", "epsilon": 1 / 41}, "server.loss")
