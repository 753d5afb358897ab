"""Which rows belong together: the same source document, or (nearly) the same words."""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Sequence

import numpy as np

from common.arrays import Ints

NEAR = 0.8
_SLIP = 1e-9  # forgives the rounding of products such as 0.8 * 5
_WORD = re.compile(r"[^\W_]+")


def unite(texts: Sequence[str], sources: Sequence[Hashable]) -> Ints:
    """Number the documents of a corpus.

    Two rows share a document if they name the same source, if their letters and digits
    are the same, if they are near duplicates, or if a chain of such rows joins them.

    Args:
        texts: the M texts.
        sources: M names; equal names mean one source document.

    Returns:
        Shape (M,), int64; document ids 0, 1, ... in order of appearance.
    """
    parents = list(range(len(texts)))
    words = [_WORD.findall(text.lower()) for text in texts]
    letters = ["".join(row) or None for row in words]
    for pairs in (_equal(sources), _equal(letters), near_duplicates(texts)):
        for one, other in pairs:
            parents[_root(parents, other)] = _root(parents, one)
    ids: dict[int, int] = {}
    roots = (_root(parents, row) for row in range(len(texts)))
    return np.array([ids.setdefault(root, len(ids)) for root in roots], dtype=np.int64)


def near_duplicates(texts: Sequence[str], threshold: float = NEAR) -> Iterator[tuple[int, int]]:
    """Pairs of rows whose word sets A, B have Jaccard index |A & B| / |A | B| >= threshold.

    Exact, without comparing all pairs, by the prefix filter (Chaudhuri, Ganti and Kaushik,
    ICDE 2006, section 4.2): such sets share a word among the n - ceil(threshold n) + 1
    rarest ones of either. Texts without a letter or digit have no near duplicates.
    """
    words = [frozenset(_WORD.findall(text.lower())) for text in texts]
    counts = Counter(word for row in words for word in row)
    seen: defaultdict[str, list[int]] = defaultdict(list)
    for row, mine in enumerate(words):
        prefix = _rarest(mine, counts, threshold)
        for other in sorted({other for word in prefix for other in seen[word]}):
            shared = len(mine & words[other])
            if shared >= threshold * (len(mine) + len(words[other]) - shared) - _SLIP:
                yield other, row
        for word in prefix:
            seen[word].append(row)


def _rarest(words: frozenset[str], counts: Counter[str], threshold: float) -> list[str]:
    size = len(words)
    length = size - math.ceil(threshold * size - _SLIP) + 1 if size else 0
    return sorted(words, key=lambda word: (counts[word], word))[:length]


def _equal(names: Sequence[Hashable]) -> Iterator[tuple[int, int]]:
    first: dict[Hashable, int] = {}
    for row, name in enumerate(names):
        if name is not None:
            yield first.setdefault(name, row), row


def _root(parents: list[int], row: int) -> int:
    while parents[row] != row:
        parents[row] = parents[parents[row]]  # path halving keeps the trees flat
        row = parents[row]
    return row
