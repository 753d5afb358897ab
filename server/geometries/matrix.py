"""Labels with a cost for every pair."""

from typing import final

from typing_extensions import override

from common.component import component
from common.labels import LabelGeometry
from server.geometries import Geometry
from server.geometries._refusal import config_errors


@final
@component
class Matrix(Geometry):
    """A cost for every pair of labels, metric or not.

    Attributes:
        cost: C rows of C numbers, in the data set's order of labels; symmetric, not
            negative, zero on the diagonal.
    """

    cost: tuple[tuple[float, ...], ...]

    @override
    def build(self, labels: LabelGeometry) -> LabelGeometry:
        with config_errors():
            return LabelGeometry.from_matrix(labels.names, self.cost)
