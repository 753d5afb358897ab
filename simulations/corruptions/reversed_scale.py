"""Clients who read the scale from the other end."""

from typing import final

import numpy as np
from typing_extensions import override

from common.component import component
from common.failures import ConfigError
from common.labels import LabelGeometry
from simulations.corruptions import Corruption, Shard


@final
@component
class ReversedScale(Corruption):
    """Label c becomes C - 1 - c, as where one shop's five stars are another's one.

    A concept shift: the texts are as they were, and mean the opposite. The teacher is as good
    as any on its own texts and systematically wrong on everybody else's, which its confidence
    does not show.
    """

    @override
    def corrupt(self, shard: Shard, geometry: LabelGeometry, rng: np.random.Generator) -> Shard:
        if not geometry.is_line:
            raise ConfigError(
                "data.corruptions: reversed_scale needs labels on a line; write label_noise "
                "for labels without an order"
            )
        return Shard(shard.texts, len(geometry) - 1 - shard.labels)
