"""``fedknot bench ot``: exact transport beside KNOT's call, geomloss, POT and KL."""

import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import torch

from server.transport.cost import LabelCost
from simulations.benches.arms import AUTO, FLOOR, LIMIT, UNCHECKED, Arm, our_arms, yardsticks
from simulations.benches.exact import Exact, solve_exactly
from simulations.benches.floors import floors
from simulations.benches.limits import measure
from simulations.benches.peers import KNOT, peer_arms
from simulations.benches.race import Lane, race
from simulations.benches.workloads import Batch, Ground, Workload, draw, grounds
from simulations.events import Progress

_ALWAYS = (KNOT, AUTO, UNCHECKED, FLOOR, LIMIT)
_RACING = 0.35  # of the time; the rest goes to warming up and to exact answers
QUICK = ("ordinal", "euclid2d")
"""One cost that is a tree and one that is not."""

_PACKAGES = ("torch", "numpy", "POT", "geomloss", "numba")

Row = dict[str, Any]


def bench(
    workloads: Sequence[Workload],
    seconds: float,
    seed: int,
    report: Progress,
    only: Collection[str] | None = None,
) -> dict[str, Any]:
    """Measure every workload with every cost, on one thread.

    Args:
        workloads: what to measure.
        seconds: about how long, for all together; large workloads take what they take.
        seed: of costs, teachers and students.
        report: told ("measure", pairs of workload and cost that are done, all of them).
        only: names of costs; None for all.

    Returns:
        Plain numbers, strings, lists and dicts; see :mod:`simulations.benches.tables`.
    """
    started = time.monotonic()
    rng = np.random.default_rng(seed)
    drawn = [(load, draw(load, rng), grounds(load.labels, rng)) for load in workloads]
    pairs = [
        (load, batch, ground)
        for load, batch, costs in drawn
        for ground in costs
        if only is None or ground.name in only
    ]
    made = []
    with _one_thread():
        limits = asdict(measure())
        for done, (load, batch, ground) in enumerate(pairs):
            report("measure", done, len(pairs))
            made.append(_pairing(load, batch, ground, _RACING * seconds / len(pairs)))
        report("measure", len(pairs), len(pairs))
    return {
        "schema": 1,
        "versions": {name: _version(name) for name in _PACKAGES},
        "limits": limits,
        "workloads": made,
        "floors": [asdict(floor) | {"holds": floor.holds} for floor in floors(made)],
        "seconds": time.monotonic() - started,
    }


def _pairing(load: Workload, batch: Batch, ground: Ground, seconds: float) -> dict[str, Any]:
    """One workload with one cost, measured."""
    cost = LabelCost(ground.matrix)
    peers = peer_arms(ground, load.batch * load.clients)
    arms = [*peers, *our_arms(cost), *yardsticks()]
    lanes = race([arm for arm in arms if arm.values], batch, seconds, _ALWAYS)
    by_name = {lane.arm.name: lane for lane in lanes}
    exact = solve_exactly(batch, ground.matrix)
    return {
        "workload": [load.batch, load.clients, load.labels],
        "cost": ground.name,
        "kind": cost.kind,
        "auto": cost.solver(),
        "rows": [_row(arm, by_name, exact) for arm in arms],
    }


def _row(arm: Arm, lanes: dict[str, Lane], exact: Exact) -> Row:
    row: Row = dict.fromkeys(
        ("ms", "ratio", "ratio_low", "ratio_high", "times_limit", "value_error", "gradient_error")
    )
    about = {"arm": arm.name, "ours": arm.ours, "exact": arm.exact, "note": arm.note}
    if arm.values is None:
        return {**about, **row, "repeats": 0, "scaled": False}
    lane = lanes[arm.name]
    row["ms"] = lane.median
    row["times_limit"] = lanes[LIMIT].ratios(lane)[0]
    if KNOT in lanes:
        row["ratio"], row["ratio_low"], row["ratio_high"] = lane.ratios(lanes[KNOT])
    if arm.transport:
        row["value_error"], row["gradient_error"] = exact.errors(arm.values)
    return {**about, **row, "repeats": len(lane.times), "scaled": lane.scale != 1}


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


@contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
