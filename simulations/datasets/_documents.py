"""Which rows belong together: the same source document, or (nearly) the same words."""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from itertools import chain

import numpy as np

from common.arrays import Ints

NEAR = 0.8
_SHARED = 3  # words that two candidates must share; more costs longer prefixes
_SLIP = 1e-9  # forgives the rounding of products such as 0.8 * 5
_WORD = re.compile(r"[^\W_]+")


def unite(texts: Sequence[str], sources: Sequence[Hashable], near: bool = True) -> Ints:
    """Number the documents of a corpus.

    Two rows share a document if they name the same source, if their letters and digits
    are the same, if they are near duplicates, or if a chain of such rows joins them. Texts
    without a letter or digit share one if they are equal, but for blanks and case; empty
    texts never do.

    Args:
        texts: the M texts.
        sources: M names; equal names mean one source document, None means none.
        near: False leaves near duplicates apart.

    Returns:
        Shape (M,), int64; document ids 0, 1, ... in order of appearance.
    """
    parents = list(range(len(texts)))
    words = [_WORD.findall(text.lower()) for text in texts]
    letters = ["".join(row) or None for row in words]
    marks = ["".join(text.casefold().split()) or None for text in texts]
    # Equal rows are joined first: of many copies, only one looks for near duplicates.
    for pairs in (_equal(sources), _equal(letters), _equal(marks)):
        _join(parents, pairs)
    if near:
        same = list(_equal(frozenset(row) or None for row in words))
        _join(parents, same)
        rows = [row for row, other in same if row == other]
        found = near_duplicates([texts[row] for row in rows])
        _join(parents, ((rows[one], rows[other]) for one, other in found))
    ids: dict[int, int] = {}
    roots = (_root(parents, row) for row in range(len(texts)))
    return np.array([ids.setdefault(root, len(ids)) for root in roots], dtype=np.int64)


def near_duplicates(texts: Sequence[str], threshold: float = NEAR) -> Iterator[tuple[int, int]]:
    """Pairs of rows whose word sets A, B have Jaccard index |A & B| / |A | B| >= threshold.

    Exact, without comparing all pairs, by the prefix filter (Chaudhuri, Ganti and Kaushik,
    ICDE 2006, section 4.2): such sets of n words share at least s of the
    n - ceil(threshold n) + s rarest ones of either, for every s up to ceil(threshold n).
    Texts without a letter or digit have no near duplicates.
    """
    words = [frozenset(_WORD.findall(text.lower())) for text in texts]
    counts = Counter(word for row in words for word in row)
    needed = [min(_SHARED, _least(row, threshold)) for row in words]
    seen: defaultdict[str, list[int]] = defaultdict(list)
    for row, mine in enumerate(words):
        prefix = _rarest(mine, counts, threshold)
        met = Counter(chain.from_iterable(seen[word] for word in prefix))
        for other in sorted(o for o, times in met.items() if times >= min(needed[row], needed[o])):
            shared = len(mine & words[other])
            if shared >= threshold * (len(mine) + len(words[other]) - shared) - _SLIP:
                yield other, row
        for word in prefix:
            seen[word].append(row)


def _rarest(words: frozenset[str], counts: Counter[str], threshold: float) -> list[str]:
    least = _least(words, threshold)
    length = len(words) - least + min(_SHARED, least)
    return sorted(words, key=lambda word: (counts[word], word))[:length]


def _least(words: frozenset[str], threshold: float) -> int:
    """How many of its words a set shares with any near duplicate, at least."""
    return math.ceil(threshold * len(words) - _SLIP)


def _join(parents: list[int], pairs: Iterable[tuple[int, int]]) -> None:
    for one, other in pairs:
        parents[_root(parents, other)] = _root(parents, one)


def _equal(names: Iterable[Hashable]) -> Iterator[tuple[int, int]]:
    """Every named row with the first one of its name, which may be itself."""
    first: dict[Hashable, int] = {}
    for row, name in enumerate(names):
        if name is not None:
            yield first.setdefault(name, row), row


def _root(parents: list[int], row: int) -> int:
    while parents[row] != row:
        parents[row] = parents[parents[row]]  # path halving keeps the trees flat
        row = parents[row]
    return row
