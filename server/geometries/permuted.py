"""The control of every geometry: the same distances between the wrong labels."""

from collections.abc import Iterator
from itertools import islice
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

# Parts of the largest cost. The wider one guards the narrower: costs that are not all alike
# are changed by some order.
_ALIKE, _SAME = 1e-6, 1e-9
_DRAWN = 32


@final
@component
class Permuted(Geometry):
    """The data set's labels dealt each other's places.

    Costs are the data set's in value and number, so a student that does as well with them
    did not profit from which labels are near. An order that changes no cost, or that turns
    a line round, is refused and never drawn: it is no control.

    Attributes:
        order: label i goes where label ``order[i]`` was; counted from 0.
        seed: draws the order where none is given: of 32 that leave no label in its place, the
            one whose costs have the least to do with the data set's (correlation nearest
            zero). Other seeds give other controls, if there are enough labels.
    """

    order: tuple[int, ...] | None = None
    seed: int = Field(default=0, ge=0)

    @override
    def build(self, labels: LabelGeometry) -> LabelGeometry:
        apart = labels.cost[~np.eye(len(labels), dtype=bool)]
        if np.ptp(apart) <= _ALIKE * apart.max():
            raise ConfigError("server.geometry: labels equally far apart have no permuted control")
        with config_errors():
            order = self._drawn(labels) if self.order is None else self.order
            made = labels.permuted(order)
        if not _differs(labels, order):
            raise ConfigError("server.geometry.order: this one changes no distance; write another")
        return made

    def _drawn(self, labels: LabelGeometry) -> tuple[int, ...]:
        """Of some orders the most neutral one: chance alone may nearly turn a line round."""
        orders = islice(_orders(labels, stream(self.seed, "permuted")), _DRAWN)
        return min(orders, key=lambda order: abs(_correlation(labels, order)))


def _orders(labels: LabelGeometry, rng: np.random.Generator) -> Iterator[tuple[int, ...]]:
    """Without end: random orders that leave no label in its place and change the costs.

    There are some, because orders without a fixed point turn any pair of labels into any other.
    """
    while True:
        order = tuple(rng.permutation(len(labels)).tolist())
        if all(i != place for i, place in enumerate(order)) and _differs(labels, order):
            yield order


def _correlation(labels: LabelGeometry, order: tuple[int, ...]) -> float:
    """Pearson's, between old and new costs of the pairs of labels."""
    pairs = np.triu_indices(len(labels), 1)
    both = labels.cost[pairs], labels.permuted(order).cost[pairs]
    return float(np.corrcoef(*both)[0, 1])


def _differs(labels: LabelGeometry, order: tuple[int, ...]) -> bool:
    """Whether this order makes another geometry; a line turned round is the same line."""
    turned = labels.is_line and order == tuple(reversed(range(len(labels))))
    change = np.abs(labels.permuted(order).cost - labels.cost).max()
    return not turned and bool(change > _SAME * labels.cost.max())
