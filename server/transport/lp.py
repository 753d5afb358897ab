"""Any cost, any number of labels: exact transport by linear programming, problem by problem.

Two engines with the same values: POT's network simplex, and, where the optional extra `fast`
is installed, successive shortest paths compiled by numba, faster up to some 64 labels.
"""

from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor

from common.arrays import Floats

if TYPE_CHECKING:
    from server.transport.cost import LabelCost

Engine: TypeAlias = Literal["paths", "simplex"]

_MOST_FOR_PATHS = 64  # above it the simplex is faster
_MOST_PIVOTS = 10_000_000


def engine(num_labels: int) -> Engine:
    """The faster of the engines that are installed; they differ by rounding only."""
    return "paths" if num_labels <= _MOST_FOR_PATHS and find_spec("numba") else "simplex"


def solve(
    q: Tensor, p: Tensor, cost: "LabelCost", chosen: Engine | None = None
) -> tuple[Tensor, Tensor, None]:
    """Exact transport in float64 on the CPU, whatever the dtype and device of ``q``.

    For a metric only what one side has too much moves, so the problem is between the labels
    where q exceeds p and those where it falls short. The potential of all other labels is the
    largest one that the constraints allow, so the gradient is right there too.

    Args:
        q: shape (B, C), finite.
        p: shape (T, B, C), finite.
        cost: any.
        chosen: the engine; None for :func:`engine`.

    Returns:
        values (T, B); the centred potential f (T, B, C), the gradient with respect to q.

    Raises:
        ValueError: q or p is not finite.

    Reference: Peyré, Cuturi. *Computational Optimal Transport*, 2019, sections 3.5 (network
    simplex), 3.6 (dual ascent along shortest paths) and 5.1 (c-transforms).
    """
    rows, columns = _plain(q), _plain(p)
    if (chosen or engine(cost.num_labels)) == "paths":
        from server.transport.shortest_paths import solve_all

        solved: tuple[Floats, Floats] = np.empty(len(columns)), np.empty(columns.shape)
        solve_all(rows, columns, cost.matrix, cost.is_metric, *solved)
    else:
        solved = _simplex(rows, columns, cost)
    value, potential = (torch.from_numpy(x).to(q) for x in solved)
    return value.view(p.shape[:-1]), potential.view(p.shape), None


def _plain(rows: Tensor) -> Floats:
    """Shape (N, C), float64, rows of sum 1 to the last bit but one."""
    plain = rows.detach().reshape(-1, rows.shape[-1]).to("cpu", torch.float64, copy=True)
    if not bool(torch.isfinite(plain.sum())):
        raise ValueError("distributions must be finite, got NaN or infinity")
    sums = plain.clamp_(min=0.0).sum(dim=1, keepdim=True)
    if not bool((sums > 0).all()):
        raise ValueError("distributions must have mass, got a row without")
    return np.asarray(plain.div_(sums).numpy())


def in_pots_range(cost: "LabelCost") -> tuple[Floats, float]:
    """A cost that is not negative and spans 1, to be multiplied by its range; what to add then.

    POT calls negative costs infeasible, and its tolerances are absolute.
    """
    lowest = min(0.0, float(cost.matrix.min()))
    return np.ascontiguousarray((cost.matrix - lowest) / cost.range), lowest


def _simplex(q: Floats, p: Floats, cost: "LabelCost") -> tuple[Floats, Floats]:
    """Values (N,) and centred potentials (N, C) by POT; q is (B, C), repeated."""
    matrix, lowest = in_pots_range(cost)
    solver = _pot()
    columns = np.ascontiguousarray(matrix.T)
    values, f = np.zeros(len(p)), np.zeros(p.shape)
    for n, taken in enumerate(p):
        given = q[n % len(q)]
        if cost.is_metric:
            surplus = given - taken
            given, taken = np.maximum(surplus, 0.0), np.maximum(-surplus, 0.0)
        sources, sinks = given.nonzero()[0], taken.nonzero()[0]
        if not (len(sources) and len(sinks)):
            continue
        supply, demand = given[sources], taken[sinks]
        # The simplex wants equal masses; what rounding left is far below any promise.
        demand *= supply.sum() / demand.sum()
        values[n], g = solver(supply, demand, matrix[sources].take(sinks, axis=1))
        # The largest f that the constraints allow, also where q has no mass.
        np.subtract(columns[sinks], g[:, None]).min(axis=0, out=f[n])
    f -= f.mean(axis=1, keepdims=True)
    return values * cost.range + lowest, f * cost.range


@cache
def _pot() -> Any:
    """POT's solver as (supply, demand, cost) -> (value, g).

    Its public function spends as long on checks as on a problem of twenty labels, so the
    private one is called if it still is what it was; what it answers to a problem of known
    solution decides.
    """
    import ot

    def public(supply: Floats, demand: Floats, matrix: Floats) -> tuple[float, Floats]:
        _, log = ot.emd(
            supply, demand, matrix, _MOST_PIVOTS, log=True, center_dual=False, check_marginals=False
        )
        return _checked(log["result_code"], float(log["cost"]), log["v"])

    try:
        from ot.lp.emd_wrap import emd_c

        def private(supply: Floats, demand: Floats, matrix: Floats) -> tuple[float, Floats]:
            _, value, _, g, code = emd_c(supply, demand, matrix, _MOST_PIVOTS, 1, None, None)
            return _checked(code, float(value), g)

        value, _ = private(np.array([1.0]), np.array([0.25, 0.75]), np.array([[4.0, 8.0]]))
    except (ImportError, TypeError, ValueError, RuntimeError):
        return public
    return private if value == 7.0 else public


def _checked(code: int, value: float, g: Floats) -> tuple[float, Floats]:
    if code != 1:
        raise RuntimeError(f"the network simplex did not finish, code {code}")
    return value, g
