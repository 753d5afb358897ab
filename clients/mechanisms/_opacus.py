"""DP-SGD by Opacus, with noise and samples that nobody else can draw. Imports torch and Opacus."""

from dataclasses import dataclass

import numpy as np
import torch
from opacus import GradSampleModule
from opacus.optimizers import DPOptimizer
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import skip_init

from clients.mechanisms._gradients import Net
from clients.noise import Noise
from common.arrays import Floats

_ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "gelu": nn.GELU}


@dataclass(frozen=True)
class Pace:
    """How it is trained.

    Attributes:
        steps: how many.
        sampling: the probability with which an example is part of a step.
        clip: the largest norm of one example's gradient.
        noise_multiplier: standard deviation of the noise in units of ``clip``.
        learning_rate: of plain gradient descent.
        momentum: of the same.
    """

    steps: int
    sampling: float
    clip: float
    noise_multiplier: float
    learning_rate: float
    momentum: float


class Optimiser(DPOptimizer):  # type: ignore[misc] # Opacus has no types
    """Opacus's own, but that its noise does not come from torch's generator."""

    def __init__(self, wrapped: torch.optim.Optimizer, pace: Pace, noise: Noise, size: float):
        super().__init__(
            wrapped,
            noise_multiplier=pace.noise_multiplier,
            max_grad_norm=pace.clip,
            expected_batch_size=size,
        )
        self._drawn_from = noise

    def add_noise(self) -> None:
        """Add to the sum of clipped gradients what the accountant was told of."""
        scale = self.noise_multiplier * self.max_grad_norm
        for part in self.params:
            drawn = torch.from_numpy(self._drawn_from.normal(*part.shape))
            part.grad = part.summed_grad + scale * drawn


def network(net: Net, activation: str) -> nn.Module:
    """A head as torch knows it, float64; see :func:`head` for the way back."""
    layers = [_layer(part) for part in net.values()]
    if len(layers) == 1:
        return layers[0]
    return nn.Sequential(layers[0], _ACTIVATIONS[activation](), layers[1])


def head(net: Net, parts: list[Tensor]) -> Net:
    """Tensors in the order of ``network(net).parameters()`` as a head with the names of ``net``."""
    pairs = zip(net, parts[::2], parts[1::2], strict=True)
    return {
        name: np.concatenate([weight.numpy(), bias.numpy()[:, None]], axis=1)
        for name, weight, bias in pairs
    }


def descend(
    module: nn.Module, inputs: Floats, wanted: Floats, pace: Pace, noise: Noise
) -> list[Tensor]:
    """Train in place on M examples.

    Args:
        module: float64.
        inputs: shape (M, D).
        wanted: shape (M, C), distributions.
        pace: how.
        noise: where noise comes from, and who is part of a step: that must be as secret.

    Returns:
        Each parameter's mean over the second half of the steps.
    """
    watched = GradSampleModule(module, loss_reduction="sum")
    rows, targets = torch.from_numpy(inputs), torch.from_numpy(wanted)
    plain = torch.optim.SGD(module.parameters(), lr=pace.learning_rate, momentum=pace.momentum)
    optimiser = Optimiser(plain, pace, noise, max(pace.sampling * len(rows), 1.0))
    late, means = pace.steps // 2, [torch.zeros_like(part) for part in module.parameters()]
    for step in range(pace.steps):
        chosen = torch.from_numpy(noise.uniform(len(rows)) < pace.sampling)
        optimiser.zero_grad()
        said = watched(rows[chosen].requires_grad_())  # or hooks of torch warn
        functional.cross_entropy(said, targets[chosen], reduction="sum").backward()
        optimiser.step()
        if step >= late:
            for mean, part in zip(means, module.parameters(), strict=True):
                mean += part.detach() / (pace.steps - late)
    watched.remove_hooks()
    return means


def _layer(part: Floats) -> nn.Linear:
    """Without the start that torch would draw from its global generator."""
    sizes = part.shape[1] - 1, part.shape[0]
    made: nn.Linear = skip_init(nn.Linear, *sizes, dtype=torch.float64)
    made.weight.data = torch.from_numpy(part[:, :-1].copy())
    made.bias.data = torch.from_numpy(part[:, -1].copy())
    return made
