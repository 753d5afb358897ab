"""Multinomial logistic regression on the features of a frozen encoder."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from typing_extensions import override

from clients.refinements import Lesson, Plan
from clients.teachers import FittedTeacher, Teacher
from common.arrays import Floats, Ints
from common.component import component
from common.failures import DataError


@final
@component
class FrozenLinear(Teacher):
    """One linear layer on frozen features: a convex problem, solved and not merely trained on.

    Cross-entropy of the M examples, summed, plus ``penalty / 2`` times the sum of squared
    weights, biases included. The penalty gives labels that the shard lacks a finite score, so
    no label is ever impossible; without examples all labels are equally likely.

    A refined one solves one problem for both sources: to the sum is added the cross-entropy of
    the consensus on the N shared texts, times ``share`` of the refinement. So it depends on the
    last consensus, and not on the teacher before.

    Attributes:
        penalty: strength of the pull towards zero; the larger, the less certain.
    """

    refines: ClassVar[bool] = True
    embeds: ClassVar[bool] = True

    penalty: float = Field(default=10.0, gt=0)

    @override
    def fit(
        self,
        inputs: Floats,
        labels: Ints,
        num_labels: int,
        rng: np.random.Generator,
        progress: Callable[[int, int], None] | None = None,
    ) -> FittedTeacher:
        # Function level: whoever only reads a configuration need not import torch.
        from clients.teachers._linear import solve

        return _FittedLinear(solve(inputs, labels, num_labels, self.penalty))

    @override
    def refine(
        self,
        fitted: FittedTeacher,
        lesson: Lesson,
        plan: Plan,
        rng: np.random.Generator,
        progress: Callable[[int, int], None] | None = None,
    ) -> FittedTeacher:
        from clients.teachers._linear import solve_jointly

        return _FittedLinear(solve_jointly(lesson, plan, self.penalty))

    @override
    def restore(self, tensors: dict[str, NDArray[Any]], num_labels: int) -> FittedTeacher:
        shapes = {name: (tensor.ndim, len(tensor)) for name, tensor in tensors.items()}
        if shapes != {"weights": (2, num_labels)}:
            raise DataError(f"the stored teacher is no frozen_linear for {num_labels} labels")
        return _FittedLinear(tensors["weights"])


@final
@dataclass(frozen=True, eq=False)
class _FittedLinear(FittedTeacher):
    weights: NDArray[Any]

    @override
    def predict(self, inputs: Floats) -> Floats:
        from clients.teachers._linear import probabilities

        return probabilities(self.weights, inputs)

    @override
    def embed(self, inputs: Floats) -> Floats:
        return inputs

    @override
    def head(self) -> Floats:
        return self.weights[:, :-1]

    @override
    def tensors(self) -> dict[str, NDArray[Any]]:
        return {"weights": self.weights}
