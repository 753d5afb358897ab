"""Students and targets that every loss's own tests start from."""

import numpy as np
import torch
from torch import Tensor

from common.labels import LabelGeometry
from server.losses import DistillationLoss

GRADES = LabelGeometry.ordinal(list("abcde"), [-2.2, -1, 0, 1, 2.2])
FLAT = LabelGeometry.discrete(list("abcde"))


def pairs(rows: int = 12, seed: int = 0) -> tuple[Tensor, Tensor]:
    rng = np.random.default_rng(seed)
    q, p = rng.dirichlet([0.7] * 5, size=(2, rows))
    p[0], p[1] = np.eye(5)[2], [0.5, 0, 0, 0, 0.5]
    return torch.from_numpy(q), torch.from_numpy(p)


def teachers(count: int = 3, rows: int = 6, concentration: float = 3.0) -> tuple[Tensor, Tensor]:
    """Targets (T, B, C) well above every floor, and weights (T, B) that differ everywhere."""
    rng = np.random.default_rng(1)
    p = 0.98 * rng.dirichlet([concentration] * 5, size=(count, rows)) + 0.004
    weights = rng.dirichlet([2.0] * count, size=rows).T
    return torch.from_numpy(p), torch.from_numpy(weights)


def assert_minimal(
    loss: DistillationLoss, q: Tensor, p: Tensor, weights: Tensor, geometry: LabelGeometry = GRADES
) -> None:
    """No slope at q, and nobody else is better."""

    def total(logits: Tensor) -> Tensor:
        return (weights * loss(logits.log_softmax(dim=1), p, geometry)).sum()

    logits = q.log().requires_grad_()
    best = total(logits)
    (gradient,) = torch.autograd.grad(best, logits)
    assert gradient.abs().max() < 1e-9
    generator = torch.Generator().manual_seed(0)
    for scale in (0.01, 0.1, 1.0, 3.0):
        noise = scale * torch.randn(q.shape, generator=generator, dtype=q.dtype)
        assert total(q.log() + noise) > best
