"""Few labels, any cost: the dual polytope has few vertices, and one of them is optimal.

The dual of transport maximises <f, q> + <g, p> over f_i + g_j <= M_ij, a polytope that
depends on the cost alone. It is listed once; then every problem is a row of one matrix
product and an argmax, exact in value and in gradient.
"""

from math import comb
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from common.arrays import Floats

if TYPE_CHECKING:
    from server.transport.cost import LabelCost

MOST_LABELS = 8
"""With nine labels there are 12,870 vertices, and linear programming is faster."""

_JITTER = 1e-10  # makes vertices generic; moves a value by no more, relative to the range
_GROUP = 32  # torch's argmax is scalar, its strided amax is not: two levels are faster
_CELLS = 262_144  # products at a time: 1 MB of float32 stays in a core's cache
Flags = NDArray[np.bool_]


def solve(q: Tensor, p: Tensor, cost: "LabelCost") -> tuple[Tensor, Tensor, None]:
    r"""Exact transport: :math:`W(q, p) = \max_v \langle f_v, q \rangle + \langle g_v, p \rangle`.

    For a metric g = -f, and with f also -f is a vertex: half of them are kept, and the
    largest absolute product is taken.

    Args:
        q: shape (B, C), C at most :data:`MOST_LABELS`.
        p: shape (T, B, C).
        cost: any.

    Returns:
        values (T, B); the centred potential f (T, B, C), the gradient with respect to q.

    Reference: Gordon, Petrov. *Combinatorics of the Lipschitz polytope*, Arnold Math. J. 2017,
    theorem 2 (the number of vertices). https://arxiv.org/abs/1608.06848
    """
    size = q.shape[-1]
    (table,) = cost.tensors("vertex", q.dtype, q.device)
    rows = q - p if cost.is_metric else torch.cat([q.expand_as(p), p], dim=-1)
    flat = rows.reshape(-1, rows.shape[-1])
    best = _winners(flat, table, cost.is_metric)
    vertex = table[best]
    values = torch.linalg.vecdot(vertex, flat)
    f = vertex[:, :size]
    if cost.is_metric:
        f = f * values.sign()[:, None]
        values = values.abs()
    return values.view(p.shape[:-1]), f.reshape(p.shape), None


def _winners(rows: Tensor, table: Tensor, either_sign: bool) -> Tensor:
    """Index, into the V rows of ``table``, of the largest product with each of ``rows`` (N, .)."""
    count = len(table)
    group = _GROUP if count > 4 * _GROUP else 1
    if spare := -count % group:
        table = torch.cat([table, table[:1].expand(spare, -1)])
    columns = table.T.contiguous()
    chunk = max(64, _CELLS // len(table))
    buffer = rows.new_empty(min(chunk, len(rows)), len(table))
    best = [
        _best(torch.mm(r, columns, out=buffer[: len(r)]), either_sign, group)
        for r in rows.split(chunk)
    ]
    found = torch.cat(best) if best else rows.new_empty(0, dtype=torch.long)
    return torch.where(found < count, found, 0)


def _best(products: Tensor, either_sign: bool, group: int) -> Tensor:
    """Argmax along the rows of (n, V); spoils its argument."""
    if either_sign:
        products.abs_()
    if group == 1:
        return products.argmax(dim=1)
    grouped = products.view(len(products), -1, group)
    column = grouped.amax(dim=1).argmax(dim=1)
    picked = column[:, None, None].expand(-1, grouped.shape[1], 1)
    return grouped.gather(2, picked).squeeze(2).argmax(dim=1) * group + column


def vertex_table(matrix: Floats, is_metric: bool) -> Floats:
    """The dual vertices as rows: f (V, C) of a metric, one of each pair; else f and g (V, 2C)."""
    f, g = dual_vertices(matrix)
    middle = f.mean(axis=1, keepdims=True)
    if not is_metric:
        return np.concatenate([f - middle, g + middle], axis=1)
    f = f - middle
    codes = np.round(f / (float(np.ptp(matrix)) or 1.0) * 1e9).astype(np.int64)
    first = codes[np.arange(len(codes)), (codes != 0).argmax(axis=1)]
    half: Floats = f[first > 0] if np.any(first > 0) else f[:1]
    return half


def dual_vertices(matrix: Floats) -> tuple[Floats, Floats]:
    """Every vertex (f, g) of {f_i + g_j <= M_ij}, up to adding a constant to f and taking it off g.

    A vertex is a spanning tree of tight constraints. From one tree the others are reached by
    exchanging an edge, breadth first, on a cost made generic by a tiny noise; there are then
    exactly binomial(2C - 2, C - 1), which is checked.

    Args:
        matrix: shape (C, C), C at most :data:`MOST_LABELS`, any finite numbers.

    Returns:
        f and g, each (V, C), in units of the cost, without doubles.
    """
    size = len(matrix)
    if size > MOST_LABELS:
        raise ValueError(f"vertices are listed for at most {MOST_LABELS} labels, got {size}")
    scale = float(np.ptp(matrix)) or 1.0
    plain = (matrix - matrix.min()) / scale
    for attempt in range(10):
        noise = np.random.default_rng(attempt).uniform(size=(size, size))
        trees = _all_trees(plain + _JITTER * noise)
        if len(trees) == comb(2 * size - 2, size - 1):
            break
    else:
        raise ArithmeticError("the cost has no generic neighbour; this should not happen")
    f, g = _potentials(trees, plain)
    g = (plain[None] - f[:, :, None]).min(axis=1)  # what the noise left is made feasible
    f = (plain[None] - g[:, None, :]).min(axis=2)
    codes = np.round((np.concatenate([f, g], axis=1) - f[:, :1] * _SIGNS[size]) / 1e-11)
    kept = np.unique(codes.astype(np.int64), axis=0, return_index=True)[1]
    return f[kept] * scale, g[kept] * scale + float(matrix.min())


# Adding a constant to f and taking it off g changes nothing; f_0 = 0 makes vertices comparable.
_SIGNS = {
    size: np.concatenate([np.ones(size), -np.ones(size)])[None]
    for size in range(1, MOST_LABELS + 1)
}


def _all_trees(cost: Floats) -> Flags:
    """The spanning trees (V, C, C) of all vertices of a generic cost."""
    frontier = _first_tree(cost)[None]
    f, g = _potentials(frontier, cost)
    seen, levels = set(_codes(frontier).tolist()), [frontier]
    while len(frontier):
        frontier, f, g = _neighbours(frontier, f, g, cost)
        codes, first = np.unique(_codes(frontier), return_index=True)
        fresh = first[[code not in seen for code in codes.tolist()]]
        frontier, f, g = frontier[fresh], f[fresh], g[fresh]
        seen.update(_codes(frontier).tolist())
        levels.append(frontier)
    return np.concatenate(levels)


def _first_tree(cost: Floats) -> Flags:
    """The star of row 0 put far below, to which each other row is raised until it is tight."""
    tree = np.zeros(cost.shape, dtype=bool)
    tree[0] = True
    g = cost[0]
    for row in range(1, len(cost)):
        tree[row, (cost[row] - g).argmin()] = True
    return tree


def _neighbours(trees: Flags, f: Floats, g: Floats, cost: Floats) -> tuple[Flags, Floats, Floats]:
    """All trees that differ by one edge from one of (n, C, C), with their potentials.

    Without the edge (i, j) the tree falls in two; the part of row i sinks until another
    constraint between the parts is tight.
    """
    which, row, column = np.nonzero(trees)
    cut = trees[which]
    cut[np.arange(len(which)), row, column] = False
    rows, columns = _reached(cut, row)
    slack = cost[None] - f[which][:, :, None] - g[which][:, None, :]
    slack = np.where(~rows[:, :, None] & columns[:, None, :], slack, np.inf).reshape(len(which), -1)
    enter = slack.argmin(axis=1)
    sink = slack[np.arange(len(which)), enter]
    bounded = np.isfinite(sink)
    cut[np.arange(len(which)), enter // len(cost), enter % len(cost)] = True
    sink = np.where(bounded, sink, 0.0)[:, None]
    lower, higher = f[which] - rows * sink, g[which] + columns * sink
    return cut[bounded], lower[bounded], higher[bounded]


def _reached(forest: Flags, row: NDArray[np.int64]) -> tuple[Flags, Flags]:
    """Rows and columns (n, C) each in the part of ``row`` (n,) of the forests (n, C, C)."""
    rows = np.zeros(forest.shape[:2], dtype=bool)
    rows[np.arange(len(row)), row] = True
    while True:
        columns: Flags = np.any(forest & rows[:, :, None], axis=1)
        more: Flags = rows | np.any(forest & columns[:, None, :], axis=2)
        if np.array_equal(more, rows):
            return rows, columns
        rows = more


def _potentials(trees: Flags, cost: Floats) -> tuple[Floats, Floats]:
    """F and g (n, C) that make every edge of the trees (n, C, C) tight, with f_0 = 0."""
    count, size = trees.shape[:2]
    f, g = np.zeros((count, size)), np.zeros((count, size))
    rows, columns = np.zeros((count, size), dtype=bool), np.zeros((count, size), dtype=bool)
    rows[:, 0] = True
    while not (rows.all() and columns.all()):
        down = trees & rows[:, :, None] & ~columns[:, None, :]
        g = np.where(down.any(axis=1), _take(cost[None] - f[:, :, None], down, 1), g)
        columns |= down.any(axis=1)
        up = trees & columns[:, None, :] & ~rows[:, :, None]
        f = np.where(up.any(axis=2), _take(cost[None] - g[:, None, :], up, 2), f)
        rows |= up.any(axis=2)
    return f, g


def _take(values: Floats, where: Flags, axis: int) -> Floats:
    """The value at the only place along ``axis`` that is marked."""
    index = where.argmax(axis=axis)
    return np.take_along_axis(values, np.expand_dims(index, axis), axis).squeeze(axis)


def _codes(trees: Flags) -> NDArray[np.uint64]:
    """A number of C * C <= 64 bits for each tree."""
    cells = trees.shape[1] * trees.shape[2]
    bits = np.uint64(1) << np.arange(cells, dtype=np.uint64)
    chosen = np.where(trees.reshape(len(trees), cells), bits, np.uint64(0))
    return np.asarray(chosen.sum(axis=1, dtype=np.uint64))
