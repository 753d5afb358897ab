"""AdamW on a one-cycle schedule, for many small tensors at once. Imports torch."""

from functools import lru_cache

import torch
from torch import Tensor

_MOMENTUM, _BETA, _EPSILON = 0.9, 0.999, 1e-8  # what AdamW takes where it is told nothing


class AdamW:
    """One update of all tensors, to the bits of ``torch.optim.AdamW(..., fused=True)``.

    Reference: Loshchilov, Hutter. *Decoupled Weight Decay Regularization*, ICLR 2019.
    """

    def __init__(
        self, parameters: list[Tensor], gradient: list[Tensor], weight_decay: float
    ) -> None:
        """Start from no moments.

        Args:
            parameters: changed in place.
            gradient: of the same shapes; read at every step.
            weight_decay: of AdamW.
        """
        self._parameters, self._gradient = parameters, gradient
        self._means, self._squares = self._zeros(), self._zeros()
        self._step, self._weight_decay = torch.zeros(()), weight_decay

    def _zeros(self) -> list[Tensor]:
        return [torch.zeros_like(value) for value in self._parameters]

    def __call__(self, rate: float, momentum: float) -> None:
        """Step at a learning rate and a decay of the mean."""
        self._step += 1
        # What torch's class calls after it has spent longer on its lists than this takes.
        torch.ops.aten._fused_adamw_(
            self._parameters,
            self._gradient,
            self._means,
            self._squares,
            [],
            [self._step] * len(self._parameters),
            lr=rate,
            beta1=momentum,
            beta2=_BETA,
            weight_decay=self._weight_decay,
            eps=_EPSILON,
            amsgrad=False,
            maximize=False,
        )


@lru_cache(maxsize=16)
def cycle(peak: float, steps: int) -> list[tuple[float, float]]:
    """Learning rate and decay of the mean at each step, from torch's own ``OneCycleLR``.

    Reference: Smith, Topin. *Super-Convergence*, 2018.
    """
    optimiser = torch.optim.AdamW([torch.zeros(1)], peak, betas=(_MOMENTUM, _BETA), eps=_EPSILON)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, peak, steps + 1)
    made = []
    for _ in range(steps):
        group = optimiser.param_groups[0]
        made.append((float(group["lr"]), float(group["betas"][0])))
        optimiser.step()
        schedule.step()
    return made
