"""Exact transport by successive shortest paths, compiled; needs the optional extra `fast`.

From every source, mass is sent along the cheapest path of the residual network to the
nearest label that still wants some; potentials keep reduced costs non-negative, so that
Dijkstra's method applies (Tomizawa 1971; Edmonds, Karp 1972; see Ahuja, Magnanti, Orlin,
*Network Flows*, 1993, section 9.7).
"""

import numpy as np
from numba import njit

_DUST = 1e-15  # relative to the mass to be moved: less than this is rounding


# Calls would count references to a dozen arrays each time, which costs as much as a problem.
_part = njit(inline="always")


@njit(nogil=True)
def solve_all(q, p, matrix, is_metric, values, f):  # type: ignore[no-untyped-def]
    """Fill ``values`` (N,) and centred potentials ``f`` (N, C) of N problems.

    Args:
        q: shape (B, C), float64, rows sum to 1; problem n has row n modulo B.
        p: shape (N, C), float64, rows sum to 1.
        matrix: shape (C, C), float64, any finite numbers.
        is_metric: whether only what one side has too much need move.
        values: written; the optimal costs.
        f: written; potentials of the labels of q, rows sum to 0.
    """
    size = q.shape[1]
    sources, sinks = np.empty(size, np.int64), np.empty(size, np.int64)
    supply, demand = np.empty(size), np.empty(size)
    cost, flow = np.empty((size, size)), np.empty((size, size))
    u, v, distance = np.empty(size), np.empty(size), np.empty(size)
    source_before, sink_before = np.empty(size, np.int64), np.empty(size, np.int64)
    order, done = np.empty(size, np.int64), np.empty(size, np.bool_)
    ahead = np.empty(size)  # distances of the sinks that are not settled, infinity of the others
    for n in range(len(p)):
        mine = n % len(q)
        m, k, moved = _sides(q, mine, p, n, is_metric, sources, sinks, supply, demand)
        if m == 0 or k == 0:
            f[n] = 0.0
            values[n] = 0.0
            continue
        _start(matrix, sources, sinks, m, k, cost, flow, u, v)
        dust = _DUST * moved
        for i in range(m):
            while supply[i] > dust:
                # fmt: off
                last, settled = _search(
                    i, m, k, cost, flow, u, v, demand, dust,
                    distance, source_before, sink_before, order, done, ahead,
                )
                # fmt: on
                if last < 0:
                    break
                _raise(i, m, last, settled, u, v, distance, sink_before, order, done)
                _send(i, last, dust, supply, demand, flow, source_before, sink_before)
        values[n] = _finish(q, mine, p, n, matrix, is_metric, sinks, k, v, f)


@_part
def _sides(q, mine, p, n, is_metric, sources, sinks, supply, demand):  # type: ignore[no-untyped-def]  # noqa: PLR0913
    """Who gives and who takes, equal masses on both sides; their numbers and that mass."""
    m, k, given, taken = 0, 0, 0.0, 0.0
    for c in range(q.shape[1]):
        gives, takes = q[mine, c], p[n, c]
        if is_metric:
            gives -= takes
            takes = -gives
        if gives > 0.0:
            sources[m] = c
            supply[m] = gives
            m += 1
            given += gives
        if takes > 0.0:
            sinks[k] = c
            demand[k] = takes
            k += 1
            taken += takes
    scale = given / taken if k else 1.0
    for j in range(k):
        demand[j] *= scale
    return m, k, given


@_part
def _start(matrix, sources, sinks, m, k, cost, flow, u, v):  # type: ignore[no-untyped-def]  # noqa: PLR0913
    """No flow, and potentials under which no reduced cost is negative."""
    for j in range(k):
        v[j] = np.inf
    for i in range(m):
        u[i] = 0.0
        for j in range(k):
            c = matrix[sources[i], sinks[j]]
            cost[i, j] = c
            flow[i, j] = 0.0
            if c < v[j]:
                v[j] = c


@_part
def _search(  # type: ignore[no-untyped-def]  # noqa: C901, PLR0913 - one tight loop
    start,
    m,
    k,
    cost,
    flow,
    u,
    v,
    demand,
    dust,
    distance,
    source_before,
    sink_before,
    order,
    done,
    ahead,
):
    """Dijkstra over the sinks, from source ``start`` to the nearest sink that wants mass.

    Returns that sink, or -1, and how many sinks were settled (``order`` lists them).
    ``source_before[j]`` precedes sink j on the path, ``sink_before[i]`` precedes source i.
    """
    for j in range(k):
        distance[j] = cost[start, j] - u[start] - v[j]
        ahead[j] = distance[j]
        source_before[j], done[j] = start, False
    for i in range(m):
        sink_before[i] = -1
    settled = 0
    while settled < k:
        # Choices instead of branches, here and below: a mispredicted branch costs more.
        best, least = 0, np.inf
        for j in range(k):
            near = ahead[j] < least
            least = ahead[j] if near else least
            best = j if near else best
        ahead[best] = np.inf
        done[best] = True
        order[settled] = best
        settled += 1
        if demand[best] > dust:
            return best, settled
        for i in range(m):
            if i == start or sink_before[i] >= 0 or flow[i, best] <= 0.0:
                continue
            sink_before[i] = best
            base = least - u[i]
            for j in range(k):
                through = base + cost[i, j] - v[j]
                near = (through < distance[j]) & (not done[j])
                distance[j] = through if near else distance[j]
                ahead[j] = through if near else ahead[j]
                source_before[j] = i if near else source_before[j]
    return -1, settled


@_part
def _raise(start, m, last, settled, u, v, distance, sink_before, order, done):  # type: ignore[no-untyped-def]  # noqa: PLR0913
    """Potentials under which the path just found is tight and nothing is violated."""
    reach = distance[last]
    for i in range(m):
        before = sink_before[i]
        if before >= 0 and before != last and done[before]:
            u[i] += reach - distance[before]
    u[start] += reach
    for n in range(settled):
        v[order[n]] -= reach - distance[order[n]]


@_part
def _send(start, last, dust, supply, demand, flow, source_before, sink_before):  # type: ignore[no-untyped-def]  # noqa: PLR0913
    """As much as the path allows."""
    amount, j = min(supply[start], demand[last]), last
    while source_before[j] != start:
        i = source_before[j]
        j = sink_before[i]
        amount = min(amount, flow[i, j])
    j = last
    while True:
        i = source_before[j]
        flow[i, j] += amount
        if i == start:
            break
        j = sink_before[i]
        flow[i, j] -= amount
        if flow[i, j] < dust:
            flow[i, j] = 0.0
    supply[start] -= amount
    demand[last] -= amount


@_part
def _finish(q, mine, p, n, matrix, is_metric, sinks, k, v, f):  # type: ignore[no-untyped-def]  # noqa: PLR0913
    """The largest feasible f, centred, written; returns the dual value."""
    size, middle = q.shape[1], 0.0
    for c in range(size):
        least = matrix[c, sinks[0]] - v[0]
        for j in range(1, k):
            bound = matrix[c, sinks[j]] - v[j]
            if bound < least:  # `min` would ask about NaN too
                least = bound
        f[n, c] = least
        middle += least
    middle /= size
    value = 0.0
    for c in range(size):
        f[n, c] -= middle
        value += f[n, c] * (q[mine, c] - p[n, c] if is_metric else q[mine, c])
    if not is_metric:
        for j in range(k):
            value += (v[j] + middle) * p[n, sinks[j]]
    return value
