"""From tables, one for the training and perhaps one for the test part, to a corpus."""

from dataclasses import replace

import numpy as np

from common.arrays import Ints
from common.failures import ConfigError
from simulations.datasets import Corpus, Part
from simulations.datasets._columns import Cleaning, Columns, corpus_of
from simulations.datasets._labels import Labels
from simulations.datasets._table import Table


def assembled(
    table: Table,
    test: Table | None,
    *,
    columns: Columns,
    labels: Labels,
    cleaning: Cleaning,
    size: int | None,
    rng: np.random.Generator,
) -> Corpus:
    """The corpus of a table and of a published test part, which it keeps apart.

    Args:
        table: the rows to draw from.
        test: the rows of the test set, or None.
        columns: which column holds what.
        labels: of the texts.
        cleaning: what happens to rows first.
        size: rows that are drawn of ``table`` after cleaning; None for all of them.
        rng: draws them.

    Raises:
        DataError: a column or a cell is not what it should be, or too little is left.
        ConfigError: ``size`` is more than there is.
    """
    made = _drawn(corpus_of(table, columns, labels, cleaning), size, rng)
    if test is None:
        return made
    return _with_test(made, corpus_of(test, columns, labels, cleaning))


def _drawn(corpus: Corpus, size: int | None, rng: np.random.Generator) -> Corpus:
    if size is None:
        return corpus
    if size > len(corpus):
        raise ConfigError(
            f"data.dataset.size = {size}, but there are only {len(corpus)} rows; "
            f"write at most {len(corpus)}"
        )
    rows = np.sort(rng.choice(len(corpus), size, replace=False))
    held, groups = np.unique(corpus.groups[rows], return_inverse=True)
    return replace(
        corpus,
        texts=tuple(corpus.texts[row] for row in rows),
        labels=corpus.labels[rows],
        group_names=tuple(corpus.group_names[group] for group in held),
        groups=groups.astype(np.int64),
        documents=corpus.documents[rows],
        gold=None if corpus.gold is None else corpus.gold[rows],
    )


def _with_test(train: Corpus, test: Corpus) -> Corpus:
    names = tuple(sorted({*train.group_names, *test.group_names}))
    groups = [_renamed(corpus, names) for corpus in (train, test)]
    beyond = int(train.documents.max()) + 1  # numbers of their own: no document spans the parts
    sizes = [len(train), len(test)]
    return replace(
        train,
        texts=train.texts + test.texts,
        labels=np.concatenate([train.labels, test.labels]),
        group_names=names,
        groups=np.concatenate(groups),
        documents=np.concatenate([train.documents, test.documents + beyond]),
        gold=None if train.gold is None or test.gold is None else np.r_[train.gold, test.gold],
        parts=np.repeat(np.array([Part.TRAIN, Part.TEST], dtype=np.int64), sizes),
    )


def _renamed(corpus: Corpus, names: tuple[str, ...]) -> Ints:
    places = np.array([names.index(name) for name in corpus.group_names], dtype=np.int64)
    made: Ints = places[corpus.groups]
    return made
