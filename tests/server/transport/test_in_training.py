"""Damaged targets in the training loop: every transport loss stops with one clear line."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from common.configure import find, kinds
from common.failures import ConfigError
from common.labels import LabelGeometry
from server.aggregators import Targets
from server.distil import Schedule, distil
from server.losses import DistillationLoss
from tests.server.transport.problems import between, symmetric

ROWS, SIZE, WIDE = 24, 5, 10


def labels(size: int, points: np.ndarray, cost: np.ndarray) -> LabelGeometry:
    return LabelGeometry(tuple(map(str, range(size))), points, cost)


def plane(size: int) -> LabelGeometry:
    points = np.random.default_rng(size).normal(size=(size, 2))
    return labels(size, points, between(points))


# One geometry for every solver that auto may take.
GEOMETRIES = {
    "tree": LabelGeometry.ordinal(list("abcde")),
    "vertex": plane(SIZE),
    "lp": plane(WIDE),
    "general": labels(SIZE, np.eye(SIZE), symmetric(np.random.default_rng(0), SIZE)),
}


def serves(loss: DistillationLoss, geometry: LabelGeometry) -> bool:
    try:
        loss.check(geometry)
    except ConfigError:
        return False
    return True


CASES = [
    pytest.param(loss, geometry, id=f"{kind}-{name}")
    for kind in kinds(DistillationLoss)
    if "transport" in kind or "sinkhorn" in kind or "geomloss" in kind
    for loss in [find(DistillationLoss, kind)()]
    for name, geometry in GEOMETRIES.items()
    if serves(loss, geometry)
]
every_case = pytest.mark.parametrize(("loss", "geometry"), CASES)


def student(size: int) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, size), nn.LogSoftmax(dim=1))


def train(
    loss: DistillationLoss,
    geometry: LabelGeometry,
    damage: Callable[[np.ndarray], None] = lambda probs: None,
) -> tuple[nn.Module, list[float]]:
    rng = np.random.default_rng(1)
    probs = rng.dirichlet(np.ones(len(geometry)), (2, ROWS)).astype(np.float32)
    damage(probs)
    targets = Targets(probs, np.full((2, ROWS), 0.5, dtype=np.float32))
    features = rng.normal(size=(ROWS, 3)).astype(np.float32)
    pupil = student(len(geometry))
    schedule = Schedule(steps=6, batch_size=8)
    try:
        losses = distil(pupil, features, targets, loss, geometry, schedule, rng).losses
    except ValueError as failure:
        failure.pupil = pupil  # type: ignore[attr-defined]
        raise
    return pupil, losses


def damaging(number: float) -> Callable[[np.ndarray], None]:
    def damage(probs: np.ndarray) -> None:
        probs[1, 7, 2] = number

    return damage


@every_case
def test_good_targets_train(loss: DistillationLoss, geometry: LabelGeometry) -> None:
    pupil, losses = train(loss, geometry)
    assert np.all(np.isfinite(losses))
    assert all(torch.all(torch.isfinite(x)) for x in pupil.parameters())


@every_case
@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_targets_that_are_no_numbers_stop_training_with_one_line(
    loss: DistillationLoss, geometry: LabelGeometry, number: float
) -> None:
    """The line is about the targets: a smaller learning rate would not help."""
    with pytest.raises(ValueError, match="target") as caught:
        train(loss, geometry, damaging(number))
    text = str(caught.value)
    assert "\n" not in text
    assert "learning_rate" not in text
    pupil: nn.Module = caught.value.pupil  # type: ignore[attr-defined]
    assert all(torch.all(torch.isfinite(x)) for x in pupil.parameters())


@every_case
@pytest.mark.parametrize(
    "damage",
    [
        lambda probs: probs.__imul__(2),
        lambda probs: probs.__setitem__((0, 3), 0.0),
        lambda probs: probs.__setitem__((0, 3, slice(2)), [-0.5, 0.5]),
        lambda probs: np.log(probs, out=probs),
    ],
    ids=["twice", "no mass", "negative", "log-probabilities"],
)
def test_targets_that_are_no_distributions_are_refused_too(
    loss: DistillationLoss, geometry: LabelGeometry, damage: Callable[[np.ndarray], None]
) -> None:
    with pytest.raises(ValueError, match="target") as caught:
        train(loss, geometry, damage)
    assert "\n" not in str(caught.value)
