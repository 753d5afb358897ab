"""Bags of words and scikit-learn's estimators, as arrays that can be stored. Imports sklearn."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer

from clients.refinements import Lesson, Plan, softened
from clients.teachers import _estimating, _estimators
from common.arrays import Floats, Ints
from common.failures import DataError

if TYPE_CHECKING:
    from clients.teachers.sklearn import Sklearn

State = dict[str, NDArray[Any]]

_WORD = r"(?u)\w+|[^\w\s]"  # as the encoder `hashing` cuts: marks such as ! carry sentiment


def examples(recipe: "Sklearn", texts: Sequence[str], labels: Ints, seed: int) -> State:
    """All that a fit follows from: the shard as counted words, and the seed.

    Returns:
        vocabulary: bytes of a JSON list; idf (V,); the CSR parts of the (M, V) matrix;
        labels (M,); seed (1,).
    """
    vectoriser = _vectoriser(recipe, min_df=recipe.min_texts, max_features=recipe.max_words)
    try:
        matrix = csr_matrix(vectoriser.fit_transform(texts))
        words = [str(word) for word in vectoriser.get_feature_names_out()]
        idf = vectoriser.idf_ if recipe.weights == "tfidf" else np.ones(len(words))
    except ValueError:  # not a word in the whole shard that is frequent enough
        matrix, words, idf = csr_matrix((len(texts), 0)), [], np.ones(0)
    return {
        "vocabulary": np.frombuffer(json.dumps(words).encode(), np.uint8),
        "idf": np.asarray(idf, np.float64),
        "data": np.asarray(matrix.data, np.float64),
        "indices": matrix.indices.astype(np.int64),
        "indptr": matrix.indptr.astype(np.int64),
        "labels": labels.astype(np.int64),
        "seed": np.array([seed], np.int64),
    }


def weighted_examples(recipe: "Sklearn", lesson: Lesson, plan: Plan, seed: int) -> State:
    """All that a refined fit follows from: both kinds of texts, which row stands for what.

    Returns:
        As :func:`examples`, of M private texts and then N shared ones; and beside it, for each
        of R examples, ``rows`` (the text it is about), ``labels`` and ``weights``, each (R,).
    """
    private, labels = list(lesson.private), lesson.labels.astype(np.int64)
    soft = softened(lesson.consensus, plan.temperature)
    texts, said = np.nonzero(soft)
    state = examples(recipe, [*private, *lesson.shared], labels, seed)
    return state | {
        "rows": np.concatenate([np.arange(len(private)), len(private) + texts]).astype(np.int64),
        "labels": np.concatenate([labels, said]).astype(np.int64),
        "weights": np.concatenate([np.ones(len(private)), plan.share * soft[texts, said]]),
    }


class Fitted:
    """The estimator that follows from a state; the same bits whenever and wherever.

    Attributes:
        remark: where label frequencies stand in for the estimator, and why; empty for nowhere.
    """

    def __init__(self, recipe: "Sklearn", state: State) -> None:
        """Fit.

        Raises:
            DataError: the state is none.
            ValueError, IndexError: the settings fit no shard whatever.
        """
        try:
            self._words: list[str] = json.loads(state["vocabulary"].tobytes())
            parts = (state["data"], state["indices"], state["indptr"])
            texts = state["indptr"][1:] if "rows" in state else state["labels"]
            shape = (len(texts), len(self._words))
            self._recipe, self._idf = recipe, state["idf"]
            self._labels, seed = state["labels"], int(state["seed"][0])
            self._weights, matrix = state.get("weights"), csr_matrix(parts, shape=shape)
            if self._weights is not None:
                matrix = matrix[state["rows"]]
        except (KeyError, ValueError, TypeError, IndexError) as error:
            raise DataError("the stored teacher is no sklearn one") from error
        several = len(np.unique(self._labels)) > 1
        self.remark, self._estimator = "", None
        if several and self._words:
            self._fit(matrix, seed, int(state["num_labels"][0]))

    def predict(self, texts: Sequence[str], num_labels: int) -> Floats:
        """Shape (N, C), float64, zero for labels that the shard lacks; rows sum to 1."""
        counts = np.bincount(self._labels, self._weights, minlength=num_labels)
        shares = counts / counts.sum() if counts.any() else np.full(num_labels, 1 / num_labels)
        if self._estimator is None or not len(texts):
            return np.tile(shares, (len(texts), 1))
        inputs = self._dense(self._vectors(texts))
        probs, missed = _estimating.said(self._estimator, inputs, shares)
        if missed:
            self.remark = f"the estimator has no answer to {missed} of {len(texts)} texts"
        return probs

    def _fit(self, matrix: Any, seed: int, num_labels: int) -> None:
        estimator = _estimators.make(self._recipe.estimator, self._recipe.settings)
        _estimators.fix(estimator, seed, matrix.shape[0])
        self._sparse = _estimators.is_sparse(estimator)
        more = {} if self._weights is None else {"sample_weight": self._weights}
        try:
            _estimating.fit(estimator, self._dense(matrix), self._labels, num_labels, **more)
            self._estimator = estimator
        except _estimating.TooSmall as why:
            self.remark = f"the estimator cannot be fitted to this shard ({why})"

    def _vectors(self, texts: Sequence[str]) -> Any:
        numbers = {word: number for number, word in enumerate(self._words)}
        vectoriser = _vectoriser(self._recipe, vocabulary=numbers)
        if self._recipe.weights == "tfidf":
            vectoriser.idf_ = self._idf
        return csr_matrix(vectoriser.transform(texts))

    def _dense(self, matrix: Any) -> Any:
        return matrix if self._sparse else matrix.toarray()


def _vectoriser(recipe: "Sklearn", **more: Any) -> Any:
    shared = {"token_pattern": _WORD, "ngram_range": (1, recipe.ngrams), "dtype": np.float64}
    if recipe.weights == "tfidf":
        return TfidfVectorizer(**shared, **more)
    return CountVectorizer(**shared, **more, binary=recipe.weights == "binary")
