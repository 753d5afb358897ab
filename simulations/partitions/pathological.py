"""Every client knows a few labels only."""

from typing import final

import numpy as np
from pydantic import Field
from typing_extensions import override

from common.arrays import Ints
from common.component import component
from common.failures import ConfigError
from simulations.apportion import apportion_at_least
from simulations.partitions import Partition
from simulations.partitions._deal import by_label, check_enough


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
        check_enough(len(labels), num_clients)
        rows, num_shards = by_label(labels, rng), num_clients * self.labels_per_client
        self._check_fits(len(labels), len(rows), num_clients)
        counts = apportion_at_least(np.array([len(own) for own in rows]), num_shards, 1)
        cut = zip(rows, counts.tolist(), strict=True)
        shards = [shard for own, count in cut for shard in np.array_split(own, count)]
        hands = rng.permutation(num_shards).reshape(num_clients, -1).tolist()
        return tuple(np.sort(np.concatenate([shards[s] for s in hand])) for hand in hands)

    def _check_fits(self, num_rows: int, num_labels: int, num_clients: int) -> None:
        """Every label needs a shard, and every shard a row."""
        given = f"data.partition.labels_per_client = {self.labels_per_client}"
        least, most = -(-num_labels // num_clients), num_rows // num_clients
        if least > most:
            fewer = range(num_clients - 1, 0, -1)  # one client alone can have everything
            fits = next(n for n in fewer if -(-num_labels // n) <= num_rows // n)
            raise ConfigError(
                f"data.num_clients = {num_clients} cannot share {num_labels} labels in shards of "
                f"one label when there are {num_rows} private rows; write {fits}"
            )
        if self.labels_per_client * num_clients < num_labels:
            raise ConfigError(
                f"{given} for {num_clients} clients leaves some of the {num_labels} labels to "
                f"nobody; write at least {least}"
            )
        if self.labels_per_client * num_clients > num_rows:
            raise ConfigError(
                f"{given} for {num_clients} clients makes more shards than the {num_rows} "
                f"private rows; write at most {most}"
            )
