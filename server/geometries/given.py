"""The data set's own geometry."""

from typing import final

from typing_extensions import override

from common.component import component
from common.labels import LabelGeometry
from server.geometries import Geometry


@final
@component
class Given(Geometry):
    """The labels where the data set puts them."""

    @override
    def build(self, labels: LabelGeometry) -> LabelGeometry:
        return labels
