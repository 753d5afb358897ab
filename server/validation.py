"""How well the student does on the server's own labelled texts."""

from dataclasses import dataclass

from torch import nn

from common.arrays import Floats, Ints
from common.labels import LabelGeometry
from common.metrics import evaluate
from server.distil import predict


@dataclass(frozen=True, eq=False)
class Validation:
    """The server's own small labelled slice, public; it reports, it never selects.

    Attributes:
        features: shape (V, D).
        labels: shape (V,).
        geometry: the labels and their ground cost, as agreed on; not as learned since.
    """

    features: Floats
    labels: Ints
    geometry: LabelGeometry

    def metrics(self, student: nn.Module) -> dict[str, float]:
        """How well the student does now, to six digits."""
        probs = predict(student, self.features)
        found = evaluate(probs, self.labels, self.geometry, validation=None)
        return {name: round(value, 6) for name, value in found.items() if value is not None}
