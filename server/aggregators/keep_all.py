"""No consensus: the student answers to every teacher."""

from typing import ClassVar, final

import numpy as np
from typing_extensions import override

from common.arrays import Floats
from common.component import component
from common.labels import LabelGeometry
from server.aggregators import Aggregator, Targets
from server.weightings import normalised


@final
@component
class KeepAll(Aggregator):
    """Every opinion is a target of its own, T = K; the student minimises a weighted sum.

    For a loss whose gradient is linear in the target (KL) this trains the same student as the
    mean; for transport it does not, by convexity. The abstract of KNOT describes transport
    to the weighted mixture, its released code this weighted sum; we follow the code.

    Reference: Bhardwaj, Vaidya, Poria. *KNOT*, COLING 2022, released code.
    https://arxiv.org/abs/2110.02432
    """

    keeps_opinions: ClassVar[bool] = True

    @override
    def combine(self, probs: Floats, weights: Floats, geometry: LabelGeometry) -> Targets:
        del geometry
        return Targets(np.asarray(probs, dtype=np.float32), normalised(weights).astype(np.float32))
