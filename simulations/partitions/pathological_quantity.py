"""Few labels to every client, and unlike sizes."""

from typing import final

import numpy as np
from pydantic import Field
from typing_extensions import override

from common.arrays import Ints
from common.component import component
from simulations.apportion import apportion_at_least
from simulations.partitions import Partition
from simulations.partitions._laws import Law, log_sizes, weights
from simulations.partitions._shards import cut_labels, hands


@final
@component
class PathologicalQuantity(Partition):
    """Shards of one label each as in ``pathological``, and sizes by a law as in ``quantity``.

    A label gets its shards and clients get theirs as in ``pathological``; but a label is not cut
    equally: its rows go to its shards in proportion to the sizes that the law gives to their
    owners, at least one row each. So the law holds exactly among those who hold the same
    labels, and over all clients as far as whole labels allow. With ``spread = 0`` this is
    ``pathological``, but for the shuffle. Two labels a client and sizes by a power law are those of
    Li et al., "Federated Optimization in Heterogeneous Networks" (MLSys 2020), section 5.1.

    Attributes:
        labels_per_client: shards of a client, and so the most labels that it holds.
        law: of the sizes.
        spread: 0 gives equal shards of a label; standard deviation of the logarithm of sizes
            (``log_normal``), or exponent of their rank (``power_law``).
    """

    labels_per_client: int = Field(default=2, ge=1)
    law: Law = "log_normal"
    spread: float = Field(default=1.0, ge=0, le=100, allow_inf_nan=False)

    @override
    def split(
        self, labels: Ints, groups: Ints, num_clients: int, rng: np.random.Generator
    ) -> tuple[Ints, ...]:
        rows, counts = cut_labels(labels, self.labels_per_client, num_clients, rng)
        logs = log_sizes(self.law, self.spread, num_clients, rng)
        owned = rng.permutation(int(counts.sum())).reshape(num_clients, -1)
        owners = np.argsort(owned, axis=None) // self.labels_per_client  # of every shard
        shards: list[Ints] = []
        for own, whose in zip(rows, np.split(owners, np.cumsum(counts)[:-1]), strict=True):
            sizes = apportion_at_least(weights(logs[whose]), len(own), 1)
            shards += np.split(own, np.cumsum(sizes)[:-1])
        return hands(shards, owned)
