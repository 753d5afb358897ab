"""Dealing out anew what a text's targets count, without changing what they count in all."""

import torch
from torch import Tensor

from server.steering import LABEL


def shared_out(scores: Tensor, weights: Tensor, among: Tensor) -> Tensor:
    """Share out, text by text, what some targets weigh together, in proportion to scores.

    Args:
        scores: shape (T, B), non-negative; where those among whom is shared all have 0, a text
            keeps its weights.
        weights: shape (T, B), non-negative.
        among: shape (T, 1) or (T, B), bool; the other targets keep their weights.

    Returns:
        Shape (T, B), of the dtype of ``weights``; columns sum to what they summed to.
    """
    scores = torch.where(among, scores, 0).to(weights.dtype)
    total = torch.where(among, weights, 0).sum(dim=0)
    found = scores.sum(dim=0)
    shared = scores / torch.where(found > 0, found, 1) * total
    return torch.where(among & (found > 0), shared, weights)


def opinions(teachers: tuple[int, ...]) -> Tensor:
    """Which of T targets are opinions and not known labels: shape (T, 1), bool."""
    return torch.tensor([teacher != LABEL for teacher in teachers])[:, None]


def evenly(count: int, share: float) -> Tensor:
    """Every so many-th of ``count`` things, about ``share`` of them: shape (count,), bool.

    Drawn by no generator, so that all rounds part the known labels alike. At least one thing
    is in; of two or more, at least one is out.
    """
    wanted = min(max(1, round(share * count)), max(1, count - 1))
    mask = torch.zeros(count, dtype=torch.bool)
    mask[torch.arange(wanted) * count // wanted] = True
    return mask
