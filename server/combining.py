"""From K opinions to weights and targets, some rows at a time.

With a thousand clients the doubles of all opinions would take a hundred times the memory of the
student's targets. Where the weighting and the aggregator look at one text at a time, nobody needs
them all at once; the bits are the same.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from common.arrays import Floats
from common.labels import LabelGeometry
from common.predictions import Ensemble
from common.state import State
from common.subclasses import RefinedGeometry
from server.aggregators import Aggregator, Targets
from server.weightings import Weighting

ALIGNED: Final = 256
"""Blocks begin at its multiples: some aggregators take so many rows at a time themselves."""

_BLOCK_NUMBERS: Final = 2**20  # opinions x labels in a block, 8 MB as doubles


@dataclass(frozen=True, eq=False)
class Combined:
    """What came of all opinions.

    Attributes:
        weights: shape (K, N), how much each was believed; float32, enough to be looked at.
        targets: T of them for each of the N texts.
        state: what the weighting remembers of them.
    """

    weights: Floats
    targets: Targets
    state: State


def combine(
    opinions: Callable[[slice], Ensemble],
    samples: int,
    weighting: Weighting,
    state: State,
    aggregator: Aggregator,
    cost: LabelGeometry,
    numbers: int = _BLOCK_NUMBERS,
) -> Combined:
    """Weigh the opinions and form the targets.

    Unless the weighting or the aggregator ``sees_all_samples``, no more than a block of rows is
    decoded at a time: 256 rows, or as many as hold ``numbers`` probabilities.

    Args:
        opinions: what K teachers say about some of the texts.
        samples: N.
        weighting: whom to believe.
        state: what it remembers.
        aggregator: from K opinions to T targets.
        cost: of the C labels; of C * S subclasses if these are to be combined.
        numbers: K * C * rows of a block, at least those of 256 rows.
    """
    clients = len(opinions(slice(0, 1)).clients)
    parts = [slice(0, samples)]
    matching = aggregator.matches_subclasses and isinstance(cost, RefinedGeometry)
    if not (weighting.sees_all_samples or aggregator.sees_all_samples or matching):
        parts = blocks(samples, numbers // (clients * len(cost)))
    weights = np.empty((clients, samples), dtype=np.float32)
    made: Targets | None = None
    for part in parts:
        ensemble = opinions(part)
        believed = weighting.weigh(ensemble, state)  # (K, B)
        found = aggregator.combine(_split(ensemble, cost), believed, cost)  # (T, B, C)
        if len(parts) == 1:
            heard = weighting.heard(ensemble, state) if weighting.sees_all_samples else state
            return Combined(believed.astype(np.float32), found, heard)
        made = made or _empty(found, samples)
        weights[:, part] = believed
        made.probs[:, part], made.weights[:, part] = found.probs, found.weights
    assert made is not None, "a transfer set has at least one text"
    return Combined(weights, made, state)


def _split(ensemble: Ensemble, cost: LabelGeometry) -> Floats:
    """The opinions on what the cost is of: labels (K, B, C), or subclasses (K, B, C * S)."""
    if not isinstance(cost, RefinedGeometry):
        return ensemble.probs
    assert ensemble.subclasses is not None, "the gate lets no others in"
    return ensemble.subclasses


def blocks(samples: int, most: int) -> list[slice]:
    """The N samples in order, cut at multiples of :data:`ALIGNED`.

    Args:
        samples: N, at least 1.
        most: rows of a block, at least :data:`ALIGNED`; the last may have one more, for a single
            column of weights is summed in another order than a column among others.
    """
    size = max(1, most // ALIGNED) * ALIGNED
    starts = list(range(0, samples, size))
    if len(starts) > 1 and samples - starts[-1] == 1:
        starts.pop()
    return [slice(a, b) for a, b in zip(starts, [*starts[1:], samples], strict=True)]


def _empty(like: Targets, samples: int) -> Targets:
    count, _, labels = like.probs.shape
    return Targets(
        np.empty((count, samples, labels), dtype=np.float32),
        np.empty((count, samples), dtype=np.float32),
    )
