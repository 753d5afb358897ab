"""Labels on a line."""

from typing import final

from typing_extensions import override

from common.component import component
from common.labels import LabelGeometry
from server.geometries import Geometry
from server.geometries._refusal import config_errors


@final
@component
class Ordinal(Geometry):
    """The labels on a line, in the data set's order.

    Attributes:
        positions: C increasing numbers; without them 0, 1, ..., C-1.
    """

    positions: tuple[float, ...] | None = None

    @override
    def build(self, labels: LabelGeometry) -> LabelGeometry:
        with config_errors():
            return LabelGeometry.ordinal(labels.names, self.positions)
