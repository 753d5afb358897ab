"""Labels that somebody got wrong."""

from typing import Literal, final

import numpy as np
from pydantic import Field
from typing_extensions import override

from common.arrays import Ints
from common.component import component
from common.labels import LabelGeometry
from simulations.corruptions import Corruption, Shard


@final
@component
class LabelNoise(Corruption):
    """Some rows, drawn by chance, have another label: any other, or a neighbouring one.

    Of M rows, ``rate`` M are changed, to the nearest whole number, and none of them keeps its
    label. ``any``: each of the C - 1 other labels is equally likely, the symmetric noise of
    van Rooyen, Menon and Williamson, "Learning with Symmetric Label Noise" (NeurIPS 2015).
    ``neighbour``: the label whose cost is least, chance decides between equals; on a scale,
    one step up or down.

    Attributes:
        rate: share of a client's rows that are changed.
        to: which other label.
    """

    rate: float = Field(default=0.2, ge=0, le=1)
    to: Literal["any", "neighbour"] = "any"

    @override
    def corrupt(self, shard: Shard, geometry: LabelGeometry, rng: np.random.Generator) -> Shard:
        labels = shard.labels.copy()
        rows = rng.permutation(len(labels))[: round(self.rate * len(labels))]
        if self.to == "any":
            away = rng.integers(1, len(geometry), len(rows))
            labels[rows] = (labels[rows] + away) % len(geometry)
        else:
            labels[rows] = _nearest(labels[rows], geometry, rng)
        return Shard(shard.texts, labels)


def _nearest(labels: Ints, geometry: LabelGeometry, rng: np.random.Generator) -> Ints:
    """For each label the one next to it, shape (M,)."""
    cost = np.where(np.eye(len(geometry), dtype=bool), np.inf, geometry.cost)
    near = np.isclose(cost, cost.min(axis=1, keepdims=True), rtol=1e-9, atol=0)[labels]
    chosen: Ints = np.where(near, rng.random(near.shape), -1.0).argmax(axis=1)
    return chosen
