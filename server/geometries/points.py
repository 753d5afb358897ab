"""Labels in space."""

from typing import final

from pydantic import Field
from typing_extensions import override

from common.component import component
from common.labels import LabelGeometry
from server.geometries import Geometry
from server.geometries._refusal import config_errors


@final
@component
class Points(Geometry):
    """The labels at points of a space; the cost is their Euclidean distance to a power.

    Attributes:
        points: C rows of D coordinates, in the data set's order of labels.
        p: the power; above 1 the cost is no metric, see
            :meth:`common.labels.LabelGeometry.at_points`.
    """

    points: tuple[tuple[float, ...], ...]
    p: float = Field(default=1.0, gt=0, le=8)

    @override
    def build(self, labels: LabelGeometry) -> LabelGeometry:
        with config_errors():
            return LabelGeometry.at_points(labels.names, self.points, self.p)
