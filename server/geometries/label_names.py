"""Labels where a language model puts their names."""

from typing import Literal, final

import numpy as np
from pydantic import Field
from typing_extensions import override

from common.arrays import Floats
from common.component import component
from common.encoders import Encoder, encode_cached
from common.encoders.sentence import Sentence
from common.failures import ConfigError
from common.labels import LabelGeometry
from common.places import cache_dir
from server.geometries import Geometry


def _sentence() -> Encoder:
    # C short names: speed does not matter, and a fixed format is not left to the machine.
    return Sentence(dtype="float32")


@final
@component
class LabelNames(Geometry):
    """Distances between the label names as an encoder reads them.

    The costs are scaled to the mean cost of the data set's own geometry, so that an arm of a
    comparison changes which labels are near, and not how large the loss and its gradient
    are beside the schedule. Antonyms stand in like sentences, and encoders put them near
    each other; look at the costs before believing them.

    Attributes:
        encoder: turns names into features; underlines in them are read as spaces.
        metric: ``euclidean`` distance, or ``cosine`` for 1 - cosine, which is half the squared
            distance of the directions and no metric.
    """

    encoder: Encoder = Field(default_factory=_sentence)
    metric: Literal["euclidean", "cosine"] = "euclidean"

    @override
    def build(self, labels: LabelGeometry) -> LabelGeometry:
        names = [name.replace("_", " ") for name in labels.names]
        features = encode_cached(self.encoder, names, cache_dir() / "features")
        raw = _distances(features.astype(np.float64), self.metric)
        mean = raw.sum() / (len(raw) * (len(raw) - 1))
        if mean == 0:
            raise ConfigError("server.geometry.encoder: it reads all label names alike")
        return LabelGeometry.from_matrix(labels.names, raw * (labels.mean_cost / mean))


def _distances(features: Floats, metric: str) -> Floats:
    """Shape (C, C) from shape (C, D)."""
    if metric == "cosine":
        lengths = np.linalg.norm(features, axis=1, keepdims=True)
        features = features / np.where(lengths > 0, lengths, 1.0)
    apart = np.stack([np.linalg.norm(features - row, axis=1) for row in features])
    return apart**2 / 2 if metric == "cosine" else apart
