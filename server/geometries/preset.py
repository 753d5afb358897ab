"""Labels where a published source puts them."""

from typing import final

from typing_extensions import override

from common.component import component
from common.configure import unknown
from common.label_presets import PRESETS, preset
from common.labels import LabelGeometry
from server.geometries import Geometry
from server.geometries._refusal import config_errors


@final
@component
class Preset(Geometry):
    """A named geometry of a well-known label set, matched to the data set by label names.

    Attributes:
        name: one of :data:`common.label_presets.PRESETS`.
    """

    name: str

    def __post_init__(self) -> None:
        if self.name not in PRESETS:
            raise ValueError(unknown("preset", self.name, PRESETS))

    @override
    def build(self, labels: LabelGeometry) -> LabelGeometry:
        with config_errors():
            return preset(self.name, labels.names)
