"""Learning from what the server says back: the loss, and ``frozen_mlp``. Imports torch."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from clients.refinements import Lesson, Plan, Stage, softened
from clients.teachers._training import batches, initial, scores
from common.arrays import Floats, Ints

if TYPE_CHECKING:
    from clients.teachers.frozen_mlp import FrozenMlp

Loss = Callable[[Tensor, Tensor], Tensor]
"""From scores (B, C) and the rows (B,) they are of to one number."""


def digesting(consensus: Floats, temperature: float) -> Loss:
    r"""Mean over rows of ``-t^2 sum_c p_c log softmax(z / t)_c`` with ``p`` softened by ``t``, too.

    Its gradient with respect to z is ``t (softmax(z / t) - p)`` for every row, over B.

    Args:
        consensus: shape (N, C), rows sum to 1.
        temperature: t; ``p`` is the consensus to the power 1 / t, scaled to sum 1.

    Reference: Hinton, Vinyals, Dean. *Distilling the Knowledge in a Neural Network*, 2015.
    """
    targets = torch.tensor(softened(consensus, temperature), dtype=torch.float32)

    def loss(said: Tensor, rows: Tensor) -> Tensor:
        return temperature**2 * functional.cross_entropy(said / temperature, targets[rows])

    return loss


def revisiting(labels: Ints) -> Loss:
    """Mean cross-entropy of the private labels (M,)."""
    targets = torch.from_numpy(labels.astype(np.int64))

    def loss(said: Tensor, rows: Tensor) -> Tensor:
        return functional.cross_entropy(said, targets[rows])

    return loss


def courses(lesson: Lesson, plan: Plan) -> list[tuple[Stage, Any, Loss]]:
    """The stages in which anything is learned: how, from which inputs, with which loss."""
    made: list[tuple[Stage, Any, Loss]] = [
        (plan.digest, lesson.shared, digesting(lesson.consensus, plan.temperature)),
        (plan.revisit, lesson.private, revisiting(lesson.labels)),
    ]
    return [course for course in made if course[0].epochs > 0 and len(course[1])]


def refined(
    recipe: "FrozenMlp",
    parameters: dict[str, NDArray[Any]],
    lesson: Lesson,
    plan: Plan,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, NDArray[Any]]:
    """The network after digest and revisit, each by AdamW at a constant rate.

    A network that never saw an example, all zeros, could not learn; it sets out anew.
    """
    generator = torch.Generator().manual_seed(seed)
    net = {name: torch.tensor(value, requires_grad=True) for name, value in parameters.items()}
    if not any(value.any() for value in parameters.values()):
        hidden, width = parameters["hidden.weight"].shape
        net = initial(width, hidden, len(parameters["output.bias"]), generator)
    stages = courses(lesson, plan)
    done, total = 0, sum(steps_of(stage, len(inputs), recipe) for stage, inputs, _ in stages)
    for stage, inputs, loss in stages:
        rows = torch.tensor(inputs, dtype=torch.float32)
        size, steps = stage.batch_size or recipe.batch_size, steps_of(stage, len(inputs), recipe)
        rate = stage.learning_rate or recipe.learning_rate
        optimiser = torch.optim.AdamW(
            net.values(), rate, weight_decay=recipe.weight_decay, fused=True
        )
        for chosen in batches(len(rows), size, steps, generator):
            optimiser.zero_grad()
            loss(scores(recipe, net, rows[chosen], generator), chosen).backward()
            optimiser.step()
        done += steps
        if progress is not None:
            progress(done, total)
    return {name: tensor.detach().numpy() for name, tensor in net.items()}


def steps_of(stage: Stage, rows: int, recipe: Any) -> int:
    """Steps of a stage: all its passes over the rows; there is no least number of steps."""
    return stage.epochs * math.ceil(rows / (stage.batch_size or recipe.batch_size))
