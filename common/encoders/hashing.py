"""Bag of words by hashing: features without a language model."""

import math
import re
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from typing import final

import numpy as np
from pydantic import Field
from typing_extensions import override

from common.arrays import Floats
from common.component import component
from common.encoders import Encoder, fingerprint_of
from common.pairs import SEPARATOR, parted

_WORDS = re.compile(r"\w+|[^\w\s]")
_SIGN = 1 << 31
_REPORT_EVERY = 1024


@final
@component
class Hashing(Encoder):
    """Words hashed into signed counts: quick, needs no weights, knows no meaning.

    Each word adds ``sign * (1 + log(count))`` to one of D columns, both by its CRC-32; rows
    have length sqrt(D). In a pair of texts (``common/pairs.py``) a word of the second text is
    another word than the same one of the first. Source: Weinberger et al., "Feature Hashing
    for Large Scale Multitask Learning", ICML 2009, section 2 (signed hashing).

    Attributes:
        dimensions: D, the number of columns.
    """

    dimensions: int = Field(default=256, ge=1, le=1 << 20)

    @override
    def encode(
        self, texts: Sequence[str], progress: Callable[[int, int], None] | None = None
    ) -> Floats:
        features = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        for row, text in enumerate(texts):
            features[row] = self._row(text)
            if progress is not None and (row + 1) % _REPORT_EVERY == 0:
                progress(row + 1, len(texts))
        if progress is not None:
            progress(len(texts), len(texts))
        return features

    @override
    def fingerprint(self) -> str:
        return fingerprint_of(recipe="hashing-2", dimensions=self.dimensions)

    def _row(self, text: str) -> Floats:
        row = np.zeros(self.dimensions)
        for word, count in Counter(_words(text.lower())).items():
            code = zlib.crc32(word.encode("utf-8", "surrogatepass"))
            sign = -1.0 if code & _SIGN else 1.0
            row[code % self.dimensions] += sign * (1.0 + math.log(count))
        length = np.linalg.norm(row)
        return row * (math.sqrt(self.dimensions) / length) if length > 0 else row


def _words(text: str) -> list[str]:
    first, second = parted(text)
    marked = [] if second is None else [SEPARATOR + word for word in _WORDS.findall(second)]
    return _WORDS.findall(first) + marked
