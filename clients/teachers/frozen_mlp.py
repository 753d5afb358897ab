"""A small network on the features of a frozen encoder."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from typing_extensions import override

from clients.refinements import Lesson, Plan
from clients.teachers import FittedTeacher, Shard, Teacher
from common.arrays import Floats, Ints
from common.component import component
from common.failures import DataError

_SHAPES = {"hidden.weight": 2, "hidden.bias": 1, "output.weight": 2, "output.bias": 1}


@final
@component
class FrozenMlp(Teacher):
    """One hidden layer on frozen features, trained on hard labels; the encoder never moves.

    Cross-entropy under AdamW (Loshchilov and Hutter, ICLR 2019) with a one-cycle learning
    rate (Smith and Topin 2018); dropout on the hidden units (Srivastava et al., JMLR 2014).

    Attributes:
        hidden: hidden units.
        activation: of the hidden units.
        dropout: share of hidden units that are silenced in a step.
        learning_rate: peak of the one-cycle schedule.
        weight_decay: of AdamW.
        batch_size: examples per step, B.
        epochs: passes over the shard.
        min_steps: steps that even a small shard is trained for; fewer leave a teacher
            under-confident.
    """

    refines: ClassVar[bool] = True
    embeds: ClassVar[bool] = True
    stacks: ClassVar[bool] = True

    hidden: int = Field(default=64, ge=1)
    activation: Literal["relu", "gelu"] = "relu"
    dropout: float = Field(default=0.2, ge=0, lt=1)
    learning_rate: float = Field(default=1e-3, gt=0)
    weight_decay: float = Field(default=0.01, ge=0)
    batch_size: int = Field(default=64, ge=1)
    epochs: int = Field(default=12, ge=1)
    min_steps: int = Field(default=200, ge=1)

    @override
    def fit(
        self,
        inputs: Floats,
        labels: Ints,
        num_labels: int,
        rng: np.random.Generator,
        progress: Callable[[int, int], None] | None = None,
    ) -> FittedTeacher:
        if len(labels) == 0:
            return _FittedMlp(self._empty(inputs.shape[1], num_labels), self.activation)
        # Function level: whoever only reads a configuration need not import torch.
        from clients.teachers._training import train

        seed = int(rng.integers(2**63))
        return _FittedMlp(train(self, inputs, labels, num_labels, seed, progress), self.activation)

    @override
    def fit_together(self, shards: Sequence[Shard], num_labels: int) -> list[FittedTeacher]:
        from clients.teachers._stacked import Examples, train_stacked

        full = {k: shard for k, shard in enumerate(shards) if len(shard.labels)}
        examples = [Examples(*shard[:2], int(shard.rng.integers(2**63))) for shard in full.values()]
        nets = dict(zip(full, train_stacked(self, examples, num_labels), strict=True))
        return [
            _FittedMlp(
                nets[k] if k in nets else self._empty(shard.inputs.shape[1], num_labels),
                self.activation,
            )
            for k, shard in enumerate(shards)
        ]

    @override
    def restore(self, tensors: dict[str, NDArray[Any]], num_labels: int) -> FittedTeacher:
        shapes = {name: tensor.ndim for name, tensor in tensors.items()}
        if shapes != _SHAPES or tensors["output.bias"].shape != (num_labels,):
            raise DataError(f"the stored teacher is no frozen_mlp for {num_labels} labels")
        return _FittedMlp(tensors, self.activation)

    @override
    def refine(
        self,
        fitted: FittedTeacher,
        lesson: Lesson,
        plan: Plan,
        rng: np.random.Generator,
        progress: Callable[[int, int], None] | None = None,
    ) -> FittedTeacher:
        from clients.teachers._refining import refined

        seed = int(rng.integers(2**63))
        made = refined(self, fitted.tensors(), lesson, plan, seed, progress)
        return _FittedMlp(made, self.activation)

    def _empty(self, width: int, num_labels: int) -> dict[str, NDArray[Any]]:
        """Zeros: without an example every label is as likely as any other."""
        shapes = [(self.hidden, width), (self.hidden,), (num_labels, self.hidden), (num_labels,)]
        return {n: np.zeros(s, np.float32) for n, s in zip(_SHAPES, shapes, strict=True)}


@final
@dataclass(frozen=True, eq=False)
class _FittedMlp(FittedTeacher):
    parameters: dict[str, NDArray[Any]]
    activation: Literal["relu", "gelu"]

    @override
    def predict(self, inputs: Floats) -> Floats:
        from clients.teachers._training import probabilities

        return probabilities(self.parameters, inputs, self.activation)

    @override
    def embed(self, inputs: Floats) -> Floats:
        from clients.teachers._training import embeddings

        return embeddings(self.parameters, inputs, self.activation)

    @override
    def head(self) -> Floats:
        return self.parameters["output.weight"]

    @override
    def tensors(self) -> dict[str, NDArray[Any]]:
        return dict(self.parameters)
