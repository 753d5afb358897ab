"""How unlike the clients are, as numbers: in labels, in sizes, in words; and who shares texts.

Axes: K clients, C labels, N shared texts, M other texts. Everything here is exact; nothing is
drawn by chance.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from clients.words import words
from common.arrays import Floats, Ints
from common.labels import LabelGeometry
from common.per_sample import transports_between

NEAR = 0.8
_SLIP = 1e-9  # forgives the rounding of products such as 0.8 * 5
_CELLS = 4_000_000  # pairs compared at a time, which bounds the memory


@dataclass(frozen=True, eq=False)
class VocabularyOverlap:
    """Jaccard indices |A & B| / |A | B| of sets of different words; 0 where both are empty.

    Attributes:
        transfer: shape (K,); each client with the shared texts.
        rest: shape (K,); each client with all other clients together.
    """

    transfer: Floats
    rest: Floats


@dataclass(frozen=True)
class Copies:
    """How many of N texts stand among others, too.

    Attributes:
        exact: of the same words, as :func:`clients.words.words` reads them.
        near: whose sets of words have a Jaccard index of at least 0.8 with one of the others;
            contains ``exact`` but for texts without a word.
    """

    exact: int
    near: int


def label_tv(counts: Ints) -> Floats:
    """Total variation, in [0, 1], between each client's labels and those of all together.

    ``1/2 sum_c |p_k(c) - p(c)|`` (Levin, Peres and Wilmer, *Markov Chains and Mixing Times*,
    2009, proposition 4.2). An empty client has 0.

    Args:
        counts: shape (K, C).

    Returns:
        Shape (K,).
    """
    shares, overall = _shares(counts)
    away: Floats = np.abs(shares - overall).sum(axis=1) / 2
    return away


def label_transport(counts: Ints, geometry: LabelGeometry) -> Floats:
    """What it costs to turn each client's labels into those of all together.

    Exact transport under the data set's cost, in its units: W1 on a line. Two clients equally
    far in total variation differ here if one lacks a neighbouring label and one a distant one.
    Formulas and sources: :func:`common.per_sample.transports_between`.

    Args:
        counts: shape (K, C).
        geometry: the C labels.

    Returns:
        Shape (K,).
    """
    shares, overall = _shares(counts)
    return transports_between(shares, np.broadcast_to(overall, shares.shape), geometry)


def effective_labels(counts: Ints) -> Floats:
    """``exp(H)``, H the entropy in nats of each client's labels; C if all are equally frequent.

    Hill, "Diversity and Evenness" (Ecology 54, 1973), the number of order 1. An empty client
    has 0.

    Args:
        counts: shape (K, C).

    Returns:
        Shape (K,), from 1 to C.
    """
    sizes = counts.sum(axis=1, keepdims=True)
    shares = counts / np.maximum(sizes, 1)
    logs = np.log(np.where(shares > 0, shares, 1.0))
    return np.where(sizes[:, 0] > 0, np.exp(-(shares * logs).sum(axis=1)), 0.0)


def size_gini(sizes: Ints) -> float:
    """Gini coefficient of the clients' sizes: 0 if all are equal, 1 - 1/K if one has all.

    Half the mean absolute difference of all K^2 pairs over the mean (Gini, 1912), by the
    sorted form ``sum_i (2 i - K - 1) x_i / (K sum x)``.

    Args:
        sizes: shape (K,), not negative.
    """
    count, total = len(sizes), float(np.sum(sizes))
    if total == 0:
        return 0.0
    ranks = 2 * np.arange(1, count + 1) - count - 1
    return float(ranks @ np.sort(sizes)) / (count * total)


def vocabulary_overlap(
    clients: Sequence[Sequence[str]], transfer: Sequence[str]
) -> VocabularyOverlap:
    """How many words clients have in common with the shared texts and with each other.

    Args:
        clients: of each of K clients, its texts.
        transfer: the N shared texts.
    """
    numbers: dict[str, int] = {}
    held = [_types(texts, numbers) for texts in clients]
    public = _types(transfer, numbers)
    is_public = np.zeros(len(numbers), dtype=bool)
    is_public[public] = True
    holders = np.bincount(np.concatenate([*held, np.zeros(0, np.int64)]), minlength=len(numbers))
    everything = int((holders > 0).sum())
    with_transfer, with_rest = np.zeros(len(held)), np.zeros(len(held))
    for client, own in enumerate(held):
        shared, common = int(is_public[own].sum()), int((holders[own] > 1).sum())
        with_transfer[client] = shared / max(len(own) + len(public) - shared, 1)
        with_rest[client] = common / max(everything, 1)
    return VocabularyOverlap(with_transfer, with_rest)


def copies(texts: Sequence[str], among: Sequence[str]) -> Copies:
    """How many of ``texts`` stand ``among`` others word by word, or nearly.

    Exact, by the product of two sparse tables of texts and words. The first 64 words of a
    text count.
    """
    ours, theirs = [words(text) for text in texts], [words(text) for text in among]
    known = set(theirs)
    numbers: dict[str, int] = {}
    near = _near(_incidence(ours, numbers), _incidence(theirs, numbers), len(numbers))
    return Copies(exact=sum(row in known for row in ours), near=near)


def _near(ours: csr_matrix, theirs: csr_matrix, size: int) -> int:
    ours.resize(ours.shape[0], size)  # words that only the other side has
    own, other = (np.diff(table.indptr) for table in (ours, theirs))
    turned, found = theirs.T.tocsr(), 0
    step = max(1, _CELLS // max(theirs.shape[0], 1))
    for start in range(0, ours.shape[0], step):
        met = (ours[start : start + step] @ turned).tocoo()
        union = own[start + met.row] + other[met.col] - met.data
        found += len(np.unique(met.row[met.data >= NEAR * union - _SLIP]))
    return found


def _incidence(rows: Sequence[tuple[str, ...]], numbers: dict[str, int]) -> csr_matrix:
    """Which of the words numbered so far, and of new ones, stand in which text."""
    sets = [dict.fromkeys(numbers.setdefault(w, len(numbers)) for w in row) for row in rows]
    ends = np.cumsum([0, *map(len, sets)])
    flat = np.array([number for row in sets for number in row], dtype=np.int64)
    ones = np.ones(len(flat), dtype=np.int64)
    return csr_matrix((ones, flat, ends), shape=(len(rows), len(numbers)))


def _types(texts: Sequence[str], numbers: dict[str, int]) -> Ints:
    """The different words of some texts, by number."""
    found = {word for text in texts for word in words(text)}
    made = [numbers.setdefault(word, len(numbers)) for word in sorted(found)]
    return np.array(made, dtype=np.int64)


def _shares(counts: Ints) -> tuple[Floats, Floats]:
    """Label distributions of the clients, (K, C), and of all rows, (C,); empty ones are alike."""
    sizes, total = counts.sum(axis=1, keepdims=True), counts.sum()
    size = counts.shape[1]
    overall = counts.sum(axis=0) / total if total else np.full(size, 1 / size)
    return np.where(sizes > 0, counts / np.maximum(sizes, 1), overall), overall
