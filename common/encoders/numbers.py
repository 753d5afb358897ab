"""Texts of numbers, such as measurements or the grey values of a small picture."""

import math
from collections.abc import Callable, Sequence
from typing import final

import numpy as np
from pydantic import Field
from typing_extensions import override

from common.arrays import Floats
from common.component import component
from common.encoders import Encoder, fingerprint_of


@final
@component
class Numbers(Encoder):
    """Reads D numbers out of a text, ``"0 0 5 13"``, and scales them to 0 .. 1.

    Data that is no language travels as text too, so that shards, transfer set and wire stay
    what they are for sentences. Numbers are separated by blanks; ``low`` becomes 0, ``high``
    becomes 1, what lies outside is cut off. A text that is anything else than D finite
    numbers (a word, too few, NaN) gives a row of zeros.

    Attributes:
        dimensions: D, how many numbers a text has.
        low: the number that becomes 0.
        high: the number that becomes 1.
    """

    dimensions: int = Field(default=64, ge=1, le=1 << 20)
    low: float = 0.0
    high: float = 16.0

    def __post_init__(self) -> None:
        if not 0 < self.high - self.low < math.inf:
            raise ValueError(f"high must be more than low, got low = {self.low}, high {self.high}")

    @override
    def encode(
        self, texts: Sequence[str], progress: Callable[[int, int], None] | None = None
    ) -> Floats:
        features = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        for row, text in enumerate(texts):
            features[row] = self._row(text)
        if progress is not None:
            progress(len(texts), len(texts))
        return features

    @override
    def fingerprint(self) -> str:
        return fingerprint_of(
            recipe="numbers-1",
            dimensions=self.dimensions,
            low=repr(self.low),
            high=repr(self.high),
        )

    def _row(self, text: str) -> Floats:
        row = _parsed(text)
        if row.shape != (self.dimensions,) or not np.all(np.isfinite(row)):
            return np.zeros(self.dimensions)
        scaled: Floats = (np.clip(row, self.low, self.high) - self.low) / (self.high - self.low)
        return scaled


def _parsed(text: str) -> Floats:
    try:
        return np.array([float(word) for word in text.split()])
    except ValueError:
        return np.zeros(0)
