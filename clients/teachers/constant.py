"""A teacher that knows only how often each label occurs in its shard."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from typing_extensions import override

from clients.teachers import FittedTeacher, Teacher
from common.arrays import Floats, Ints
from common.component import component
from common.failures import DataError


@final
@component
class Constant(Teacher):
    """The shard's label frequencies, whatever the text: the floor below every other teacher.

    ``p_c = (count_c + smoothing) / (M + C * smoothing)`` (Laplace's rule of succession).

    Attributes:
        smoothing: examples of each label that are added to the shard's.
    """

    reads: ClassVar[Literal["features", "texts"]] = "texts"  # it looks at neither

    smoothing: float = Field(default=1.0, gt=0)

    @override
    def fit(
        self,
        inputs: Sequence[str],
        labels: Ints,
        num_labels: int,
        rng: np.random.Generator,
        progress: Callable[[int, int], None] | None = None,
    ) -> FittedTeacher:
        counts = np.bincount(labels.astype(np.int64), minlength=num_labels) + self.smoothing
        return _FittedConstant((counts / counts.sum()).astype(np.float32))

    @override
    def restore(self, tensors: dict[str, NDArray[Any]], num_labels: int) -> FittedTeacher:
        if tensors.keys() != {"probs"} or tensors["probs"].shape != (num_labels,):
            raise DataError(f"the stored teacher is no constant one for {num_labels} labels")
        return _FittedConstant(tensors["probs"])


@final
@dataclass(frozen=True, eq=False)
class _FittedConstant(FittedTeacher):
    probs: Floats

    @override
    def predict(self, inputs: Sequence[str]) -> Floats:
        return np.tile(self.probs, (len(inputs), 1))

    @override
    def tensors(self) -> dict[str, NDArray[Any]]:
        return {"probs": self.probs}
