"""Made-up texts whose best possible prediction is known exactly."""

from collections.abc import Sequence
from functools import cached_property
from typing import final

import numpy as np
from pydantic import Field
from typing_extensions import override

from common.arrays import Floats, Ints
from common.component import component
from common.labels import LabelGeometry
from common.ordinal_words import MOST_WORDS, NUM_GROUPS, OrdinalWords
from simulations.datasets import Card, Corpus, Dataset, Extent


@final
@component
class Synthetic(Dataset):
    """Ordinal texts of invented words, with the exact Bayes posterior as gold distribution.

    The V words and the C labels lie on one line, word v at x_v in [0, C-1] and label c at c.
    A text of label c is a bag of independent words with
    p(v | c) proportional to exp(-(separation (x_v - c))^2 / 2), so that neighbouring labels
    share most of their words. A row belongs to each of four groups equally often; group g
    centred at m_g = g (C-1) / 3 has p(c | g) proportional to exp(-skew |c - m_g| / (C-1)).
    Given its label, a text does not depend on its group. The vocabulary is the same for every
    seed.

    Attributes:
        size: texts; a multiple of the four groups.
        num_labels: C.
        words_per_text: length of every text.
        vocabulary: V.
        separation: how fast a word gets rarer with the distance from its label, per label.
        skew: how much the groups differ in their labels; 0 is not at all.
    """

    size: int = Field(default=2000, ge=40, multiple_of=NUM_GROUPS)
    num_labels: int = Field(default=5, ge=2, le=100)
    words_per_text: int = Field(default=12, ge=1, le=512)
    vocabulary: int = Field(default=200, ge=2, le=MOST_WORDS)
    separation: float = Field(default=0.6, gt=0, le=100, allow_inf_nan=False)
    skew: float = Field(default=1.0, ge=0, le=100, allow_inf_nan=False)

    @override
    def load(self, rng: np.random.Generator) -> Corpus:
        groups = np.arange(self.size, dtype=np.int64) % NUM_GROUPS
        labels = self._draw_labels(groups, rng)
        words = self._draw_words(labels, rng)
        texts = tuple(" ".join(map(self._words.__getitem__, row)) for row in words.tolist())
        return Corpus(
            texts=texts,
            labels=labels,
            geometry=LabelGeometry.ordinal([f"grade {c}" for c in range(self.num_labels)]),
            group_names=tuple(f"group {g}" for g in range(NUM_GROUPS)),
            groups=groups,
            documents=np.arange(self.size, dtype=np.int64),
            gold=self.posterior(texts),
        )

    @override
    def optimum(self, texts: Sequence[str]) -> Floats:
        return self.posterior(texts)

    @override
    def extent(self) -> Extent:
        return Extent(self.size, self.num_labels)

    @override
    def provenance(self) -> str:
        return "made by the synthetic generator from the settings and the seed"

    @override
    @classmethod
    def card(cls) -> Card:
        return Card(source="made on the spot from the settings and the seed", licence="none needed")

    def posterior(self, texts: Sequence[str]) -> Floats:
        """The exact p(label | text), by Bayes' rule from the generative model.

        Args:
            texts: M texts of words of this vocabulary, of any length.

        Returns:
            Shape (M, C), float64. No prediction from the text alone has a lower expected
            cross-entropy or Brier score.

        Raises:
            ValueError: a text holds a word that the model cannot utter.
        """
        unknown = {word for text in texts for word in text.split()} - self._model.numbers.keys()
        if unknown:
            raise ValueError(f"{len(unknown)} words are not of this vocabulary")
        return self._model.posterior(texts)

    @cached_property
    def _model(self) -> OrdinalWords:
        return OrdinalWords(self.num_labels, self.vocabulary, self.separation, self.skew)

    @property
    def _words(self) -> tuple[str, ...]:
        return self._model.words

    def _draw_labels(self, groups: Ints, rng: np.random.Generator) -> Ints:
        labels = np.empty(self.size, dtype=np.int64)
        for group, prior in enumerate(self._model.group_priors):
            mine = groups == group
            labels[mine] = rng.choice(self.num_labels, size=int(mine.sum()), p=prior)
        return labels

    def _draw_words(self, labels: Ints, rng: np.random.Generator) -> Ints:
        words = np.empty((self.size, self.words_per_text), dtype=np.int64)
        for label, log_likelihood in enumerate(self._model.log_likelihood):
            mine = labels == label
            shape = (int(mine.sum()), self.words_per_text)
            words[mine] = rng.choice(self.vocabulary, size=shape, p=np.exp(log_likelihood))
        return words
