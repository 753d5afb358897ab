"""Ground costs of every shape and distributions of every sharpness, drawn by seed."""

from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Array = NDArray[np.float64]


def between(points: Array, power: float = 1.0) -> Array:
    """Euclidean distances of points (C, D), to a power; free of the rounding of Gram matrices."""
    return np.asarray(np.linalg.norm(points[:, None] - points[None], axis=-1) ** power)


def shortest(lengths: Array) -> Array:
    """All-pairs shortest paths over symmetric edge lengths (n, n), inf where there is none."""
    paths = lengths.copy()
    np.fill_diagonal(paths, 0)
    for middle in range(len(paths)):
        paths = np.minimum(paths, paths[:, middle : middle + 1] + paths[middle : middle + 1])
    return paths


def ordinal(rng: Generator, size: int) -> Array:
    """A line with gaps over three orders of magnitude, its labels in any order."""
    gaps = 10 ** rng.uniform(-2, 1, size)
    return between(rng.permutation(np.cumsum(gaps))[:, None])


def discrete(rng: Generator, size: int) -> Array:
    return float(rng.uniform(0.5, 2)) * (1 - np.eye(size))


def star(rng: Generator, size: int) -> Array:
    return spokes(rng.uniform(0.1, 2, size))


def spokes(lengths: Array) -> Array:
    cost = lengths[:, None] + lengths[None]
    np.fill_diagonal(cost, 0)
    return np.asarray(cost)


def tree(rng: Generator, size: int) -> Array:
    """A random tree; labels sit on some of its nodes, inner ones too, the others are hidden."""
    nodes = size + int(rng.integers(0, size + 1))
    lengths = np.full((nodes, nodes), np.inf)
    for node in range(1, nodes):
        parent = int(rng.integers(0, node))
        lengths[node, parent] = lengths[parent, node] = rng.uniform(0.1, 2)
    labelled = rng.permutation(nodes)[:size]
    return shortest(lengths)[np.ix_(labelled, labelled)]


def plane(rng: Generator, size: int) -> Array:
    return between(rng.normal(size=(size, 2)))


def squared_plane(rng: Generator, size: int) -> Array:
    return between(rng.normal(size=(size, 2)), power=2)


def knot(rng: Generator, size: int) -> Array:
    """Coordinates of KNOT's released code: one-hot and, behind it, a rating."""
    del rng
    return between(np.concatenate([np.eye(size), np.arange(size)[:, None]], axis=1))


def metric(rng: Generator, size: int) -> Array:
    upper = np.triu(rng.uniform(0.2, 2, (size, size)), 1)
    return shortest(upper + upper.T)


def twins(rng: Generator, size: int) -> Array:
    """Points in the plane, some of them at the same place: a pseudo-metric."""
    return between(rng.integers(0, 3, (size, 2)).astype(float))


def symmetric(rng: Generator, size: int) -> Array:
    upper = np.triu(rng.uniform(0, 1, (size, size)), 1)
    return np.asarray(upper + upper.T)


def asymmetric(rng: Generator, size: int) -> Array:
    cost = rng.uniform(0, 1, (size, size))
    np.fill_diagonal(cost, 0)
    return np.asarray(cost)


def one_way(rng: Generator, size: int) -> Array:
    """Shortest ways in one-way streets: all of a metric but its symmetry."""
    return shortest(rng.uniform(0.2, 2, (size, size)))


def dear_diagonal(rng: Generator, size: int) -> Array:
    """Where staying costs something: the mass that q and p share may have to move."""
    return np.asarray(rng.uniform(0, 1, (size, size)) + np.eye(size))


def negative(rng: Generator, size: int) -> Array:
    return rng.normal(size=(size, size))


def integers(rng: Generator, size: int) -> Array:
    """Many plans are optimal, and many potentials."""
    return rng.integers(0, 4, (size, size)).astype(float)


def scales(rng: Generator, size: int) -> Array:
    """Entries over six orders of magnitude."""
    return np.asarray(10 ** rng.uniform(-6, 0, (size, size)))


COSTS: dict[str, Callable[[Generator, int], Array]] = {
    make.__name__: make
    for make in (
        ordinal, discrete, star, tree, plane, squared_plane, knot, metric, twins,
        symmetric, asymmetric, one_way, dear_diagonal, negative, integers, scales,
    )
}  # fmt: skip
TREES = ("ordinal", "discrete", "star", "tree")
METRICS = (*TREES, "plane", "knot", "metric", "twins")


def draw(rng: Generator, rows: int, size: int) -> tuple[Array, Array]:
    """Pairs q, p of shape (rows, C): soft, sharp, with zeros, certain, equal, nearly equal,
    on a coarse lattice and on disjoint supports, in turn."""
    alpha = rng.choice([0.05, 0.5, 1.0, 20.0], (2, rows, 1))
    masses = rng.standard_gamma(np.broadcast_to(alpha, (2, rows, size))) + 1e-300
    q, p = masses / masses.sum(axis=-1, keepdims=True)
    kind, eye = np.arange(rows) % 10, np.eye(size)
    q[kind == 3] = eye[rng.integers(0, size, (kind == 3).sum())]
    p[kind >= 8] = eye[rng.integers(0, size, (kind >= 8).sum())]
    q[kind == 9] = eye[rng.integers(0, size, (kind == 9).sum())]
    p[kind == 4] = q[kind == 4]
    p[kind == 5] = q[kind == 5] * (1 + 1e-6 * rng.normal(size=((kind == 5).sum(), size)))
    for side in (q, p):
        side[kind == 6] = rng.multinomial(8, np.full(size, 1 / size), (kind == 6).sum())
    if size > 1:
        half = rng.permutation(size)[: size // 2]
        rest = np.setdiff1d(np.arange(size), half)
        q[np.ix_(kind == 7, half)], p[np.ix_(kind == 7, rest)] = 0, 0
    return normal(q), normal(p)


def soft(rng: Generator, rows: int, size: int) -> tuple[Array, Array]:
    """Pairs without zeros, unlike each other; almost surely away from every kink."""
    q, p = rng.dirichlet(np.ones(size), (2, rows))
    return normal(q + 0.01), normal(p + 0.01)


def normal(masses: Array) -> Array:
    """Rows that sum to 1; a row without mass becomes uniform."""
    masses = masses + (masses.sum(axis=-1, keepdims=True) == 0)
    return np.asarray(masses / masses.sum(axis=-1, keepdims=True))
