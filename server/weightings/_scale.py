"""Numbers about texts, brought to one scale."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Scale:
    """Columns of mean 0 and one spread, rows of length about 1; constant columns are 0.

    Attributes:
        mean: shape (D,), of the texts that set the scale.
        spread: shape (D,), their standard deviations.
        flat: shape (D,), bool, which columns are constant.
    """

    mean: Tensor
    spread: Tensor
    flat: Tensor

    @classmethod
    def of(cls, texts: Tensor) -> "Scale":
        """The scale on which these N texts (N, D) are what they should be."""
        mean = texts.mean(dim=0)
        spread = (texts - mean).square().mean(dim=0).sqrt()
        return cls(mean, spread, spread <= 1e-6 * texts.abs().amax(dim=0))

    def __call__(self, texts: Tensor) -> Tensor:
        """Texts (B, D) on this scale."""
        away = (texts - self.mean) / torch.where(self.flat, 1, self.spread)
        return torch.where(self.flat, 0, away) / math.sqrt(texts.shape[1])


def standardised(texts: Tensor) -> Tensor:
    """Texts (N, D) on their own scale."""
    return Scale.of(texts)(texts)
