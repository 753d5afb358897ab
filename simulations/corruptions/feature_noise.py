"""Texts with slips, or numbers with noise: what noise on the features means here."""

from collections.abc import Iterator, Sequence
from typing import Literal, final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from typing_extensions import override

from common.arrays import Floats, Ints
from common.component import component
from common.failures import ConfigError
from common.labels import LabelGeometry
from simulations.corruptions import Corruption, Shard

_SLIPS = 4


@final
@component
class FeatureNoise(Corruption):
    """Typing errors, words left out, doubled, swapped and mistaken, or Gaussian noise on numbers.

    Peers add Gaussian noise to pixels or embeddings. Here the noise is on the text itself, as
    people make it, so that it goes through the encoder like any text. With ``unit =
    "character"``, each character that is no blank is hit with probability ``rate``, and a hit
    is one of four slips, equally likely: left out, doubled, swapped with the next character,
    or replaced by one drawn from the client's own texts. With ``unit = "word"`` the same
    happens to words, and runs of blanks become one. A swap with a character that is itself
    hit, a blank, or missing does nothing. No text becomes empty: where all would be left out,
    the first stays.

    With ``unit = "number"`` texts are rows of numbers, as those of ``digits``: every number gets
    independent Gaussian noise with a standard deviation of ``rate`` times that of all numbers of
    the client's own texts, to six digits. The encoder ``numbers`` cuts off what leaves its range.

    Attributes:
        rate: probability of a slip, per character or word; or the noise in standard deviations.
        unit: what slips.
    """

    rate: float = Field(default=0.1, ge=0, le=1)
    unit: Literal["character", "word", "number"] = "character"

    @override
    def corrupt(self, shard: Shard, geometry: LabelGeometry, rng: np.random.Generator) -> Shard:
        if self.unit == "character":
            return Shard(_mistyped(shard.texts, self.rate, rng), shard.labels)
        if self.unit == "number":
            return Shard(_mismeasured(shard.texts, self.rate, rng), shard.labels)
        return Shard(_misspoken(shard.texts, self.rate, rng), shard.labels)


def _mistyped(texts: Sequence[str], rate: float, rng: np.random.Generator) -> tuple[str, ...]:
    raw = "".join(texts).encode("utf-32-le", "surrogatepass")
    codes: Ints = np.frombuffer(raw, dtype="<u4").astype(np.int64)
    kinds, which = np.unique(codes, return_inverse=True)
    blank = np.array([chr(code).isspace() for code in kinds.tolist()], dtype=bool)[which]
    sizes: Ints = np.array([len(text) for text in texts], dtype=np.int64)
    made, lengths = slipped(codes, sizes, ~blank, rate, rng)
    plain = made.astype("<u4").tobytes().decode("utf-32-le", "surrogatepass")
    return tuple(plain[a:b] for a, b in _places(lengths))


def _misspoken(texts: Sequence[str], rate: float, rng: np.random.Generator) -> tuple[str, ...]:
    rows = [text.split() for text in texts]
    numbers: dict[str, int] = {}
    flat = [numbers.setdefault(word, len(numbers)) for row in rows for word in row]
    units: Ints = np.array(flat, dtype=np.int64)
    sizes: Ints = np.array([len(row) for row in rows], dtype=np.int64)
    made, lengths = slipped(units, sizes, np.ones(len(units), dtype=bool), rate, rng)
    words = list(numbers)
    spoken = [words[number] for number in made.tolist()]
    places = zip(texts, _places(lengths), strict=True)
    return tuple(" ".join(spoken[a:b]) if b > a else text for text, (a, b) in places)


def _mismeasured(texts: Sequence[str], rate: float, rng: np.random.Generator) -> tuple[str, ...]:
    rows = [_numbers(text) for text in texts]
    flat: Floats = np.concatenate([np.zeros(0), *rows])
    noise = rate * float(flat.std() if len(flat) else 0.0) * rng.standard_normal(len(flat))
    told = [f"{value:.6g}" for value in (flat + noise).tolist()]
    sizes: Ints = np.array([len(row) for row in rows], dtype=np.int64)
    return tuple(" ".join(told[a:b]) for a, b in _places(sizes))


def _numbers(text: str) -> Floats:
    try:
        found: Floats = np.array([float(word) for word in text.split()], dtype=np.float64)
    except ValueError:
        found = np.full(1, np.nan)
    if not np.all(np.isfinite(found)):
        raise ConfigError(
            "data.corruptions: feature_noise with unit = 'number' needs texts that are rows of "
            "finite numbers; write unit = 'character' or 'word' for sentences"
        )
    return found


def slipped(
    units: Ints, lengths: Ints, open_: NDArray[np.bool_], rate: float, rng: np.random.Generator
) -> tuple[Ints, Ints]:
    """Texts as rows of units, one behind the other, with slips.

    Args:
        units: shape (U,); all units of all texts.
        lengths: shape (M,); units of each text; sums to U.
        open_: shape (U,); which units may slip.
        rate: probability of a slip.
        rng: the only source of chance.

    Returns:
        The new units and lengths, shape (M,).
    """
    owners = np.repeat(np.arange(len(lengths)), lengths)
    hit = open_ & (rng.random(len(units)) < rate)
    slip, made = rng.integers(_SLIPS, size=len(units)), units.copy()
    left_out, doubled, swapped, mistaken = (hit & (slip == which) for which in range(_SLIPS))
    made[mistaken] = rng.choice(units[open_], int(mistaken.sum())) if mistaken.any() else 0
    free = open_[1:] & ~hit[1:] & (owners[:-1] == owners[1:])
    at = np.flatnonzero(swapped[:-1] & free)
    made[at], made[at + 1] = made[at + 1], made[at]
    times = np.where(left_out, 0, np.where(doubled, 2, 1))
    _spare_one(times, owners, lengths)
    return np.repeat(made, times), _sums(times, owners, len(lengths))


def _places(lengths: Ints) -> Iterator[tuple[int, int]]:
    """Where each text begins and ends."""
    ends = np.cumsum(lengths)
    return zip((ends - lengths).tolist(), ends.tolist(), strict=True)


def _spare_one(times: Ints, owners: Ints, lengths: Ints) -> None:
    """The first unit of a text stays where none would."""
    gone = (_sums(times, owners, len(lengths)) == 0) & (lengths > 0)
    times[(np.cumsum(lengths) - lengths)[gone]] = 1


def _sums(times: Ints, owners: Ints, size: int) -> Ints:
    return np.bincount(owners, times, size).astype(np.int64)
