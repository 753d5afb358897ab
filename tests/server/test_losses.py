"""The losses' formulas against other people's code."""

import numpy as np
import ot
import pytest
import torch
from scipy.special import rel_entr
from scipy.stats import wasserstein_distance
from torch import Tensor

from common.configure import load
from common.failures import ConfigError
from common.labels import LabelGeometry
from server.losses import DistillationLoss
from server.losses.kl import Kl
from server.losses.sinkhorn import Sinkhorn
from server.losses.symmetric_kl import SymmetricKl
from server.losses.transport import Transport
from server.transport.line import wasserstein

GRADES = LabelGeometry.ordinal(list("abcde"), [-2.2, -1, 0, 1, 2.2])
FLAT = LabelGeometry.discrete(list("abcde"))


def pairs(rows: int = 12, seed: int = 0) -> tuple[Tensor, Tensor]:
    rng = np.random.default_rng(seed)
    q, p = rng.dirichlet([0.7] * 5, size=(2, rows))
    p[0], p[1] = np.eye(5)[2], [0.5, 0, 0, 0, 0.5]
    return torch.from_numpy(q), torch.from_numpy(p)


def test_transport_is_what_two_libraries_say() -> None:
    q, p = pairs()
    ours = Transport()(q.log(), p, GRADES).numpy()
    x = GRADES.points[:, 0]
    pot = [ot.emd2(a, b, GRADES.cost) for a, b in zip(q.numpy(), p.numpy(), strict=True)]
    scipy = [wasserstein_distance(x, x, a, b) for a, b in zip(q.numpy(), p.numpy(), strict=True)]
    assert ours == pytest.approx(pot, abs=1e-9)
    assert ours == pytest.approx(scipy, abs=1e-9)


def test_transport_has_the_gradient_of_the_linear_programme() -> None:
    q, p = pairs()
    mine, theirs = q.clone().requires_grad_(), q.clone().requires_grad_()
    wasserstein(mine, p, torch.from_numpy(GRADES.points[:, 0])).sum().backward()
    cost = torch.from_numpy(GRADES.cost)
    for row in range(2, len(q)):  # the first two have many dual solutions
        ot.emd2(theirs[row], p[row].clone(), cost).backward()
    assert mine.grad is not None
    assert theirs.grad is not None
    centred = [g - g.mean(dim=1, keepdim=True) for g in (mine.grad, theirs.grad)]
    assert torch.allclose(centred[0][2:], centred[1][2:], atol=1e-9)


def test_transport_leaves_a_student_alone_that_agrees_up_to_rounding() -> None:
    p = torch.softmax(3 * torch.randn(500, 5, generator=torch.Generator().manual_seed(0)), dim=1)
    logits = p.log().requires_grad_()
    value = Transport()(logits.log_softmax(dim=1), p, GRADES)
    value.sum().backward()
    assert logits.grad is not None
    assert value.max() == 0
    assert logits.grad.abs().max() == 0


def test_transport_between_certainties_is_the_cost() -> None:
    q = (1e3 * torch.eye(5)).log_softmax(dim=1).repeat(5, 1)
    p = torch.eye(5).repeat_interleave(5, dim=0)
    values = Transport()(q, p, GRADES).reshape(5, 5)
    assert torch.allclose(values, torch.from_numpy(GRADES.cost).float(), atol=1e-6)


def test_transport_says_what_to_write_where_labels_are_not_ordered() -> None:
    with pytest.raises(ConfigError, match=r"write server.loss = \{ kind = 'sinkhorn' \}"):
        Transport().check(FLAT)
    with pytest.raises(ConfigError):
        Transport()(torch.zeros(1, 5), torch.zeros(1, 5), FLAT)


def test_kl_is_what_scipy_says() -> None:
    q, p = pairs()
    expected = rel_entr(p.numpy(), q.numpy()).sum(axis=1)
    assert Kl()(q.log(), p, FLAT).numpy() == pytest.approx(expected)


def test_kl_is_zero_at_the_target() -> None:
    _, p = pairs()
    log_q = p.clamp_min(1e-300).log()
    assert Kl()(log_q, p, FLAT).abs().max() < 1e-12


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


@pytest.mark.parametrize("geometry", [GRADES, FLAT], ids=["grades", "flat"])
def test_sinkhorn_lies_between_transport_and_transport_plus_slack(geometry: LabelGeometry) -> None:
    q, p = pairs()
    rows = zip(q.numpy(), p.numpy(), strict=True)
    exact = torch.tensor([ot.emd2(a, b, geometry.cost) for a, b in rows], dtype=torch.float64)
    gaps = []
    for epsilon in (0.1, 0.03, 1 / 300):
        loss = Sinkhorn(epsilon=epsilon, sweeps=3000)
        gap = loss(q.log(), p, geometry) - exact
        # Dual values are lower bounds, so what the sweeps left may pull them under.
        assert gap.min() > -2e-4
        assert gap.max() <= loss.slack(geometry)
        gaps.append(gap.mean())
    assert gaps[0] > gaps[1] > gaps[2]
    assert gaps[2] < 0.01


def test_sinkhorn_between_certainties_is_the_cost() -> None:
    q = (1e3 * torch.eye(5)).log_softmax(dim=1).repeat(5, 1)
    p = torch.eye(5).repeat_interleave(5, dim=0)
    values = Sinkhorn()(q, p, GRADES).reshape(5, 5)
    assert torch.allclose(values, torch.from_numpy(GRADES.cost).float(), atol=1e-4)


@pytest.mark.parametrize("epsilon", [1 / 301, 0.0, -1.0, 11.0])
def test_sinkhorn_refuses_what_the_kernel_cannot_hold(epsilon: float) -> None:
    with pytest.raises(ConfigError, match=r"server.loss.epsilon"):
        load(DistillationLoss, {"kind": "sinkhorn", "epsilon": epsilon}, "server.loss")
