"""The convex problem behind ``frozen_linear``. Imports torch."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from clients.refinements import Lesson, Plan, softened
from common.arrays import Floats, Ints

_STEPS, _TOLERANCE, _MEMORY = 500, 1e-7, 20


def solve(features: Floats, labels: Ints, num_labels: int, penalty: float) -> NDArray[Any]:
    """The minimiser of cross-entropy, summed, plus ``penalty`` / 2 times the squared weights.

    Strictly convex, so there is one solution, and it is found from zeros without chance: by
    L-BFGS with a strong Wolfe line search (Nocedal and Wright, *Numerical Optimization*,
    2006, algorithms 7.5 and 3.5), in double precision.

    Args:
        features: shape (M, D).
        labels: shape (M,), in 0..C-1.
        num_labels: C.
        penalty: more than 0.

    Returns:
        Shape (C, D + 1), float32; the last column is the bias, penalised like the rest.
    """
    inputs, targets = _with_one(features), torch.from_numpy(labels.astype(np.int64))

    def wrong(weights: Tensor) -> Tensor:
        return functional.cross_entropy(inputs @ weights.T, targets, reduction="sum")

    return _minimised(wrong, num_labels, inputs.shape[1], penalty)


def solve_jointly(lesson: Lesson, plan: Plan, penalty: float) -> NDArray[Any]:
    """The minimiser of the same with one term more, as strictly convex as without it.

    Added is ``plan.share`` times the cross-entropy of the consensus on the shared texts, summed,
    at ``plan.temperature`` (:func:`clients.teachers._refining.digesting`).

    Args:
        lesson: features of M private and N shared texts, labels, consensus.
        plan: how much a shared text counts, and how soft the consensus is learned.
        penalty: more than 0.
    """
    private, shared = _with_one(lesson.private), _with_one(lesson.shared)
    labels, warmth = torch.from_numpy(lesson.labels.astype(np.int64)), plan.temperature
    targets = torch.from_numpy(softened(lesson.consensus, warmth))

    def wrong(weights: Tensor) -> Tensor:
        own = functional.cross_entropy(private @ weights.T, labels, reduction="sum")
        scores = shared @ weights.T / warmth
        others = functional.cross_entropy(scores, targets, reduction="sum")
        return own + plan.share * warmth**2 * others

    return _minimised(wrong, targets.shape[1], shared.shape[1], penalty)


def _minimised(
    wrong: Callable[[Tensor], Tensor], num_labels: int, width: int, penalty: float
) -> NDArray[Any]:
    """From zeros, over (C, D + 1) weights; ``wrong`` is convex."""
    weights = torch.zeros(num_labels, width, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS(
        [weights],
        max_iter=_STEPS,
        history_size=_MEMORY,
        tolerance_grad=_TOLERANCE,
        tolerance_change=_TOLERANCE**2,
        line_search_fn="strong_wolfe",
    )

    def value() -> Tensor:
        optimiser.zero_grad()
        loss = wrong(weights) + penalty / 2 * weights.square().sum()
        loss.backward()
        return loss

    optimiser.step(value)
    return np.asarray(weights.detach().float().numpy())


@torch.inference_mode()
def probabilities(weights: NDArray[Any], features: Floats) -> Floats:
    """Softmax of linear scores: shape (N, C), float32, rows sum to 1."""
    scores = _with_one(features) @ torch.tensor(weights, dtype=torch.float64).T
    return np.asarray(torch.softmax(scores, dim=1).float().numpy(), dtype=np.float32)


def _with_one(features: Floats) -> Tensor:
    """Shape (M, D + 1): the last column is the bias's."""
    return functional.pad(torch.tensor(features, dtype=torch.float64), (0, 1), value=1.0)
