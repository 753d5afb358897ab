"""Filling the parts of a split with whole documents, each group to its quota."""

from collections.abc import Sequence

import numpy as np

from common.arrays import Ints

# What one document holds: group -> rows.
_Content = dict[int, int]


def fill(
    documents: Ints, groups: Ints, quotas: Sequence[Ints], rng: np.random.Generator
) -> list[Ints]:
    """Choose rows for several parts, so that no document stands in two of them.

    Documents are taken in random order while they fit. The last few of a group are chosen
    among its remaining documents so that they sum to what is missing (subset sum, exact).
    Where no choice hits a quota, because documents are long or span several groups, the
    part stays below it, by as little as the subset sum allows.

    Args:
        documents: shape (M,); the document of each row.
        groups: shape (M,); the group of each row, in 0 .. G-1.
        quotas: of every part, shape (G,); the rows wanted of each group.
        rng: the only source of chance.

    Returns:
        Of every part, its rows, ascending.
    """
    _, number = np.unique(documents, return_inverse=True)
    contents = _contents(number, groups)
    order = rng.permutation(len(contents)).tolist()
    parts: list[Ints] = []
    for quota in quotas:
        chosen = _choose(contents, order, quota.tolist())
        order = [document for document in order if document not in chosen]
        parts.append(np.flatnonzero(np.isin(number, list(chosen))))
    return parts


def largest_sum(sizes: Sequence[int], target: int) -> list[int]:
    """Positions of positive ``sizes`` whose sum is the largest that is at most ``target``.

    Dynamic programming over reachable sums, kept as the bits of one integer; stops at the
    first position at which the target is reached.
    """
    reachable, mask = [1], (1 << (target + 1)) - 1
    for size in sizes:
        if reachable[-1] >> target & 1:
            break
        reachable.append((reachable[-1] | reachable[-1] << size) & mask)
    best = reachable[-1].bit_length() - 1
    chosen = []
    for position in range(len(reachable) - 2, -1, -1):
        if not reachable[position] >> best & 1:
            chosen.append(position)
            best -= sizes[position]
    return chosen


def _contents(number: Ints, groups: Ints) -> list[_Content]:
    contents: list[_Content] = [{} for _ in range(int(number.max(initial=-1)) + 1)]
    pairs, rows = np.unique(np.stack([number, groups]), axis=1, return_counts=True)
    for document, group, count in zip(*pairs.tolist(), rows.tolist(), strict=True):
        contents[document][group] = count
    return contents


def _choose(contents: list[_Content], order: list[int], left: list[int]) -> set[int]:
    """Documents for one part; ``left`` is its quota and ends as what is missing."""
    longest = [0] * len(left)
    for document in order:
        for group, count in contents[document].items():
            longest[group] = max(longest[group], count)
    # Two long documents' worth of room, so that the subset sum has something to choose.
    chosen = _take(contents, order, left, [2 * count for count in longest])
    for group, own in enumerate(_only(contents, order, chosen, len(left))):
        chosen |= _complete(contents, own, left, group)
    rest = [document for document in order if document not in chosen]
    return chosen | _take(contents, rest, left, [0] * len(left))


def _only(
    contents: list[_Content], order: list[int], chosen: set[int], groups: int
) -> list[list[int]]:
    """For every group the documents of it alone that are still to be had; one pass for all."""
    found: list[list[int]] = [[] for _ in range(groups)]
    for document in order:
        if len(contents[document]) == 1 and document not in chosen:
            found[next(iter(contents[document]))].append(document)
    return found


def _take(
    contents: list[_Content], order: list[int], left: list[int], reserve: list[int]
) -> set[int]:
    chosen = set()
    for document in order:
        content = contents[document].items()
        if all(left[group] - count >= reserve[group] for group, count in content):
            chosen.add(document)
            for group, count in content:
                left[group] -= count
    return chosen


def _complete(contents: list[_Content], own: list[int], left: list[int], group: int) -> set[int]:
    picked = largest_sum([contents[document][group] for document in own], left[group])
    left[group] -= sum(contents[own[position]][group] for position in picked)
    return {own[position] for position in picked}
