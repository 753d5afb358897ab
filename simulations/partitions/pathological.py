"""Every client knows a few labels only."""

from typing import final

import numpy as np
from pydantic import Field
from typing_extensions import override

from common.arrays import Ints
from common.component import component
from simulations.partitions import Partition
from simulations.partitions._shards import cut_labels, hands


@final
@component
class Pathological(Partition):
    """Shards of one label each, the same number of them to every client by chance.

    McMahan, Moore, Ramage, Hampson and Agüera y Arcas, "Communication-Efficient Learning of
    Deep Networks from Decentralized Data" (AISTATS 2017), section 3: rows sorted by label are
    cut into shards of one size, and each client gets two. There, no shard holds two labels
    because the labels are equally frequent. Here, that is kept for any labels: a label gets
    shards in proportion to its rows, at least one, and cuts them equally, so shards of
    different labels may differ in size. A client that draws two shards of one label holds
    fewer labels.

    Attributes:
        labels_per_client: shards of a client, and so the most labels that it holds.
    """

    labels_per_client: int = Field(default=2, ge=1)

    @override
    def split(
        self, labels: Ints, groups: Ints, num_clients: int, rng: np.random.Generator
    ) -> tuple[Ints, ...]:
        rows, counts = cut_labels(labels, self.labels_per_client, num_clients, rng)
        cut = zip(rows, counts.tolist(), strict=True)
        shards = [shard for own, count in cut for shard in np.array_split(own, count)]
        return hands(shards, rng.permutation(len(shards)).reshape(num_clients, -1))
