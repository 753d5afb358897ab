"""How many texts of a set can be told apart by one word only: the mark of a probing design.

Two texts are alike if one becomes the other by replacing, adding, leaving out or moving a
single word. Then they share a *template*: what is left of a text when one word is taken out,
or the text as it is. This is the symmetric deletion of spelling correctors, done on words.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from clients.words import MOST_WORDS
from common.arrays import Ints

_CHUNK = 4096  # texts hashed at a time, which bounds the memory


def family_sizes(texts: Sequence[tuple[str, ...]]) -> Ints:
    """How many texts share a text's most popular template, itself included.

    Templates are compared by 64-bit hashes; a collision, of odds about n² / 2^65 for n
    templates, could only make a set look worse. Time and memory grow with the number of
    words, not with the number of pairs.

    Args:
        texts: M different texts as words, none longer than 64.

    Returns:
        Shape (M,), int64, at least 1: the size of the largest family of each text.
    """
    parts = list(_templates(texts))
    if not parts:
        return np.zeros(0, dtype=np.int64)
    templates, owners = (np.concatenate(part) for part in zip(*parts, strict=True))
    _, which, counts = np.unique(templates, return_inverse=True, return_counts=True)
    sizes = np.ones(len(texts), dtype=np.int64)
    np.maximum.at(sizes, owners, counts[which])
    return sizes


def _templates(texts: Sequence[tuple[str, ...]]) -> Iterator[tuple[Ints, Ints]]:
    """The hashes of all templates, and which text each is of."""
    numbers: dict[str, int] = {}
    for start in range(0, len(texts), _CHUNK):
        chunk = texts[start : start + _CHUNK]
        flat = [numbers.setdefault(word, len(numbers)) for text in chunk for word in text]
        lengths = np.array([len(text) for text in chunk], dtype=np.int64)
        templates, owners = _hashes(np.array(flat, dtype=np.uint64), lengths)
        yield templates, owners + start


def _hashes(numbers: Ints, lengths: Ints) -> tuple[Ints, Ints]:
    """Multilinear hashes, sums of word times place, of what every template leaves.

    A word behind the one taken out moves up one place. So two running sums, of places as they
    are and of places less one, give all hashes of all texts at once. No text has the same
    template twice: of equal neighbours, only the last is taken out.
    """
    ends = np.cumsum(lengths)
    starts = ends - lengths
    owners = np.repeat(np.arange(len(lengths)), lengths)
    at = np.arange(len(numbers))
    place, mixed = at - starts[owners], _mix(numbers)
    here, ahead = _sums(mixed * _PLACES[place + 1]), _sums(mixed * _PLACES[place])
    less = here[at] - here[starts[owners]] + ahead[ends[owners]] - ahead[at + 1]
    less += _mix(lengths - 1)[owners]
    whole = here[ends] - here[starts] + _mix(lengths)
    last = np.ones(len(numbers), dtype=bool)
    last[:-1] = (numbers[1:] != numbers[:-1]) | (owners[1:] != owners[:-1])
    return (
        np.concatenate([less[last], whole]),
        np.concatenate([owners[last], np.arange(len(lengths))]),
    )


def _sums(values: Ints) -> Ints:
    """Sums of the first 0, 1, ... values, modulo 2^64."""
    return np.concatenate([np.zeros(1, dtype=np.uint64), np.cumsum(values, dtype=np.uint64)])


def _mix(numbers: Ints) -> Ints:
    """Numbers scattered over 64 bits (Steele, Lea and Flood, OOPSLA 2014: SplitMix64)."""
    mixed = (numbers.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    made: Ints = mixed ^ (mixed >> np.uint64(31))
    return made


_PLACES = _mix(np.arange(2**32, 2**32 + MOST_WORDS + 1)) | np.uint64(1)
