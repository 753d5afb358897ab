"""Which column of a table is what, and how its cells become a corpus."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from common.arrays import Floats, Ints
from common.component import component
from common.failures import ConfigError, DataError
from common.pairs import joined, single
from simulations.datasets import Corpus
from simulations.datasets._documents import unite
from simulations.datasets._labels import Labels
from simulations.datasets._table import Place, Table, is_missing, name_of, text_of, unrolled

_DIALOGUE: Final = "(rows of one list)"
_NOBODY: Final = "unknown"
_EVERYBODY: Final = "everybody"


@component
class Columns:
    """Which column holds what.

    Attributes:
        text: the text; where its cells are lists (dialogues), every entry becomes a row.
        text_pair: the second text, where texts are pairs.
        label: the label.
        group: the natural client; without it, all rows are one group. A missing cell
            belongs to the group ``unknown``.
        document: rows with equal cells stay on one side of a split. A missing cell is a
            document of its own.
        gold: one column per label, in the order of the labels: votes or shares.
    """

    text: str = "text"
    text_pair: str | None = None
    label: str = "label"
    group: str | None = None
    document: str | None = None
    gold: tuple[str, ...] = ()

    def check(self, table: Table) -> Table:
        """The table as it is.

        Raises:
            DataError: it lacks a column; names its source.
        """
        for setting in ("text", "text_pair", "label", "group", "document"):
            if (name := getattr(self, setting)) is not None:
                table.column(name, setting)
        for name in self.gold:
            table.column(name, "gold")
        return table


@component
class Cleaning:
    """What happens to rows before anything else; by default no row is lost.

    Attributes:
        strip: drop blanks and line ends around texts.
        drop_empty: drop rows without a text. Otherwise they stay, as the empty text.
        drop_duplicates: of texts that differ in upper and lower case only, keep the first.
        drop_unlabelled: drop rows whose label is missing, or -1 where no label is spelt so.
            Otherwise they are an error.
        near_duplicates: texts whose word sets have a Jaccard index of at least 0.8 stay on
            one side of a split; without it, only equal texts do. Takes minutes from some
            100,000 rows on.
    """

    strip: bool = True
    drop_empty: bool = False
    drop_duplicates: bool = False
    drop_unlabelled: bool = False
    near_duplicates: bool = True


def corpus_of(table: Table, columns: Columns, labels: Labels, cleaning: Cleaning) -> Corpus:
    """The corpus of a table.

    Raises:
        DataError: a column or cell is not what it should be, or too little is left. Names
            columns and places, never what stands in a cell.
    """
    table = unrolled(table, columns.text, _DIALOGUE)
    if _DIALOGUE in table.columns and columns.document is None:
        columns = replace(columns, document=_DIALOGUE)
    texts = _texts(table, columns, cleaning)
    spelt = labels.spelt()
    table, texts = _kept(table, texts, columns, cleaning, spelt)
    cells = zip(table.column(columns.label, "label"), table.places, strict=True)
    numbers = np.array([_label(cell, spelt, place) for cell, place in cells], dtype=np.int64)
    _check_variety(numbers, table.source)
    names, groups = _groups(table, columns)
    return Corpus(
        texts=tuple(texts),
        labels=numbers,
        geometry=labels.build(),
        group_names=names,
        groups=groups,
        documents=unite(texts, _sources(table, columns), near=cleaning.near_duplicates),
        gold=_gold(table, columns, len(labels.names)) if columns.gold else None,
    )


def _texts(table: Table, columns: Columns, cleaning: Cleaning) -> list[str]:
    def column(name: str, setting: str) -> list[str]:
        cells = zip(table.column(name, setting), table.places, strict=True)
        texts = (text_of(cell, place) for cell, place in cells)
        return [text.strip() if cleaning.strip else text for text in texts]

    firsts = column(columns.text, "text")
    if columns.text_pair is None:
        return [single(text) for text in firsts]
    seconds = column(columns.text_pair, "text_pair")
    return [joined(*pair) for pair in zip(firsts, seconds, strict=True)]


def _kept(
    table: Table,
    texts: Sequence[str],
    columns: Columns,
    cleaning: Cleaning,
    spelt: dict[str, int],
) -> tuple[Table, list[str]]:
    cells, seen, kept = table.column(columns.label, "label"), set[str](), []
    for row, text in enumerate(texts):
        key = text.casefold()
        if cleaning.drop_empty and not text.strip():  # a pair of nothing is nothing too
            continue
        if cleaning.drop_unlabelled and _is_unlabelled(cells[row], spelt):
            continue
        if cleaning.drop_duplicates and key in seen:
            continue
        seen.add(key)
        kept.append(row)
    return table.rows(kept), [texts[row] for row in kept]


def _is_unlabelled(cell: Any, spelt: dict[str, int]) -> bool:
    return is_missing(cell) or (name_of(cell) in ("", "-1") and name_of(cell) not in spelt)


def _label(cell: Any, spelt: dict[str, int], place: Place) -> int:
    if is_missing(cell) or (name_of(cell) == "" and "" not in spelt):
        raise DataError(f"{place}: the label is missing; write cleaning.drop_unlabelled = true")
    if name_of(cell) not in spelt:
        raise DataError(
            f"{place}: the label is none of the {len(spelt)} of labels (names, or values where "
            "given); check the column and the spelling"
        )
    return spelt[name_of(cell)]


def _check_variety(numbers: Ints, source: str) -> None:
    if not len(numbers):
        raise DataError(
            f"no rows are left of {source}; check what stands there, and data.dataset.cleaning"
        )
    if np.unique(numbers).size < 2:
        raise DataError(
            f"all rows of {source} have the same label; at least two labels must occur there"
        )


def _groups(table: Table, columns: Columns) -> tuple[tuple[str, ...], Ints]:
    if columns.group is None:
        return (_EVERYBODY,), np.zeros(len(table), dtype=np.int64)
    cells = [
        _NOBODY if is_missing(cell) or name_of(cell) == "" else name_of(cell)
        for cell in table.column(columns.group, "group")
    ]
    names, groups = np.unique(cells, return_inverse=True)
    return tuple(map(str, names)), groups.astype(np.int64)


def _sources(table: Table, columns: Columns) -> list[str | None]:
    if columns.document is None:
        return [None] * len(table)
    return [
        None if is_missing(cell) or name_of(cell) == "" else name_of(cell)
        for cell in table.column(columns.document, "document")
    ]


def _gold(table: Table, columns: Columns, size: int) -> Floats:
    if len(columns.gold) != size:
        raise ConfigError(f"columns.gold: {size} columns are needed, one for each label")
    cells = [table.column(name, "gold") for name in columns.gold]
    rows = [_votes(row, place) for *row, place in zip(*cells, table.places, strict=True)]
    votes = np.array(rows, dtype=np.float64)
    shares: Floats = votes / votes.sum(axis=1, keepdims=True)
    return shares


def _votes(row: Sequence[Any], place: Place) -> list[float]:
    try:
        votes = [float(cell) for cell in row]
    except (TypeError, ValueError):
        votes = []
    if not (votes and min(votes) >= 0 and 0 < sum(votes) < float("inf")):
        raise DataError(f"{place}: columns.gold must hold numbers from 0 on, not all of them 0")
    return votes
