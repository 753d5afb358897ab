"""Distances between labels that hang in a weighted tree."""

import math
from collections.abc import Iterable, Sequence

import numpy as np

from common.arrays import Floats

Edge = tuple[str, str, float]
"""Two nodes and the length between them."""


def path_lengths(names: Sequence[str], edges: Iterable[Edge]) -> Floats:
    """How far it is from label to label along the edges.

    Args:
        names: the C labelled nodes; all other nodes are inner nodes without a label.
        edges: in any order and direction; together they make one tree.

    Returns:
        Shape (C, C), in units of the lengths.

    Raises:
        ValueError: a cycle, a part that hangs alone, or a length that is not above zero.
    """
    near = _neighbours(names, list(edges))
    nodes, place = [names[0]], {names[0]: 0}
    lengths = np.zeros((len(near), len(near)))
    for node in nodes:  # grows as it is walked
        for other, length in near[node].items():
            if other not in place:
                new = place[other] = len(nodes)
                nodes.append(other)
                lengths[new, :new] = lengths[:new, new] = lengths[place[node], :new] + length
    chosen = [place[name] for name in names]
    return lengths[np.ix_(chosen, chosen)]


def _neighbours(names: Sequence[str], edges: Sequence[Edge]) -> dict[str, dict[str, float]]:
    """What lies next to every node, once the edges are known to make one tree."""
    parts: dict[str, set[str]] = {}
    near: dict[str, dict[str, float]] = {}
    for one, other, length in edges:
        if not 0 < length < math.inf:
            raise ValueError(f"edges: {one!r} to {other!r} needs a length above 0, got {length}")
        _join(parts, one, other)
        near.setdefault(one, {})[other] = length
        near.setdefault(other, {})[one] = length
    for name in [*names, *parts]:
        if parts.get(name) is None:
            raise ValueError(f"edges: the label {name!r} is in none of them; connect it")
        if parts[name] is not parts[names[0]]:
            raise ValueError(f"edges: no path leads from {names[0]!r} to {name!r}; connect them")
    return near


def _join(parts: dict[str, set[str]], one: str, other: str) -> None:
    """Make two parts one; nodes of one part share one set."""
    mine, theirs = parts.setdefault(one, {one}), parts.setdefault(other, {other})
    if mine is theirs:
        raise ValueError(f"edges: {one!r} to {other!r} closes a cycle; leave one edge out")
    mine |= theirs
    for node in theirs:
        parts[node] = mine
