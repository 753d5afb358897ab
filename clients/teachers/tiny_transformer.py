"""A small transformer trained from scratch on the client's own texts."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from typing_extensions import override

from clients.refinements import Lesson, Plan
from clients.teachers import FittedTeacher, Teacher
from common.arrays import Ints
from common.component import component
from common.failures import ConfigError

if TYPE_CHECKING:
    from clients.teachers._network import Network


@final
@component
class TinyTransformer(Teacher):
    """Two layers of width 128 with two heads, the shape of KNOT's teachers, from scratch.

    Words are hashed into rows of the embedding table. So there is no vocabulary: none that
    would have to be kept private, none that would have to be agreed on, and words that only
    this client uses are learned as well, which a vocabulary of the public transfer set would
    not hold; some words share a row. Words are read up to ``max_tokens``, one of which is a
    start, and their mean goes to a linear head.

    Attributes:
        layers: of the transformer.
        width: of its vectors; a multiple of ``heads``.
        heads: of the attention.
        buckets: rows of the embedding table.
        max_tokens: words of a text that are read.
        learning_rate: peak; it rises over a tenth of the steps, then falls to zero.
        weight_decay: of AdamW.
        batch_size: examples per step, B.
        epochs: passes over the shard.
        min_steps: steps that even a small shard is trained for.

    Reference: Bhardwaj, Vaidya, Poria. *KNOT*, COLING 2022, section 4 (its teachers are
    pretrained ones of this shape); Turc et al., *Well-Read Students Learn Better*, 2019.
    """

    reads: ClassVar[Literal["features", "texts"]] = "texts"
    refines: ClassVar[bool] = True
    embeds: ClassVar[bool] = True

    layers: int = Field(default=2, ge=1, le=24)
    width: int = Field(default=128, ge=2, le=4096)
    heads: int = Field(default=2, ge=1, le=64)
    buckets: int = Field(default=4096, ge=16, le=1 << 20)
    max_tokens: int = Field(default=64, ge=2, le=8192)
    learning_rate: float = Field(default=5e-4, gt=0)
    weight_decay: float = Field(default=0.01, ge=0)
    batch_size: int = Field(default=32, ge=1)
    epochs: int = Field(default=10, ge=1)
    min_steps: int = Field(default=60, ge=1)

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise ConfigError(
                f"tiny_transformer: {self.heads} heads cannot share a width of {self.width}; "
                f"write width = {self.heads * max(1, self.width // self.heads)}"
            )

    @override
    def fit(
        self,
        inputs: Sequence[str],
        labels: Ints,
        num_labels: int,
        rng: np.random.Generator,
        progress: Callable[[int, int], None] | None = None,
    ) -> FittedTeacher:
        from clients.teachers._network import fit

        return fit(self._network(num_labels), self, inputs, labels, rng, progress)

    @override
    def refine(
        self,
        fitted: FittedTeacher,
        lesson: Lesson,
        plan: Plan,
        rng: np.random.Generator,
        progress: Callable[[int, int], None] | None = None,
    ) -> FittedTeacher:
        from clients.teachers._network import refine

        return refine(self._network(len(lesson.consensus[0])), self, fitted, lesson, plan, rng)

    @override
    def restore(self, tensors: dict[str, NDArray[Any]], num_labels: int) -> FittedTeacher:
        from clients.teachers._network import restore

        return restore(self._network(num_labels), tensors, "tiny_transformer")

    def _network(self, num_labels: int) -> "Network":
        # Function level: whoever only reads a configuration need not import torch.
        from clients.teachers._tiny import network

        shape = (self.layers, self.width, self.heads, self.buckets)
        return network(shape, self.max_tokens, num_labels)
