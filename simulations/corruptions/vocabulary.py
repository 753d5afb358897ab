"""Clients who have words of their own for what others call otherwise."""

import re
from collections.abc import Collection
from typing import Final, final

import numpy as np
from pydantic import Field
from typing_extensions import override

from common.component import component
from common.labels import LabelGeometry
from simulations.corruptions import Corruption, Shard

_WORD: Final = re.compile(r"[^\W_]+")
_SYLLABLES: Final = tuple(first + second for first in "bdfgklmnprstvz" for second in "aeiou")
_LENGTH: Final = 4
_WORDS: Final = len(_SYLLABLES) ** _LENGTH
_STEPS: Final = 1_000_003
"""A prime that divides no power of 70: its multiples visit every word once."""


@final
@component
class Vocabulary(Corruption):
    """A dialect: a share of a client's words is always replaced by words nobody else has.

    Every client draws its own dialect. Of the V different words of its texts, ``rate`` V are
    chosen, to the nearest whole number, and each becomes the same invented word of four
    syllables wherever it stands; case of the first letter, marks and blanks stay. So the
    features shift while the labels, given what is meant, do not, and the client's vocabulary
    overlaps less with that of the shared texts. Words are runs of letters and digits, whatever
    their case; scripts without blanks have few and long ones.

    Attributes:
        rate: share of a client's different words that are replaced.
    """

    rate: float = Field(default=0.3, ge=0, le=1)

    @override
    def corrupt(self, shard: Shard, geometry: LabelGeometry, rng: np.random.Generator) -> Shard:
        known: list[str] = sorted(
            {word.casefold() for text in shard.texts for word in _WORD.findall(text)}
        )
        chosen = rng.permutation(len(known))[: round(self.rate * len(known))]
        new = _invented(len(chosen), set(known), rng)
        dialect = dict(zip((known[number] for number in chosen), new, strict=True))

        def translated(match: re.Match[str]) -> str:
            word: str = match.group()
            other: str = dialect.get(word.casefold(), word)
            return other.capitalize() if word[0].isupper() and other != word else other

        return Shard(tuple(_WORD.sub(translated, text) for text in shard.texts), shard.labels)


def _invented(size: int, known: Collection[str], rng: np.random.Generator) -> list[str]:
    """Different words that are not ``known``."""
    first, made = int(rng.integers(_WORDS)), list[str]()
    while len(made) < size:
        word = _word(first)
        first = (first + _STEPS) % _WORDS
        if word not in known:
            made.append(word)
    return made


def _word(number: int) -> str:
    syllables = []
    for _ in range(_LENGTH):
        number, last = divmod(number, len(_SYLLABLES))
        syllables.append(_SYLLABLES[last])
    return "".join(syllables)
