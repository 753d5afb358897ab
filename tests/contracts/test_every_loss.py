"""What every distillation loss must satisfy; members are enumerated, never named."""

import re
from dataclasses import fields
from importlib.util import find_spec
from typing import Any

import numpy as np
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

AROUSAL = np.array([[-0.4, 0.8], [0.9, 0.2], [0.0, 0.0], [-0.9, -0.4]])
GRADES = LabelGeometry.ordinal(["bad", "fair", "good", "great"], [-2, -1, 0.5, 2])
GEOMETRIES = {
    "grades": GRADES,
    "flat": LabelGeometry.discrete(["a", "b", "c", "d", "e"]),
    "plane": LabelGeometry(
        ("anger", "joy", "none", "sadness"),
        AROUSAL,
        np.linalg.norm(AROUSAL[:, None] - AROUSAL[None], axis=2),
    ),
}
ORDER = [2, 0, 3, 1]


def refusal(loss: DistillationLoss, geometry: LabelGeometry) -> str:
    """Why ``loss`` does not serve ``geometry``; empty if it does."""
    try:
        loss.check(geometry)
    except ConfigError as refused:
        return str(refused)
    return ""


def variants(kind: str) -> list[DistillationLoss]:
    """The member as it comes, and at another temperature if it has one."""
    member: Any = find(DistillationLoss, kind)
    names = {field.name for field in fields(member)}
    return [member(), *([member(temperature=3.0)] if "temperature" in names else [])]


def dealt(geometry: LabelGeometry, order: list[int]) -> LabelGeometry:
    """The same labels in another order; each keeps its place in space."""
    names = tuple(geometry.names[i] for i in order)
    return LabelGeometry(names, geometry.points[order], geometry.cost[np.ix_(order, order)])


CASES = [
    pytest.param(loss, geometry, id=f"{kind}{number or ''}-{name}")
    for kind in kinds(DistillationLoss)
    for number, loss in enumerate(variants(kind))
    for name, geometry in GEOMETRIES.items()
    if not refusal(loss, geometry)
]
every_case = pytest.mark.parametrize(("loss", "geometry"), CASES)


def distributions(rows: int, size: int, seed: int, sharpness: float = 1.0) -> Tensor:
    noise = torch.randn(rows, size, generator=torch.Generator().manual_seed(seed))
    return torch.softmax(sharpness * noise.double(), dim=1)


def certain(size: int) -> tuple[Tensor, Tensor]:
    """Logits so large that the student is sure, right or wrong, and one-hot targets."""
    eye = torch.eye(size)
    return 1e3 * eye.repeat(size, 1), eye.repeat_interleave(size, dim=0)


def gradient_of(
    loss: DistillationLoss, logits: Tensor, p: Tensor, geometry: LabelGeometry
) -> Tensor:
    x = logits.clone().requires_grad_()
    value = loss(x.log_softmax(dim=1), p, geometry)
    (gradient,) = torch.autograd.grad(value.sum(), x)
    return gradient


@pytest.mark.parametrize("kind", kinds(DistillationLoss))
def test_some_geometry_is_served_and_settings_survive_a_round_trip(kind: str) -> None:
    loss = find(DistillationLoss, kind)()
    assert load(DistillationLoss, {"kind": kind, **dump(loss)}) == loss
    refusals = [refusal(loss, geometry) for geometry in GEOMETRIES.values()]
    extra = re.search(r"fedknot\[(\w+)\]", refusals[0])
    if extra and find_spec(extra[1]) is None:
        pytest.skip(f"needs the extra {extra[1]}")
    assert "" in refusals


@every_case
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_one_value_per_sample(
    loss: DistillationLoss, geometry: LabelGeometry, dtype: torch.dtype
) -> None:
    q, p = (distributions(5, len(geometry), seed).to(dtype) for seed in (0, 1))
    value = loss(q.log(), p, geometry)
    assert value.shape == (5,)
    assert value.dtype == dtype
    assert torch.allclose(value.double(), loss(q.double().log(), p.double(), geometry), atol=1e-4)


@every_case
def test_other_samples_matter_if_and_only_if_it_is_not_separable(
    loss: DistillationLoss, geometry: LabelGeometry
) -> None:
    q, p = (distributions(5, len(geometry), seed) for seed in (0, 1))
    together = loss(q.log(), p, geometry)
    alone = torch.cat([loss(q[i : i + 1].log(), p[i : i + 1], geometry) for i in range(5)])
    assert torch.allclose(alone, together, rtol=1e-6, atol=1e-9) == loss.separable


@every_case
def test_where_labels_lie_matters_if_and_only_if_it_says_so(
    loss: DistillationLoss, geometry: LabelGeometry
) -> None:
    del geometry
    q, p = (distributions(5, 4, seed) for seed in (0, 1))
    stretched = LabelGeometry.ordinal(GRADES.names, [-2, -1.9, 0, 2])
    elsewhere = [other for other in (dealt(GRADES, ORDER), stretched) if not refusal(loss, other)]
    assert elsewhere
    here = loss(q.log(), p, GRADES)
    for other in elsewhere:
        assert torch.equal(here, loss(q.log(), p, other)) != loss.uses_geometry


@every_case
def test_the_order_of_the_labels_means_nothing(
    loss: DistillationLoss, geometry: LabelGeometry
) -> None:
    q, p = (distributions(5, len(geometry), seed) for seed in (0, 1))
    order = [*ORDER, *range(4, len(geometry))]
    value = loss(q.log(), p, geometry)
    moved = loss(q[:, order].log(), p[:, order], dealt(geometry, order))
    assert torch.allclose(moved, value, rtol=1e-6, atol=1e-9)


@every_case
@pytest.mark.parametrize("lead", [(3,), (1,), (2, 3)])
def test_several_targets_at_once_are_each_alone(
    loss: DistillationLoss, geometry: LabelGeometry, lead: tuple[int, ...]
) -> None:
    size, count = len(geometry), int(np.prod(lead))
    logits = distributions(4, size, seed=0).log()
    p = distributions(count * 4, size, seed=1, sharpness=2).reshape(*lead, 4, size)
    value = loss(logits, p, geometry)
    assert value.shape == (*lead, 4)
    one_by_one = [loss(logits, rows, geometry) for rows in p.reshape(-1, 4, size)]
    assert torch.allclose(value.reshape(-1, 4), torch.stack(one_by_one), rtol=1e-6, atol=1e-9)
    gradients = [gradient_of(loss, logits, rows, geometry) for rows in p.reshape(-1, 4, size)]
    together = gradient_of(loss, logits, p, geometry)
    assert torch.allclose(together, torch.stack(gradients).sum(dim=0), rtol=1e-6, atol=1e-9)


@every_case
def test_a_batch_may_hold_one_sample(loss: DistillationLoss, geometry: LabelGeometry) -> None:
    logits, p = certain(len(geometry))
    rows = [(distributions(1, len(geometry), 0).log(), distributions(1, len(geometry), 1))]
    rows += list(zip(logits.split(1), p.split(1), strict=True))
    for x, target in rows:
        assert torch.all(torch.isfinite(loss(x.log_softmax(dim=1), target, geometry)))
        assert torch.all(torch.isfinite(gradient_of(loss, x, target, geometry)))


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
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000), sharpness=st.floats(0.1, 5))
def test_no_batch_beats_the_targets_by_more_than_the_slack(
    loss: DistillationLoss, geometry: LabelGeometry, seed: int, sharpness: float
) -> None:
    p = distributions(16, len(geometry), seed, sharpness)
    at_target = loss(p.log(), p, geometry).mean()
    near = torch.softmax(p.log() + 0.1 * distributions(16, len(geometry), seed + 1), dim=1)
    for q in (near, p.roll(1, dims=0), p.mean(dim=0).expand_as(p), p.square() + 1e-9):
        log_q = (q / q.sum(dim=1, keepdim=True)).log()
        elsewhere = loss(log_q, p, geometry).mean()
        assert elsewhere >= at_target - loss.slack(geometry) - 1e-9


@every_case
def test_gradient_is_the_slope(loss: DistillationLoss, geometry: LabelGeometry) -> None:
    size, step = len(geometry), 1e-5
    logits = distributions(3, size, seed=3).log()
    p, directions = distributions(3, size, seed=4), torch.eye(3 * size).double()

    def value(x: Tensor) -> Tensor:
        return loss(torch.log_softmax(x, dim=1), p, geometry).sum()

    gradient = gradient_of(loss, logits, p, geometry)
    steps = [step * d.reshape(3, size) for d in directions]
    moved = torch.stack([value(logits + d) - value(logits - d) for d in steps])
    slopes = moved.reshape(3, size) / (2 * step)
    assert torch.cosine_similarity(gradient.flatten(), slopes.flatten(), dim=0) > 0.95
    # A reproduction of a published solver may say that only the direction is right.
    if loss.exact_gradient:
        assert torch.linalg.norm(gradient - slopes) <= 0.02 * torch.linalg.norm(slopes)
    assert gradient.abs().sum() > 0.1


@every_case
def test_finite_where_everybody_is_certain(loss: DistillationLoss, geometry: LabelGeometry) -> None:
    logits, p = certain(len(geometry))
    value = loss(logits.log_softmax(dim=1), p, geometry)
    gradient = gradient_of(loss, logits, p, geometry)
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
    # Samples that are compared with each other share in each other's mistakes.
    if loss.separable:
        assert value.diagonal().max() < value[wrong].min()


@every_case
def test_one_certain_mistake_makes_a_batch_dearer(
    loss: DistillationLoss, geometry: LabelGeometry
) -> None:
    certainly = (1e3 * torch.eye(len(geometry))).log_softmax(dim=1)
    for right in range(len(geometry)):
        p = torch.eye(len(geometry))[[right, right]]
        faultless = loss(certainly[[right, right]], p, geometry).mean()
        for wrong in set(range(len(geometry))) - {right}:
            assert loss(certainly[[right, wrong]], p, geometry).mean() > faultless


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
    gradient = gradient_of(loss, p.log(), p, geometry)
    # Where slack is declared, the minimum lies beside the target.
    if loss.slack(geometry) < 1e-2:
        assert gradient.abs().max() < 1e-5


@every_case
def test_same_inputs_same_bits(loss: DistillationLoss, geometry: LabelGeometry) -> None:
    q, p = (distributions(7, len(geometry), seed).float() for seed in (0, 1))
    assert torch.equal(loss(q.log(), p, geometry), loss(q.log(), p, geometry))
    gradients = [gradient_of(loss, q.log(), p, geometry) for _ in range(2)]
    assert torch.equal(*gradients)


def test_a_loss_serves_every_geometry_unless_it_says_otherwise() -> None:
    @component
    class Blind(DistillationLoss):
        def __call__(self, log_q: Tensor, p: Tensor, geometry: LabelGeometry) -> Tensor:
            return log_q.sum(dim=1)

    for geometry in GEOMETRIES.values():
        Blind().check(geometry)
        assert Blind().slack(geometry) == 0
