"""Estimators of scikit-learn on shards that are too small for them. Imports sklearn."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from sklearn.base import clone
from threadpoolctl import threadpool_limits

from common.arrays import Floats, Ints
from common.seeds import stream

_FAILURES = (ValueError, IndexError)
"""What estimators raise where rows or labels are too few; numpy's LinAlgError is a ValueError."""
_PLENTY = 40
"""Examples of each label that are enough for any estimator with sensible settings."""
_COLUMNS = (8, 256)
"""Words of a large sample: few, or enough for whoever reduces them to some dozens first."""
_ROUNDING = 1e-6
_LABELS = 3


class TooSmall(Exception):
    """The shard is too small for the estimator; says which error that was."""


def fit(estimator: Any, inputs: Any, labels: Ints, num_labels: int, **more: Any) -> None:
    """Fit an estimator.

    Args:
        estimator: untrained.
        inputs: shape (M, D), a sparse matrix or an array.
        labels: shape (M,).
        num_labels: C.
        more: passed on to its ``fit``.

    Raises:
        TooSmall: it cannot be fitted to this shard, but could be to a larger one.
        ValueError, IndexError: it cannot be fitted to a large and simple sample either, so the
            settings are at fault and not the shard.
    """
    with _quiet():
        try:
            estimator.fit(inputs, labels, **more)
        except _FAILURES as error:
            if _fits(estimator, num_labels) is not None:
                raise
            raise TooSmall(type(error).__name__) from error


def misfit(estimator: Any) -> str:
    """Why an estimator cannot be fitted to any sample, or answers none, in one line; or empty."""
    with _quiet():
        found = _fits(estimator, _LABELS)
    return "" if found is None else " ".join(str(found).split())


def _fits(estimator: Any, num_labels: int) -> Exception | None:
    """None if some large and simple sample can be fitted and answered; or the first error."""
    errors = []
    for columns in _COLUMNS:
        counts, labels = _sample(num_labels, columns)
        try:
            clone(estimator).fit(counts, labels).predict_proba(counts[:2])
        except (*_FAILURES, TypeError, AttributeError) as error:
            errors.append(error)
        else:
            return None
    return errors[0]


def said(estimator: Any, inputs: Any, otherwise: Floats) -> tuple[Floats, int]:
    """What a fitted estimator makes of texts, each on its own: none spoils another's answer.

    Args:
        estimator: fitted.
        inputs: shape (N, D), a sparse matrix or an array.
        otherwise: shape (C,); the answer where the estimator has none that is a distribution.

    Returns:
        Shape (N, C); and how many texts are answered ``otherwise``.
    """
    with _quiet():
        rows = _rows(estimator, inputs)
    probs = np.tile(otherwise, (len(rows), 1))
    good = (rows >= 0).all(axis=1) & (np.abs(rows.sum(axis=1) - 1) <= _ROUNDING)  # no NaN is
    probs[good] = 0
    probs[np.ix_(good, estimator.classes_)] = rows[good]
    return probs, int((~good).sum())


def _rows(estimator: Any, inputs: Any) -> Floats:
    """Shape (N, labels of the shard); NaN where the estimator fails."""
    try:
        return np.asarray(estimator.predict_proba(inputs), np.float64)
    except _FAILURES:
        if inputs.shape[0] > 1:
            return np.concatenate(
                [_rows(estimator, inputs[i : i + 1]) for i in range(inputs.shape[0])]
            )
        return np.full((1, len(estimator.classes_)), np.nan)


def _sample(num_labels: int, columns: int) -> tuple[Floats, Ints]:
    """Counted words, some of them more frequent where the label is higher."""
    labels = np.tile(np.arange(num_labels), _PLENTY)
    rates = 1 + np.outer(labels, np.arange(columns)) / columns
    counts = stream(0, "sample").poisson(rates).astype(np.float64)
    return counts, labels


@contextmanager
def _quiet() -> Iterator[None]:
    """One thread, and no warnings: what an estimator thinks of a small shard nobody can mend."""
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
