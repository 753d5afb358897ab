"""How the network of ``frozen_mlp`` is trained and asked. Imports torch."""

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from common.arrays import Floats, Ints

if TYPE_CHECKING:
    from clients.teachers.frozen_mlp import FrozenMlp

_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": functional.relu,
    "gelu": functional.gelu,
}


def train(
    recipe: "FrozenMlp",
    features: Floats,
    labels: Ints,
    num_labels: int,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, NDArray[Any]]:
    """Fit the network to M > 0 examples.

    Args:
        recipe: the hyper-parameters.
        features: shape (M, D).
        labels: shape (M,), in 0..C-1.
        num_labels: C.
        seed: of initial weights, batch order and dropout; the global stream is not touched.
        progress: called with (steps done, all steps) after each pass.

    Returns:
        hidden.weight (H, D), hidden.bias (H,), output.weight (C, H), output.bias (C,),
        float32, for H hidden units.
    """
    generator = torch.Generator().manual_seed(seed)
    inputs, targets = _tensor(features), torch.from_numpy(labels.astype(np.int64))
    net = initial(features.shape[1], recipe.hidden, num_labels, generator)
    steps, per_pass = num_steps(recipe, len(labels)), math.ceil(len(labels) / recipe.batch_size)
    update = _updates(recipe, net, steps)
    for step, rows in enumerate(batches(len(labels), recipe.batch_size, steps, generator), 1):
        said = scores(recipe, net, inputs[rows], generator)
        update(functional.cross_entropy(said, targets[rows]))
        if progress is not None and (step % per_pass == 0 or step == steps):
            progress(step, steps)
    return {name: tensor.detach().numpy() for name, tensor in net.items()}


def scores(
    recipe: "FrozenMlp", net: dict[str, Tensor], inputs: Tensor, generator: torch.Generator
) -> Tensor:
    """Shape (B, C), in training: hidden units are silenced at random."""
    hidden = _ACTIVATIONS[recipe.activation](_hidden(net, inputs))
    return _output(net, _dropped(hidden, recipe.dropout, generator))


class Pace(Protocol):
    """How long a recipe trains."""

    @property
    def batch_size(self) -> int:
        """Examples per step."""

    @property
    def epochs(self) -> int:
        """Passes over the shard."""

    @property
    def min_steps(self) -> int:
        """Steps that even a small shard is trained for."""


def num_steps(recipe: Pace, examples: int) -> int:
    """Steps for M examples: all passes over them, and never fewer than ``min_steps``."""
    return max(recipe.epochs * math.ceil(examples / recipe.batch_size), recipe.min_steps)


@torch.inference_mode()
def probabilities(parameters: dict[str, NDArray[Any]], features: Floats, activation: str) -> Floats:
    """Softmax of the network's scores: shape (N, C), float32, rows sum to 1."""
    # Copied, because stored arrays may be read-only, which torch cannot express.
    net = {name: torch.tensor(value) for name, value in parameters.items()}
    scores = _output(net, _ACTIVATIONS[activation](_hidden(net, _tensor(features))))
    probs = torch.softmax(scores.double(), dim=1).float().numpy()
    return np.asarray(probs, dtype=np.float32)


@torch.inference_mode()
def embeddings(parameters: dict[str, NDArray[Any]], features: Floats, activation: str) -> Floats:
    """The hidden units after their activation: shape (N, H), float32."""
    net = {name: torch.tensor(value) for name, value in parameters.items()}
    return np.asarray(_ACTIVATIONS[activation](_hidden(net, _tensor(features))).numpy())


def _tensor(features: Floats) -> Tensor:
    return torch.tensor(features, dtype=torch.float32)


def initial(width: int, hidden: int, labels: int, generator: torch.Generator) -> dict[str, Tensor]:
    """Uniform in +-1/sqrt(fan-in), which is what ``torch.nn.Linear`` starts from."""

    def drawn(fan_in: int, *shape: int) -> Tensor:
        bound = 1 / math.sqrt(max(fan_in, 1))
        return torch.empty(shape).uniform_(-bound, bound, generator=generator).requires_grad_()

    return {
        "hidden.weight": drawn(width, hidden, width),
        "hidden.bias": drawn(width, hidden),
        "output.weight": drawn(hidden, labels, hidden),
        "output.bias": drawn(hidden, labels),
    }


def _updates(recipe: "FrozenMlp", net: dict[str, Tensor], steps: int) -> Callable[[Tensor], None]:
    """One step of AdamW down a loss, each at the next learning rate of the cycle."""
    optimiser = torch.optim.AdamW(
        net.values(), recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True
    )
    # One rate more than steps: the schedule is also moved on after the last one.
    rates = torch.optim.lr_scheduler.OneCycleLR(optimiser, recipe.learning_rate, steps + 1)

    def update(loss: Tensor) -> None:
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        rates.step()

    return update


def batches(examples: int, size: int, steps: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Rows of each step: a new order in every pass, for as many steps as asked."""
    done = 0
    while done < steps:
        for rows in torch.randperm(examples, generator=generator).split(size)[: steps - done]:
            yield rows
            done += 1


def _hidden(net: dict[str, Tensor], inputs: Tensor) -> Tensor:
    return functional.linear(inputs, net["hidden.weight"], net["hidden.bias"])


def _output(net: dict[str, Tensor], hidden: Tensor) -> Tensor:
    return functional.linear(hidden, net["output.weight"], net["output.bias"])


def _dropped(hidden: Tensor, rate: float, generator: torch.Generator) -> Tensor:
    """Dropout by hand: torch's own draws from the global stream."""
    kept = torch.rand(hidden.shape, generator=generator) >= rate
    return hidden * kept / (1 - rate)
