"""Timing arms against each other: interleaved, in CPU time, within a budget."""

import gc
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from simulations.benches.arms import Arm, Values
from simulations.benches.exact import differentiate
from simulations.benches.workloads import Batch

_MOST_ROUNDS = 200
_SHORT = 0.02  # seconds
_PATIENCE = 0.25  # of the budget, for one call of one arm
_HOPELESS = 15.0  # seconds: longer than any compiler takes, so do not try more samples
_CHEAP = 0.1  # of that: calls worth one more to warm up


@dataclass(eq=False)
class Lane:
    """One arm's course.

    Attributes:
        arm: with values.
        batch: its samples, all or the first of them.
        scale: all samples over its own.
        times: CPU milliseconds by round, scaled to all samples.
    """

    arm: Arm
    batch: Batch
    scale: float
    times: dict[int, float] = field(default_factory=dict)

    @property
    def median(self) -> float:
        """CPU milliseconds per call."""
        return float(np.median(list(self.times.values())))

    def ratios(self, other: "Lane") -> tuple[float, float, float]:
        """How often it fits into ``other``: median, 10th and 90th percentile of paired rounds."""
        pairs = [other.times[turn] / ms for turn, ms in self.times.items() if turn in other.times]
        low, middle, high = np.percentile(pairs, [10, 50, 90])
        return float(middle), float(low), float(high)


def race(arms: Sequence[Arm], batch: Batch, seconds: float, always: Sequence[str]) -> list[Lane]:
    """Time the arms in turn: one round, then rounds until the budget is spent.

    A round calls every arm, so that what disturbs the machine disturbs them all; of a short
    call the second in a row counts, as in a training loop. Arms that have used up their share
    of the budget skip rounds after the first. Arms too slow for the budget are timed on the
    first samples, and their times scaled up.

    Args:
        arms: which have values.
        batch: all samples.
        seconds: budget, for all rounds but the first.
        always: names of arms that skip no round.
    """
    patience = {arm.name: seconds * (1 if arm.name in always else _PATIENCE) for arm in arms}
    lanes = [_lane(arm, batch, patience[arm.name]) for arm in arms]
    spent = dict.fromkeys(range(len(lanes)), 0.0)
    ends = math.inf
    with _no_collector():
        for turn in range(_MOST_ROUNDS):
            if turn >= 2 and time.monotonic() > ends:
                break
            if turn == 1:
                ends = time.monotonic() + seconds
            for which, lane in enumerate(lanes):
                enough = spent[which] > seconds / len(lanes) and lane.arm.name not in always
                if turn and enough:
                    continue
                took = _seconds(lane.arm.values, lane.batch)
                spent[which] += took
                if took < _SHORT:  # it paid for the caches that others left cold
                    took = _seconds(lane.arm.values, lane.batch)
                lane.times[turn] = 1e3 * took * lane.scale
    return lanes


def _lane(arm: Arm, batch: Batch, seconds: float) -> Lane:
    """Warm up, on more and more samples as long as a call takes less than ``seconds``."""
    clients, samples = batch.teachers.shape[:2]
    most = samples
    if arm.most_problems is not None:
        most = min(samples, max(1, arm.most_problems // clients))
    rows = min(most, max(1, samples // 64))
    took = _seconds(arm.values, batch.first(rows))  # compilers and tables, too
    while rows < most and took < _HOPELESS:
        took = 4 * _seconds(arm.values, batch.first(rows))  # of the next size, if it is linear
        if took > seconds:
            break
        rows = min(most, 4 * rows)
    part = batch.first(rows)
    if took < _CHEAP * seconds:
        _seconds(arm.values, part)
    return Lane(arm, part, samples / rows)


def _seconds(values: Values | None, batch: Batch) -> float:
    assert values is not None, "arms that are not installed do not race"
    started = time.process_time()
    differentiate(values, batch)
    return time.process_time() - started


@contextmanager
def _no_collector() -> Iterator[None]:
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
