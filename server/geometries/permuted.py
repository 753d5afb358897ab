"""The control of every geometry: the same distances between the wrong labels."""

from typing import final

import numpy as np
from pydantic import Field
from typing_extensions import override

from common.component import component
from common.failures import ConfigError
from common.labels import LabelGeometry
from common.seeds import stream
from server.geometries import Geometry
from server.geometries._refusal import config_errors


@final
@component
class Permuted(Geometry):
    """The data set's labels dealt each other's places.

    Costs are the data set's in value and number, so a student that does as well with them
    did not profit from which labels are near. An order that changes no cost, or that turns
    a line round, is refused and never drawn: it is no control.

    Attributes:
        order: label i goes where label ``order[i]`` was; counted from 0.
        seed: draws an order that leaves no label in its place, where none is given; other
            seeds give other controls.
    """

    order: tuple[int, ...] | None = None
    seed: int = Field(default=0, ge=0)

    @override
    def build(self, labels: LabelGeometry) -> LabelGeometry:
        apart = labels.cost[~np.eye(len(labels), dtype=bool)]
        if np.allclose(apart, apart[0]):
            raise ConfigError("server.geometry: labels equally far apart have no permuted control")
        with config_errors():
            order = self._drawn(labels) if self.order is None else self.order
            made = labels.permuted(order)
        if not _differs(labels, order):
            raise ConfigError("server.geometry.order: this one changes no distance; write another")
        return made

    def _drawn(self, labels: LabelGeometry) -> tuple[int, ...]:
        """Ends, because orders without a fixed point turn any pair of labels into any other."""
        rng, size = stream(self.seed, "permuted"), len(labels)
        while True:
            order = tuple(rng.permutation(size).tolist())
            moved = all(i != place for i, place in enumerate(order))
            if moved and _differs(labels, order):
                return order


def _differs(labels: LabelGeometry, order: tuple[int, ...]) -> bool:
    """Whether this order makes another geometry; a line turned round is the same line."""
    turned = labels.is_line and order == tuple(reversed(range(len(labels))))
    return not turned and not np.allclose(labels.permuted(order).cost, labels.cost)
