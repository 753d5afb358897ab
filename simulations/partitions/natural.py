"""The clients that the data itself names: domains, speakers."""

from typing import final

import numpy as np
from typing_extensions import override

from common.arrays import Ints
from common.component import component
from common.failures import ConfigError
from simulations.partitions import Partition
from simulations.partitions._deal import check_enough, evenly


@final
@component
class Natural(Partition):
    """One natural group per client, or each group dealt evenly to as many clients.

    With G groups, client k holds rows of group k mod G only. If K is a multiple of G, each
    group is shuffled and cut into K / G shares whose sizes differ by one at most.
    """

    @override
    def split(
        self, labels: Ints, groups: Ints, num_clients: int, rng: np.random.Generator
    ) -> tuple[Ints, ...]:
        check_enough(len(labels), num_clients)
        names, sizes = np.unique(groups, return_counts=True)
        _check_fits(sizes, num_clients)
        copies = num_clients // len(names)
        shares = [evenly(np.flatnonzero(groups == name), copies, rng) for name in names]
        return tuple(share for layer in zip(*shares, strict=True) for share in layer)


def _check_fits(sizes: Ints, num_clients: int) -> None:
    count, smallest = len(sizes), int(sizes.min())
    if num_clients % count:
        raise ConfigError(
            f"data.num_clients = {num_clients} does not fit the {count} natural groups; "
            f"write {count} or a multiple of it"
        )
    if num_clients // count > smallest:
        raise ConfigError(
            f"data.num_clients = {num_clients} gives {num_clients // count} clients to a natural "
            f"group of {smallest} rows; write at most {count * smallest}"
        )
