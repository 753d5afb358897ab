"""Some clients hold much and others little; all of them alike in what they hold."""

from typing import Literal, final

import numpy as np
from pydantic import Field
from typing_extensions import override

from common.arrays import Floats, Ints
from common.component import component
from simulations.apportion import apportion_at_least
from simulations.partitions import Partition
from simulations.partitions._deal import check_enough, check_least


@final
@component
class Quantity(Partition):
    """Shuffle the rows and deal them in shares whose sizes follow a law; labels are not skewed.

    ``log_normal``: sizes are proportional to exp(spread z), z standard normal; Acar et al.,
    "Federated Learning Based on Dynamic Regularization" (ICLR 2021), section 4.
    ``power_law``: the r-th largest size is proportional to r^-spread, and chance says whose it
    is; sizes by a power law are those of Li et al., "Federated Optimization in Heterogeneous
    Networks" (MLSys 2020), section 5.1. Sizes are whole by the largest remainder; a client
    that would hold less than ``min_size`` holds that, at the expense of the others in
    proportion.

    Attributes:
        law: of the sizes.
        spread: 0 gives equal sizes; standard deviation of their logarithm (``log_normal``),
            or exponent of their rank (``power_law``).
        min_size: the fewest rows a client may hold.
    """

    law: Literal["log_normal", "power_law"] = "log_normal"
    spread: float = Field(default=1.0, ge=0, le=100, allow_inf_nan=False)
    min_size: int = Field(default=10, ge=1)

    @override
    def split(
        self, labels: Ints, groups: Ints, num_clients: int, rng: np.random.Generator
    ) -> tuple[Ints, ...]:
        check_enough(len(labels), num_clients)
        check_least(self.min_size, len(labels), num_clients)
        sizes = apportion_at_least(self._weights(num_clients, rng), len(labels), self.min_size)
        order: Ints = rng.permutation(len(labels))
        return tuple(np.sort(share) for share in np.split(order, np.cumsum(sizes)[:-1]))

    def _weights(self, num_clients: int, rng: np.random.Generator) -> Floats:
        """Shape (K,); the largest is 1, so that none can overflow."""
        if self.law == "log_normal":
            logs: Floats = self.spread * rng.standard_normal(num_clients)
        else:
            logs = -self.spread * np.log(rng.permutation(num_clients) + 1.0)
        weights: Floats = np.exp(logs - logs.max())
        return weights
