"""What was promised over KNOT's own call, and whether it holds here."""

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, TypeAlias

from simulations.benches.arms import AUTO, UNCHECKED
from simulations.benches.peers import KNOT

Shape: TypeAlias = tuple[int, int, int]
"""B, K, C."""

_TREES: dict[Shape, float] = {
    (1024, 4, 5): 43,
    (1024, 4, 7): 59,
    (4096, 10, 5): 95,
    (1024, 32, 20): 1000,
    (256, 4, 100): 1170,
}
_OTHERS = {5: 25.0, 7: 21.0, 20: 13.0, 100: 10.0}
_OTHERS_WITHOUT_NUMBA = {7: 11.0, 20: 3.5}


@dataclass(frozen=True)
class Floor:
    """One promise about one pairing of a workload and a cost.

    Attributes:
        workload: B, K, C.
        cost: name of the ground cost.
        promised: times faster than KNOT's call.
        measured: by the automatic solver, by the same without input checks, and by the
            fastest exact solver of ours; None where KNOT's call is not installed.
        fastest: that solver.
        scaled: whether KNOT's call was timed on some of the samples only.
    """

    workload: Shape
    cost: str
    promised: float
    measured: dict[str, float | None]
    fastest: str
    scaled: bool

    @property
    def holds(self) -> dict[str, bool | None]:
        """The answer for each measurement; None if it could not be measured."""
        return {k: None if v is None else v >= self.promised for k, v in self.measured.items()}


def floors(pairings: Iterable[dict[str, Any]]) -> list[Floor]:
    """The promises about the pairings that were measured."""
    made = []
    for pairing in pairings:
        batch, clients, labels = pairing["workload"]
        shape = batch, clients, labels
        promised = _promised(shape, pairing["kind"] == "tree")
        if promised is not None:
            made.append(_floor(shape, pairing, promised))
    return made


def _promised(workload: Shape, is_tree: bool) -> float | None:
    others = _OTHERS if find_spec("numba") else {**_OTHERS, **_OTHERS_WITHOUT_NUMBA}
    if is_tree:
        return _TREES.get(workload)
    return others.get(workload[2]) if workload in _TREES else None


def _floor(shape: Shape, pairing: dict[str, Any], promised: float) -> Floor:
    rows = {row["arm"]: row for row in pairing["rows"]}
    ours = [r for r in pairing["rows"] if r["ours"] and r["exact"] and r["ms"] is not None]
    fastest = min(ours, key=lambda row: row["ms"])
    measured = {
        "auto": rows[AUTO]["ratio"],
        "unchecked": rows[UNCHECKED]["ratio"],
        "fastest": fastest["ratio"],
    }
    return Floor(shape, pairing["cost"], promised, measured, fastest["arm"], rows[KNOT]["scaled"])
