"""Labels in a hierarchy."""

from typing import final

from typing_extensions import override

from common.component import component
from common.labels import LabelGeometry
from server.geometries import Geometry
from server.geometries._refusal import config_errors


@final
@component
class Tree(Geometry):
    """Labels that hang in a weighted tree; the cost is the length of the path.

    Attributes:
        edges: (parent or node, node, length above 0); nodes that are no label of the data
            set are inner nodes. Names are written as the data set writes them.
    """

    edges: tuple[tuple[str, str, float], ...]

    @override
    def build(self, labels: LabelGeometry) -> LabelGeometry:
        with config_errors():
            return LabelGeometry.tree(labels.names, self.edges)
