"""Invented words whose meaning is known: the model behind the synthetic texts, and its Bayes rule.

The V words and the C labels lie on one line, word v at x_v in [0, C-1] and label c at c. A text
of label c is a bag of independent words with
p(v | c) proportional to exp(-(separation (x_v - c))^2 / 2). Each of four equally frequent groups
of texts, centred at m_g = g (C-1) / 3, has p(c | g) proportional to exp(-skew |c - m_g| / (C-1)).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from common.arrays import Floats

NUM_GROUPS: Final = 4
_SYLLABLES: Final = tuple(first + second for first in "bdfgklmnprstvz" for second in "aeiou")
MOST_WORDS: Final = len(_SYLLABLES) ** 2


@dataclass(frozen=True)
class OrdinalWords:
    """One such model.

    Attributes:
        num_labels: C, at least 2.
        vocabulary: V, at least 2.
        separation: how fast a word gets rarer with the distance from its label, per label.
        skew: how much the groups differ in their labels; 0 is not at all.
    """

    num_labels: int
    vocabulary: int
    separation: float
    skew: float

    @cached_property
    def words(self) -> tuple[str, ...]:
        """The V words in the order of their places; the same for every seed."""
        base = len(_SYLLABLES)
        return tuple(
            _SYLLABLES[number // base] + _SYLLABLES[number % base]
            for number in range(self.vocabulary)
        )

    @cached_property
    def log_likelihood(self) -> Floats:
        """Shape (C, V): log p(v | c)."""
        places = np.linspace(0, self.num_labels - 1, self.vocabulary)
        labels = np.arange(self.num_labels)
        fit = -0.5 * (self.separation * (places[None, :] - labels[:, None])) ** 2
        return _log_softmax(fit)

    @cached_property
    def group_priors(self) -> Floats:
        """Shape (groups, C): p(c | g)."""
        labels = np.arange(self.num_labels) / (self.num_labels - 1)
        centres = np.linspace(0, 1, NUM_GROUPS)
        return _softmax(-self.skew * np.abs(labels[None, :] - centres[:, None]))

    @cached_property
    def numbers(self) -> dict[str, int]:
        """The number of each word."""
        return {word: number for number, word in enumerate(self.words)}

    def posterior(self, texts: Sequence[str]) -> Floats:
        """The exact p(label | text), by Bayes' rule from the generative model.

        Args:
            texts: M texts; a word that the model cannot utter says nothing.

        Returns:
            Shape (M, C), float64. No prediction from the text alone has a lower expected
            cross-entropy or Brier score.
        """
        split = [[word for word in text.split() if word in self.numbers] for text in texts]
        rows = np.repeat(np.arange(len(split)), [len(row) for row in split])
        words = np.array([self.numbers[word] for row in split for word in row], dtype=np.int64)
        log_joint = np.stack(
            [np.bincount(rows, column[words], len(split)) for column in self.log_likelihood],
            axis=1,
        )
        return _softmax(log_joint + np.log(self.group_priors.mean(axis=0)))


def _log_softmax(scores: Floats) -> Floats:
    scores = scores - scores.max(axis=1, keepdims=True)
    logs: Floats = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    return logs


def _softmax(scores: Floats) -> Floats:
    probs: Floats = np.exp(_log_softmax(scores))
    return probs
