"""What one client does in one round of federated averaging: some epochs on its own shard."""

import math
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from common.component import component
from common.failures import ConfigError


@component
class Pace:
    """How a federation that averages parameters learns.

    Chosen once, on the validation slice of the shipped ``quickstart`` (seed 7), and never on
    test rows; see ``docs/algorithms/yardsticks.md``.

    Attributes:
        rounds: R, how often parameters go down and come up.
        local_epochs: E, passes of a client over its shard in one round.
        batch_size: B, the largest number of examples per step; an epoch's batches differ by
            at most 1.
        optimiser: of the clients; each begins every round without a memory of the last.
        learning_rate: step size, the same throughout.
        weight_decay: of ``adamw``, decoupled from the gradient; no effect on ``sgd``.
        fraction: C, share of the clients that are asked in a round, rounded down; at least one.
    """

    rounds: int = Field(default=20, ge=1)
    local_epochs: int = Field(default=1, ge=1)
    batch_size: int = Field(default=64, ge=1)
    optimiser: Literal["sgd", "adamw"] = "sgd"
    learning_rate: float = Field(default=0.03, gt=0)
    weight_decay: float = Field(default=0.01, ge=0)
    fraction: float = Field(default=1.0, gt=0, le=1)


def train(
    model: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    pace: Pace,
    mu: float,
    rng: np.random.Generator,
) -> float:
    """Train ``model`` in place on ``F(w) + mu/2 ||w - w_t||^2``, w_t the weights it comes with.

    F is the mean cross entropy. With ``mu = 0`` it is ClientUpdate of McMahan et al., AISTATS
    2017, algorithm 1; otherwise the local problem of Li et al., MLSys 2020, equation 2. Their
    client may stop anywhere on the way to the optimum; ours stops after E epochs. The term's
    gradient ``mu (w - w_t)`` is added by hand. Under ``adamw`` it is scaled as the rest is.

    Args:
        model: maps (B, D) to log-probabilities (B, C); left in evaluation mode.
        inputs: shape (M, D), M > 0.
        labels: shape (M,), int64.
        pace: how long and how fast.
        mu: weight of the proximal term.
        rng: draws the batches and whatever the model draws, such as dropout.

    Returns:
        Mean of F over the steps.

    Raises:
        ConfigError: training diverged.
    """
    parameters = [p for p in model.parameters() if p.requires_grad]
    starts = [p.detach().clone() for p in parameters]
    optimiser = _optimiser(parameters, pace)
    values = []
    model.train()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(rng.integers(2**63)))
        for _ in range(pace.local_epochs):
            for rows in _batches(len(labels), pace.batch_size, rng):
                optimiser.zero_grad()
                value = functional.nll_loss(model(inputs[rows]), labels[rows])
                value.backward()
                _hold(parameters, starts, mu)
                optimiser.step()
                values.append(_finite(value.item()))
    model.eval()
    return float(np.mean(values))


def _optimiser(parameters: list[nn.Parameter], pace: Pace) -> torch.optim.Optimizer:
    if pace.optimiser == "sgd":
        return torch.optim.SGD(parameters, lr=pace.learning_rate)
    return torch.optim.AdamW(
        parameters, lr=pace.learning_rate, weight_decay=pace.weight_decay, fused=True
    )


def _hold(parameters: list[nn.Parameter], starts: list[Tensor], mu: float) -> None:
    """Add the gradient of the proximal term."""
    for parameter, start in zip(parameters, starts, strict=True):
        if parameter.grad is not None:
            parameter.grad.add_(parameter.detach() - start, alpha=mu)


def _batches(size: int, batch_size: int, rng: np.random.Generator) -> tuple[Tensor, ...]:
    """One epoch in a new order, cut into batches of almost one size."""
    order = torch.from_numpy(rng.permutation(size))
    return order.tensor_split(math.ceil(size / batch_size))


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ConfigError("pace: local training diverged; write a smaller learning_rate")
    return value
