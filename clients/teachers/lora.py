"""Low-rank adapters in the run's sentence encoder; needs the optional extra `lora`."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.util import find_spec
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
class Lora(Teacher):
    """A frozen language model whose attention gets small matrices that learn, and a head.

    To every chosen linear layer W is added ``(alpha / rank) B A`` with A of shape (rank, in)
    and B, zero at first, of shape (out, rank). Some hundred kilobytes are stored per client.

    Attributes:
        model: ``encoder`` for the run's own, or as in the encoder ``sentence``: ``minilm``, a
            Hugging Face name, a folder with a saved model and fast tokenizer.
        rank: of the adapters.
        alpha: how strong they are; the factor is ``alpha / rank``.
        dropout: share of an adapter's inputs that is silenced in a step.
        targets: ends of the names of the layers that are adapted; those of BERT by default.
        max_tokens: tokens of a text that are read, the special ones included.
        learning_rate: peak; it rises over a tenth of the steps, then falls to zero. A new head
            learns ten times as fast.
        weight_decay: of AdamW.
        batch_size: examples per step, B.
        epochs: passes over the shard.
        min_steps: steps that even a small shard is trained for.

    Reference: Hu et al., *LoRA: Low-Rank Adaptation of Large Language Models*, ICLR 2022,
    section 4.1.
    """

    reads: ClassVar[Literal["features", "texts"]] = "texts"
    refines: ClassVar[bool] = True
    embeds: ClassVar[bool] = True

    model: str = OF_THE_RUN
    rank: int = Field(default=8, ge=1, le=1024)
    alpha: float = Field(default=16.0, gt=0)
    dropout: float = Field(default=0.05, ge=0, lt=1)
    targets: tuple[str, ...] = ("query", "value")
    max_tokens: int = Field(default=64, ge=4, le=8192)
    learning_rate: float = Field(default=1e-3, gt=0)
    weight_decay: float = Field(default=0.01, ge=0)
    batch_size: int = Field(default=16, ge=1)
    epochs: int = Field(default=2, ge=1)
    min_steps: int = Field(default=60, ge=1)

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

        return restore(self._network(num_labels), tensors, "lora")

    @override
    def resolved(self, encoder: Encoder) -> Teacher:
        _installed()
        return replace(self, model=fixed(self.model, encoder, "lora"))

    def _network(self, num_labels: int) -> "Network":
        # Function level: whoever only reads a configuration need not import torch.
        from clients.teachers._models import adapted

        _installed()
        settings = {
            "r": self.rank,
            "lora_alpha": self.alpha,
            "lora_dropout": self.dropout,
            "target_modules": self.targets,
        }
        return adapted(self.model, settings, self.max_tokens, num_labels)


def _installed() -> None:
    if find_spec("peft") is None:
        raise ConfigError("teacher 'lora' needs peft; write pip install 'fedknot[lora]'")
