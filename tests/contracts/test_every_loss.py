"""What every distillation loss must satisfy; members are enumerated, never named."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from common.component import component
from common.configure import dump, find, kinds, load
from common.failures import ConfigError
from common.labels import LabelGeometry
from server.losses import DistillationLoss

GEOMETRIES = {
    "grades": LabelGeometry.ordinal(["bad", "fair", "good", "great"], [-2, -1, 0.5, 2]),
    "flat": LabelGeometry.discrete(["a", "b", "c", "d", "e"]),
}


def serves(kind: str, geometry: LabelGeometry) -> bool:
    try:
        find(DistillationLoss, kind)().check(geometry)
    except ConfigError:
        return False
    return True


CASES = [
    pytest.param(find(DistillationLoss, kind)(), geometry, id=f"{kind}-{name}")
    for kind in kinds(DistillationLoss)
    for name, geometry in GEOMETRIES.items()
    if serves(kind, geometry)
]
every_case = pytest.mark.parametrize(("loss", "geometry"), CASES)


def distributions(rows: int, size: int, seed: int, sharpness: float = 1.0) -> Tensor:
    noise = torch.randn(rows, size, generator=torch.Generator().manual_seed(seed))
    return torch.softmax(sharpness * noise.double(), dim=1)


def certain(size: int) -> tuple[Tensor, Tensor]:
    """Logits so large that the student is sure, right or wrong, and one-hot targets."""
    eye = torch.eye(size)
    return 1e3 * eye.repeat(size, 1), eye.repeat_interleave(size, dim=0)


@pytest.mark.parametrize("kind", kinds(DistillationLoss))
def test_some_geometry_is_served_and_settings_survive_a_round_trip(kind: str) -> None:
    loss = find(DistillationLoss, kind)()
    assert any(serves(kind, geometry) for geometry in GEOMETRIES.values())
    assert load(DistillationLoss, {"kind": kind, **dump(loss)}) == loss


@every_case
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_one_value_per_sample(
    loss: DistillationLoss, geometry: LabelGeometry, dtype: torch.dtype
) -> None:
    q, p = (distributions(5, len(geometry), seed).to(dtype) for seed in (0, 1))
    value = loss(q.log(), p, geometry)
    assert value.shape == (5,)
    assert value.dtype == dtype
    rows = [loss(q[i : i + 1].log(), p[i : i + 1], geometry) for i in range(5)]
    assert torch.allclose(torch.cat(rows), value, rtol=1e-4, atol=1e-6)


@every_case
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), sharpness=st.floats(0.1, 5))
def test_no_student_beats_the_target_by_more_than_the_slack(
    loss: DistillationLoss, geometry: LabelGeometry, seed: int, sharpness: float
) -> None:
    p = distributions(1, len(geometry), seed, sharpness)
    q = distributions(8, len(geometry), seed + 1, sharpness)
    at_target = loss(p.log(), p, geometry)
    elsewhere = loss(q.log(), p.expand_as(q), geometry)
    assert torch.all(elsewhere >= at_target - loss.slack(geometry) - 1e-9)


@every_case
def test_gradient_is_the_slope(loss: DistillationLoss, geometry: LabelGeometry) -> None:
    size, step = len(geometry), 1e-5
    logits = distributions(3, size, seed=3).log()
    p, directions = distributions(3, size, seed=4), torch.eye(size).double()

    def value(x: Tensor) -> Tensor:
        return loss(torch.log_softmax(x, dim=1), p, geometry)

    x = logits.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(value(x).sum(), x)
    moved = [value(logits + step * d) - value(logits - step * d) for d in directions]
    slopes = torch.stack(moved, dim=1) / (2 * step)
    assert torch.linalg.norm(gradient - slopes) <= 0.02 * torch.linalg.norm(slopes)
    assert gradient.abs().sum() > 0.1


@every_case
def test_finite_where_everybody_is_certain(loss: DistillationLoss, geometry: LabelGeometry) -> None:
    logits, p = certain(len(geometry))
    logits.requires_grad_()
    value = loss(logits.log_softmax(dim=1), p, geometry)
    (gradient,) = torch.autograd.grad(value.sum(), logits)
    assert torch.all(torch.isfinite(value))
    assert torch.all(torch.isfinite(gradient))


@every_case
def test_certain_and_right_costs_less_than_certain_and_wrong(
    loss: DistillationLoss, geometry: LabelGeometry
) -> None:
    size = len(geometry)
    logits, p = certain(size)
    value = loss(logits.log_softmax(dim=1), p, geometry).reshape(size, size)
    wrong = ~torch.eye(size, dtype=torch.bool)
    assert value.diagonal().max() < value[wrong].min()


@every_case
def test_a_constant_added_to_the_logits_changes_nothing(
    loss: DistillationLoss, geometry: LabelGeometry
) -> None:
    logits, p = (distributions(4, len(geometry), seed).log() for seed in (5, 6))
    before = loss(logits.log_softmax(dim=1), p.exp(), geometry)
    after = loss((logits + 7).log_softmax(dim=1), p.exp(), geometry)
    assert torch.allclose(before, after, rtol=1e-9)


@every_case
def test_a_student_equal_to_its_target_is_left_alone(
    loss: DistillationLoss, geometry: LabelGeometry
) -> None:
    p = distributions(6, len(geometry), seed=7).float()
    log_q = p.log().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(log_q.log_softmax(dim=1), p, geometry).sum(), log_q)
    # Where slack is declared, the minimum lies beside the target.
    if loss.slack(geometry) < 1e-2:
        assert gradient.abs().max() < 1e-5


def test_a_loss_serves_every_geometry_unless_it_says_otherwise() -> None:
    @component
    class Blind(DistillationLoss):
        def __call__(self, log_q: Tensor, p: Tensor, geometry: LabelGeometry) -> Tensor:
            return log_q.sum(dim=1)

    for geometry in GEOMETRIES.values():
        Blind().check(geometry)
        assert Blind().slack(geometry) == 0
