"""An arm: one way to learn from given predictions."""

import hashlib
import json
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np

from common.configure import dump, kind_of
from common.failures import ConfigError
from common.labels import LabelGeometry
from common.seeds import stream
from server.aggregators import Aggregator
from server.geometries import Geometry
from server.losses import DistillationLoss
from server.weightings import Weighting


@dataclass(frozen=True)
class Arm:
    """One way to learn. Equal arms of one seed give the same student, bit for bit.

    Attributes:
        loss: how wrong the student is about one opinion.
        weighting: whom to believe.
        aggregator: from opinions to targets.
        geometry: the ground cost; None where neither loss nor aggregator looks at it.
        over: what a control makes of that geometry in turn; None for nothing.
    """

    loss: DistillationLoss
    weighting: Weighting
    aggregator: Aggregator
    geometry: Geometry | None
    over: Geometry | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """Everything about it, as an experiment file would say it; without what has no say."""
        parts = vars(self).items()
        return {k: {"kind": kind_of(v)} | dump(v) for k, v in parts if v is not None}

    def key(self, run: str, seed: int) -> str:
        """SHA-256, in hexadecimal, of this arm on the predictions of one run."""
        table = {"arm": self.settings, "run": run, "seed": seed}
        return hashlib.sha256(json.dumps(table, sort_keys=True).encode()).hexdigest()

    def cost(self, labels: LabelGeometry) -> LabelGeometry:
        """What loss and aggregator are given, for a data set with these labels.

        Raises:
            ConfigError: the geometry does not fit the labels, or the loss cannot serve it.
        """
        built = labels if self.geometry is None else self.geometry.build(labels)
        if self.over is not None and self.geometry is not None:
            built = self.over.build(built)
            if type(self.geometry).refine is not Geometry.refine:
                built = self.geometry.build(built)  # what is learned sets out from there
        self.loss.check(built)
        return built

    def refusal(self, labels: LabelGeometry) -> str | None:
        """Why it cannot serve these labels, in one line; None if it can."""
        try:
            self.cost(labels)
        except ConfigError as error:
            return str(error)
        return None

    def bare(self) -> "Arm":
        """The same arm, without a geometry that it never looks at."""
        looks = self.loss.uses_geometry or looks_at_geometry(self.aggregator)
        return self if looks else replace(self, geometry=None)

    def name(self, with_aggregator: bool) -> str:
        """Weighting and loss; the geometry unless it is the data set's own."""
        words = [f"{written(self.weighting)} + {written(self.loss)}"]
        words += [written(self.aggregator)] if with_aggregator else []
        words += [self.costs] if self.costs not in ("", "given") else []
        return ", ".join(words)

    @property
    def costs(self) -> str:
        """Its ground cost as a person reads it; empty where it has none."""
        return " of ".join(written(g) for g in (self.over, self.geometry) if g is not None)


def written(part: Any) -> str:
    """A component as a person reads it: its kind, and what is set unlike the default."""
    try:
        standard = dump(type(part)())
    except (TypeError, ValueError):  # a setting without a default
        standard = {}
    unlike = {k: v for k, v in dump(part).items() if standard.get(k) != v}
    listed = ", ".join(f"{key}={value}" for key, value in unlike.items())
    return f"{kind_of(part)}({listed})" if listed else kind_of(part)


@cache
def looks_at_geometry(aggregator: Aggregator) -> bool:
    """Whether the targets depend on the ground cost, found by asking with two of them."""
    rng = stream(0, "probe")
    opinions = rng.dirichlet(np.ones(4), size=(3, 16)).astype(np.float32)  # (K, N, C)
    weights, names = np.ones(opinions.shape[:2]), tuple("abcd")
    line, apart = LabelGeometry.ordinal(names, (0, 1, 5, 6)), LabelGeometry.discrete(names)
    one, other = (aggregator.combine(opinions, weights, cost).probs for cost in (line, apart))
    return not np.array_equal(one, other)
