"""The sentence encoder of the run, its last layers trained on the client's own texts."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from typing_extensions import override

from clients.refinements import Lesson, Plan
from clients.teachers import FittedTeacher, Teacher
from clients.teachers._naming import OF_THE_RUN, fixed
from common.arrays import Ints
from common.component import component
from common.encoders import Encoder
from common.failures import ConfigError

if TYPE_CHECKING:
    from clients.teachers._network import Network


@final
@component
class FineTuned(Teacher):
    """A language model whose last layers learn, the mean over its tokens, and a linear head.

    The model starts as the run's own encoder; only what has changed is stored. Training goes
    through the whole model, so this takes minutes where ``frozen_mlp`` takes a second: some
    80 texts a second for one layer of MiniLM, 40 for all six.

    Attributes:
        model: ``encoder`` for the run's own, or as in the encoder ``sentence``: ``minilm``, a
            Hugging Face name, a folder with a saved model and fast tokenizer.
        layers: how many of the last layers learn beside the head; ``all`` for the whole model.
        max_tokens: tokens of a text that are read, the special ones included.
        learning_rate: peak; it rises over a tenth of the steps, then falls to zero. A new head
            learns ten times as fast.
        weight_decay: of AdamW.
        batch_size: examples per step, B.
        epochs: passes over the shard.
        min_steps: steps that even a small shard is trained for.

    Reference: Howard and Ruder, *ULMFiT*, ACL 2018 (unfreezing from the top); Devlin et al.,
    *BERT*, NAACL 2019, section 4.
    """

    reads: ClassVar[Literal["features", "texts"]] = "texts"
    refines: ClassVar[bool] = True
    embeds: ClassVar[bool] = True

    model: str = OF_THE_RUN
    layers: int | Literal["all"] = 1
    max_tokens: int = Field(default=64, ge=4, le=8192)
    learning_rate: float = Field(default=2e-4, gt=0)
    weight_decay: float = Field(default=0.01, ge=0)
    batch_size: int = Field(default=16, ge=1)
    epochs: int = Field(default=2, ge=1)
    min_steps: int = Field(default=60, ge=1)

    def __post_init__(self) -> None:
        if self.layers != "all" and self.layers < 0:
            raise ConfigError("fine_tuned: layers must be at least 0 or 'all'; write layers = 1")

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

        return restore(self._network(num_labels), tensors, "fine_tuned")

    @override
    def resolved(self, encoder: Encoder) -> Teacher:
        return replace(self, model=fixed(self.model, encoder, "fine_tuned"))

    def _network(self, num_labels: int) -> "Network":
        # Function level: whoever only reads a configuration need not import torch.
        from clients.teachers._models import fine_tuned

        return fine_tuned(self.model, self.layers, self.max_tokens, num_labels)
