"""Two kinds of skew at once: every client has one domain, and labels of its own within it."""

from typing import ClassVar, final

import numpy as np
from pydantic import Field
from typing_extensions import override

from common.arrays import Ints
from common.component import component
from common.failures import ConfigError
from simulations.partitions import Partition
from simulations.partitions._deal import by_group, check_enough
from simulations.partitions.dirichlet import Dirichlet


@final
@component
class NaturalDirichlet(Partition):
    """Each natural group is dealt to its own clients with a label skew of chosen strength.

    With G groups and K a multiple of G, client k holds rows of group k mod G only, as in
    ``natural``; within a group the K / G clients share the labels as in ``dirichlet``. With
    one client per group there is nothing left to share, and the two are the same.

    Attributes:
        alpha: concentration of the Dirichlet distribution.
        min_size: the fewest rows a client may hold.
    """

    nests: ClassVar[bool] = False

    alpha: float = Field(default=0.5, gt=0, allow_inf_nan=False)
    min_size: int = Field(default=10, ge=1)

    @override
    def split(
        self, labels: Ints, groups: Ints, num_clients: int, rng: np.random.Generator
    ) -> tuple[Ints, ...]:
        check_enough(len(labels), num_clients)
        rows = by_group(groups, num_clients)
        copies = num_clients // len(rows)
        self._check_least(min(map(len, rows)), copies)
        within = Dirichlet(alpha=self.alpha, min_size=self.min_size)
        shares = [
            [own[dealt] for dealt in within.split(labels[own], groups[own], copies, rng)]
            for own in rows
        ]
        return tuple(share for layer in zip(*shares, strict=True) for share in layer)

    def _check_least(self, smallest: int, copies: int) -> None:
        if self.min_size * copies > smallest:
            raise ConfigError(
                f"data.partition.min_size = {self.min_size} for {copies} clients of a natural "
                f"group of {smallest} private rows is too much; write at most {smallest // copies}"
            )
