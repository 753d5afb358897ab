"""The clients that the data itself names: domains, speakers."""

from typing import ClassVar, final

import numpy as np
from typing_extensions import override

from common.arrays import Ints
from common.component import component
from simulations.partitions import Partition
from simulations.partitions._deal import by_group, check_enough, evenly


@final
@component
class Natural(Partition):
    """One natural group per client, or each group dealt evenly to as many clients.

    With G groups, client k holds rows of group k mod G only. If K is a multiple of G, each
    group is shuffled and cut into K / G shares whose sizes differ by one at most.
    """

    nests: ClassVar[bool] = False

    @override
    def split(
        self, labels: Ints, groups: Ints, num_clients: int, rng: np.random.Generator
    ) -> tuple[Ints, ...]:
        check_enough(len(labels), num_clients)
        rows = by_group(groups, num_clients)
        shares = [evenly(own, num_clients // len(rows), rng) for own in rows]
        return tuple(share for layer in zip(*shares, strict=True) for share in layer)
