"""The Bayes rule of the synthetic texts: a teacher that cannot be beaten, for tests and bounds."""

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
from common.ordinal_words import MOST_WORDS, OrdinalWords


@final
@component
class Oracle(Teacher):
    """The exact posterior of the ``synthetic`` data set; it knows the rule and reads no shard.

    For tests and for the question what a student makes of perfect teachers. The settings are
    those of the data set and must agree with it, or the oracle is merely wrong. Words that
    the data set cannot utter say nothing; a text of such words gets the share of each label.

    Attributes:
        vocabulary: V, as in the data set.
        separation: as in the data set.
        skew: as in the data set.
    """

    reads: ClassVar[Literal["features", "texts"]] = "texts"
    learns: ClassVar[bool] = False

    vocabulary: int = Field(default=200, ge=2, le=MOST_WORDS)
    separation: float = Field(default=0.6, gt=0, le=100)
    skew: float = Field(default=1.0, ge=0, le=100)

    @override
    def fit(
        self,
        inputs: Sequence[str],
        labels: Ints,
        num_labels: int,
        rng: np.random.Generator,
        progress: Callable[[int, int], None] | None = None,
    ) -> FittedTeacher:
        return self._rule(num_labels)

    @override
    def restore(self, tensors: dict[str, NDArray[Any]], num_labels: int) -> FittedTeacher:
        if tensors.keys() != {"num_labels"} or tensors["num_labels"].tolist() != [num_labels]:
            raise DataError(f"the stored teacher is no oracle for {num_labels} labels")
        return self._rule(num_labels)

    def _rule(self, num_labels: int) -> "_Rule":
        return _Rule(OrdinalWords(num_labels, self.vocabulary, self.separation, self.skew))


@final
@dataclass(frozen=True, eq=False)
class _Rule(FittedTeacher):
    model: OrdinalWords

    @override
    def predict(self, inputs: Sequence[str]) -> Floats:
        return self.model.posterior(inputs).astype(np.float32)

    @override
    def tensors(self) -> dict[str, NDArray[Any]]:
        return {"num_labels": np.array([self.model.num_labels])}
