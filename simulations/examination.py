"""The rows on which everything is measured, opened after the last round and not before."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from common.arrays import Floats, Ints
from common.files import read_lines
from common.intervals import Interval, bootstrap
from common.labels import LabelGeometry
from common.metrics import at_temperature, evaluate
from common.places import cache_dir
from common.terms import Terms
from server.archive import open_reader
from simulations.datasets import Corpus
from simulations.events import Progress
from simulations.split import Split

Metrics = dict[str, float | None]
Intervals = dict[str, Interval | None]
Answers = tuple[Floats, Floats]
"""One model's predictions on the test rows, (M, C), and on the public slice, (V, C)."""


@dataclass(frozen=True, eq=False)
class Examination:
    """Test rows, which no party ever sees, and the public slice that fits temperatures.

    Attributes:
        geometry: the labels.
        inputs: shape (M, D), the test texts as the student reads them.
        labels: shape (M,).
        gold: shape (M, C), the raters' distributions, or None.
        slice_inputs: shape (V, D), likewise the public validation texts.
        slice_labels: shape (V,).
        texts: the M test texts.
        slice_texts: the V public validation texts.
    """

    geometry: LabelGeometry
    inputs: Floats
    labels: Ints
    gold: Floats | None
    slice_inputs: Floats
    slice_labels: Ints
    texts: tuple[str, ...] = ()
    slice_texts: tuple[str, ...] = ()

    def grade(self, probs: Floats, on_slice: Floats) -> Metrics:
        """All metrics of predictions on the test rows; temperatures fitted on the slice.

        Args:
            probs: shape (M, C).
            on_slice: shape (V, C), by the same model.
        """
        return evaluate(
            probs,
            self.labels,
            self.geometry,
            validation=(on_slice, self.slice_labels),
            gold=self.gold,
        )

    def warmed(self, probs: Floats, temperature: float) -> dict[str, float]:
        """All metrics of the test rows at a temperature, without those that belong to one.

        Args:
            probs: shape (M, C), as they are.
            temperature: fitted on the slice, as :meth:`grade` reports it.
        """
        warm = at_temperature(probs, temperature)
        found = evaluate(warm, self.labels, self.geometry, validation=None, gold=self.gold)
        return {key: value for key, value in found.items() if value is not None}

    def intervals(self, probs: Floats, on_slice: Floats, rng: np.random.Generator) -> Intervals:
        """How far each metric of :meth:`grade` would move on other test rows.

        Args:
            probs: shape (M, C).
            on_slice: shape (V, C), by the same model.
            rng: draws the rows; the same state draws the same rows for every model.
        """
        return bootstrap(
            probs,
            self.labels,
            self.geometry,
            validation=(on_slice, self.slice_labels),
            gold=self.gold,
            rng=rng,
        )

    def one_rater(self) -> dict[str, float] | None:
        """What to expect of one more human: a label drawn from the raters' distribution.

        The gold label comes from the same raters, so this flatters the human a little.
        """
        if self.gold is None:
            return None
        points = self.geometry.points
        away = np.linalg.norm(points[None] - points[self.labels][:, None], axis=2)  # (M, C)
        expected = (self.gold * away).sum(axis=1)
        per_class = [expected[self.labels == c].mean() for c in np.unique(self.labels)]
        hit = self.gold[np.arange(len(self.labels)), self.labels].mean()
        return {"accuracy": float(hit), "semantic_distance": float(np.mean(per_class))}


def open_examination(
    folder: Path, terms: Terms, corpus: Corpus, parts: Split, progress: Progress
) -> Examination:
    """Read the test texts of a served run folder.

    Args:
        folder: of the run.
        terms: of the run.
        corpus: the data, checked by :func:`simulations.redivided.divide_again`.
        parts: who holds which rows; likewise.
        progress: told (phase, done, total).
    """
    reader = open_reader(folder)
    # The test texts' features have a folder of their own, closed to the server's process.
    shelf, own = cache_dir() / "features", private_shelf()
    public = tuple(row["text"] for row in read_lines(folder / "validation.jsonl"))
    texts = tuple(corpus.texts[row] for row in parts.test)
    return Examination(
        geometry=terms.geometry,
        inputs=reader.read(texts, own, lambda d, n: progress("evaluate", d, n)),
        labels=corpus.labels[parts.test],
        gold=None if corpus.gold is None else corpus.gold[parts.test],
        slice_inputs=reader.read(public, shelf),
        slice_labels=corpus.labels[parts.validation],
        texts=texts,
        slice_texts=public,
    )


def private_shelf() -> Path:
    """Where features of test texts are kept; the server's process may not open it."""
    own = cache_dir() / "observer"
    own.mkdir(mode=0o700, exist_ok=True)
    return own
