"""Where texts come from: every data set gives one corpus."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import NamedTuple

import numpy as np

from common.arrays import Floats, Ints
from common.failures import ConfigError
from common.labels import LabelGeometry


class Part(IntEnum):
    """Which part a row is of, where a data set was published in parts."""

    TRAIN = 0
    VALIDATION = 1
    TEST = 2


@dataclass(frozen=True, eq=False)
class Corpus:
    """M labelled texts, before anybody holds them.

    Attributes:
        texts: the M texts.
        labels: shape (M,), int64; in 0 .. C-1.
        geometry: the C labels and how far apart they are.
        group_names: the names of the natural clients (domain, speaker).
        groups: shape (M,), int64; index into ``group_names``.
        documents: shape (M,), int64; rows with the same id stay on one side of every split,
            because they stem from one source document or say (nearly) the same.
        parts: shape (M,), int64; the :class:`Part` of each row as published, or None where
            there is only one. A document lies in one part.
        gold: shape (M, C), float64; how the raters' labels are distributed, or None.
    """

    texts: tuple[str, ...]
    labels: Ints
    geometry: LabelGeometry
    group_names: tuple[str, ...]
    groups: Ints
    documents: Ints
    gold: Floats | None = None
    parts: Ints | None = None

    def __post_init__(self) -> None:
        rows = len(self.texts)
        for name in ("labels", "groups", "documents", "parts"):
            column = getattr(self, name)
            if column is None:
                continue
            if column.shape != (rows,) or column.dtype.kind not in "iu":
                raise ValueError(f"{name} must be {rows} integers, one per text")
        _check_range("labels", self.labels, len(self.geometry))
        _check_range("groups", self.groups, len(self.group_names))
        if self.parts is not None:
            _check_parts(self.parts, self.documents)
        if self.gold is not None:
            _check_gold(self.gold, (rows, len(self.geometry)))

    def __len__(self) -> int:
        return len(self.texts)


@dataclass(frozen=True)
class Card:
    """What a user should know about a data set before using it.

    Attributes:
        source: who made it, where it was published.
        licence: under which it may be used.
        sha256: of the archive it comes from; empty where it is made on the spot.
        faults: what is known to be wrong with it, one sentence each.
        repeats: whether the same words may stand in two documents (utterances such as
            "Yeah."), so that a text may be on two sides of a split.
    """

    source: str
    licence: str
    sha256: str = ""
    faults: tuple[str, ...] = ()
    repeats: bool = False


class Extent(NamedTuple):
    """How much of a data set will be drawn.

    Attributes:
        rows: of the corpus, or of its published training part: those that shares are shares of.
        labels: C.
        joined: whether documents are of many rows, so that a share may fall a little short.
    """

    rows: int
    labels: int
    joined: bool = False


class Dataset(ABC):
    """A source of texts. Its fields say how much of it is drawn; ``load`` draws."""

    @abstractmethod
    def load(self, rng: np.random.Generator) -> Corpus:
        """Draw the corpus of one experiment; fetches what is not in the cache.

        Raises:
            DataError: data is missing or damaged.
            ConfigError: more is asked for than there is.
        """

    def optimum(self, texts: Sequence[str]) -> Floats | None:
        """The exact p(label | text), shape (M, C), where it is known: made-up data only.

        Args:
            texts: M texts of this data set.
        """
        return None

    def extent(self) -> Extent | None:
        """How much ``load`` will draw, where that is known without the data."""
        return None

    def provenance(self) -> str:
        """The SHA-256 of the source, or a description; empty where there is neither."""
        return ""

    def content(self) -> str:
        """The SHA-256 of files that may change under the same settings; empty if none can.

        Raises:
            DataError: they cannot be read.
        """
        return ""

    @classmethod
    def card(cls) -> Card:
        """Source, licence and known faults."""
        return Card(source="", licence="")

    @classmethod
    def whole(cls) -> Corpus:
        """Everything there is, before any draw: what ``describe`` counts."""
        return cls().load(np.random.default_rng(0))

    @classmethod
    def fetch(cls, source: Path | None = None) -> Path:
        """Put the data into the cache, from its registry or from files at hand.

        Args:
            source: a file or folder of the user's; None for the registry.

        Returns:
            The prepared file in the cache.

        Raises:
            ConfigError: this data set needs no fetching.
            DataError: the source lacks the data or is damaged.
        """
        raise ConfigError(f"{cls.__name__.lower()} needs no fetching; just run it")

    @classmethod
    def is_cached(cls) -> bool:
        """Whether ``load`` finds what it needs on this machine."""
        return True


def _check_range(name: str, column: Ints, size: int) -> None:
    if len(column) and not (column.min() >= 0 and column.max() < size):
        raise ValueError(f"{name} must lie in 0..{size - 1}")


def _check_parts(parts: Ints, documents: Ints) -> None:
    _check_range("parts", parts, len(Part))
    pairs = np.unique(np.stack([documents, parts]), axis=1)
    if pairs.shape[1] > np.unique(documents).size:
        raise ValueError("a document must lie in one part")


def _check_gold(gold: Floats, shape: tuple[int, int]) -> None:
    if gold.shape != shape:
        raise ValueError(f"gold has shape {gold.shape}, expected {shape}")
    if not (np.all(gold >= 0) and np.allclose(gold.sum(axis=1), 1.0, rtol=0, atol=1e-6)):
        raise ValueError("every row of gold must be a distribution")
