"""Bags of words under an estimator of scikit-learn; needs the optional extra `sklearn`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar, Literal, final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from typing_extensions import override

from clients.refinements import Lesson, Plan
from clients.teachers import FittedTeacher, Teacher
from common.arrays import Floats, Ints
from common.component import component
from common.encoders import Encoder
from common.failures import ConfigError, DataError

if TYPE_CHECKING:
    from clients.teachers._sklearn import Fitted

_STATE = {"vocabulary", "idf", "data", "indices", "indptr", "labels", "seed", "num_labels"}
_REFINED = _STATE | {"rows", "weights"}


@final
@component
class Sklearn(Teacher):
    """Counted words under any classifier of scikit-learn that has ``predict_proba``.

    What is stored is not the estimator, for that would be a pickle, which runs code when it is
    opened, but what it follows from: the client's own texts as counted words, and a seed. On
    loading it is fitted again, on one thread, to the same bits. The words never leave the
    store, in which the texts themselves lie as well.

    A shard of one label, without a word, or too small for the estimator (which cannot be fitted
    to it, but could be to a larger one) gives the frequencies of its labels, and an empty one all
    labels alike; so does a text to which the estimator has no answer that is a distribution. The
    client's own log says where an estimator failed.

    Labels that the shard lacks, and rows that an estimator is too sure of, get ``floor``:
    ``p' = (1 - C floor) p + floor``.

    A refined one is fitted anew, to the client's texts and the shared ones together: a shared
    text stands there once for every label, weighted by the consensus and by ``share`` of the
    refinement. So it depends on the last consensus, and not on the teacher before. The estimator
    must take weights of examples.

    Attributes:
        estimator: a short name (``logistic_regression``, ``multinomial_nb``,
            ``complement_nb``, ``k_neighbours``, ``random_forest``, ``extra_trees``,
            ``gradient_boosting``, ``perceptron``), or module and class within scikit-learn,
            as ``naive_bayes.BernoulliNB``.
        settings: of the estimator, by scikit-learn's own names. A table with the key ``estimator``
            is another estimator, with ``settings`` of its own; a list of such tables are
            several, each with a ``name`` if it is to have one: steps of ``pipeline.Pipeline``,
            voters of ``ensemble.VotingClassifier``. What is put together so is tried out when the
            experiment is read.
        weights: ``tfidf`` (rows of length 1), ``counts`` or ``binary``.
        ngrams: runs of up to so many words count as words, too.
        max_words: the most frequent words that are kept.
        min_texts: texts in which a word must occur to be kept.
        floor: the least probability of any label; C times it must be less than 1.
    """

    reads: ClassVar[Literal["features", "texts"]] = "texts"
    refines: ClassVar[bool] = True

    estimator: str = "logistic_regression"
    settings: dict[str, Any] = Field(default_factory=dict)
    weights: Literal["tfidf", "counts", "binary"] = "tfidf"
    ngrams: int = Field(default=2, ge=1, le=5)
    max_words: int = Field(default=20000, ge=1)
    min_texts: int = Field(default=1, ge=1)
    floor: float = Field(default=1e-4, gt=0, lt=0.01)

    @override
    def fit(
        self,
        inputs: Sequence[str],
        labels: Ints,
        num_labels: int,
        rng: np.random.Generator,
        progress: Callable[[int, int], None] | None = None,
    ) -> FittedTeacher:
        # Function level: whoever only reads a configuration need not import sklearn.
        from clients.teachers._sklearn import examples

        self._installed()
        state = examples(self, inputs, labels, int(rng.integers(2**63)))
        return _FittedSklearn(self, state | {"num_labels": np.array([num_labels])}, num_labels)

    @override
    def refine(
        self,
        fitted: FittedTeacher,
        lesson: Lesson,
        plan: Plan,
        rng: np.random.Generator,
        progress: Callable[[int, int], None] | None = None,
    ) -> FittedTeacher:
        from clients.teachers._sklearn import weighted_examples

        self._installed()
        num_labels = lesson.consensus.shape[1]
        state = weighted_examples(self, lesson, plan, int(rng.integers(2**63)))
        return _FittedSklearn(self, state | {"num_labels": np.array([num_labels])}, num_labels)

    @override
    def check_refinable(self) -> None:
        self._installed()
        from clients.teachers._estimators import check_weights

        check_weights(self.estimator, self.settings)

    @override
    def restore(self, tensors: dict[str, NDArray[Any]], num_labels: int) -> FittedTeacher:
        known = tensors.keys() in (_STATE, _REFINED)
        if not known or tensors["num_labels"].tolist() != [num_labels]:
            raise DataError(f"the stored teacher is no sklearn one for {num_labels} labels")
        return _FittedSklearn(self, tensors, num_labels)

    @override
    def resolved(self, encoder: Encoder) -> Teacher:
        self._installed()
        from clients.teachers._estimators import check

        check(self.estimator, self.settings)
        return self

    def _installed(self) -> None:
        if find_spec("sklearn") is None:
            raise ConfigError(
                "teacher 'sklearn' needs scikit-learn; write pip install 'fedknot[sklearn]'"
            )


@final
@dataclass(frozen=True, eq=False)
class _FittedSklearn(FittedTeacher):
    recipe: Sklearn
    state: dict[str, NDArray[Any]]
    num_labels: int

    @override
    def predict(self, inputs: Sequence[str]) -> Floats:
        floor, probs = self.recipe.floor, self._fitted.predict(inputs, self.num_labels)
        lifted = (1 - self.num_labels * floor) * probs + floor
        return np.asarray(lifted, dtype=np.float32)

    @override
    def remark(self) -> str:
        told = self._fitted.remark
        return told and f"{told}; the frequencies of its labels are answered instead"

    @override
    def tensors(self) -> dict[str, NDArray[Any]]:
        return dict(self.state)

    @cached_property
    def _fitted(self) -> "Fitted":
        from clients.teachers._sklearn import Fitted

        return Fitted(self.recipe, self.state)
