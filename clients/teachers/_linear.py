"""The convex problem behind ``frozen_linear``. Imports torch."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

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
    weights = torch.zeros(num_labels, inputs.shape[1], dtype=torch.float64, requires_grad=True)
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
        wrong = functional.cross_entropy(inputs @ weights.T, targets, reduction="sum")
        loss = wrong + penalty / 2 * weights.square().sum()
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
