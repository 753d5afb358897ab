"""The control: every client sees the same distribution."""

from typing import final

import numpy as np
from typing_extensions import override

from common.arrays import Ints
from common.component import component
from simulations.partitions import Partition
from simulations.partitions._deal import check_enough, evenly


@final
@component
class Iid(Partition):
    """Shuffle the rows and deal them in equal shares; sizes differ by one at most."""

    @override
    def split(
        self, labels: Ints, groups: Ints, num_clients: int, rng: np.random.Generator
    ) -> tuple[Ints, ...]:
        check_enough(len(labels), num_clients)
        return tuple(evenly(np.arange(len(labels), dtype=np.int64), num_clients, rng))
