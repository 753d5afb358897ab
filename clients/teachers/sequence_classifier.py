"""Any published model for sequence classification, with its own tokenizer."""

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

if TYPE_CHECKING:
    from clients.teachers._network import Network


@final
@component
class SequenceClassifier(Teacher):
    """Whatever ``AutoModelForSequenceClassification`` loads, trained further or as it is.

    A model that has another number of labels, or no head at all, gets a new head and must be
    trained. Taken as it is, its labels must be the data set's, in the same order, which no
    program can check. All of it is stored for every client once it is trained.

    Attributes:
        model: a Hugging Face name or a folder with a saved model and fast tokenizer;
            ``minilm``, or ``encoder`` for the run's own, get a new head.
        fine_tune: whether it is trained on the client's texts; if not, the texts are not read.
        max_tokens: tokens of a text that are read, the special ones included.
        learning_rate: peak; it rises over a tenth of the steps, then falls to zero. A new head
            learns ten times as fast.
        weight_decay: of AdamW.
        batch_size: examples per step, B.
        epochs: passes over the shard.
        min_steps: steps that even a small shard is trained for.

    Reference: Devlin et al., *BERT*, NAACL 2019, section 4.1.
    """

    reads: ClassVar[Literal["features", "texts"]] = "texts"
    refines: ClassVar[bool] = True
    embeds: ClassVar[bool] = True

    model: str = OF_THE_RUN
    fine_tune: bool = True
    max_tokens: int = Field(default=64, ge=4, le=8192)
    learning_rate: float = Field(default=5e-5, gt=0)
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

        return restore(self._network(num_labels), tensors, "sequence_classifier")

    @override
    def resolved(self, encoder: Encoder) -> Teacher:
        return replace(self, model=fixed(self.model, encoder, "sequence_classifier"))

    def _network(self, num_labels: int) -> "Network":
        # Function level: whoever only reads a configuration need not import torch.
        from clients.teachers._models import classifier

        return classifier(self.model, self.fine_tune, self.max_tokens, num_labels)
