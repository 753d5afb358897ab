"""Labels without distances."""

from typing import final

from typing_extensions import override

from common.component import component
from common.labels import LabelGeometry
from server.geometries import Geometry


@final
@component
class Discrete(Geometry):
    """Every pair of labels one unit apart: transport is total variation.

    The control that asks whether distances matter at all.
    """

    @override
    def build(self, labels: LabelGeometry) -> LabelGeometry:
        return LabelGeometry.discrete(labels.names)
