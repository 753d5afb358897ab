"""What every client really holds: its rows of the corpus, corrupted where the experiment says."""

from collections.abc import Iterator

import numpy as np

from common.seeds import stream
from simulations.corruptions import Corruption, Shard
from simulations.datasets import Corpus
from simulations.experiment import Experiment
from simulations.split import Split


def shards(experiment: Experiment, corpus: Corpus, parts: Split) -> Iterator[Shard]:
    """The shards of clients 0 .. K-1, in that order.

    Corruptions apply one after the other. Each has a stream of its own for each client, so
    that what happens to one client depends neither on the others nor on other corruptions.

    Raises:
        ConfigError: these labels cannot be corrupted in this way.
    """
    corruptions = experiment.data.corruptions
    chosen = corrupted(experiment)
    for client, rows in enumerate(parts.clients):
        shard = Shard(tuple(corpus.texts[row] for row in rows), corpus.labels[rows])
        for number, corruption in enumerate(corruptions):
            if client in chosen[number]:
                rng = stream(experiment.seed, "corruption", number, client)
                shard = corruption.corrupt(shard, corpus.geometry, rng)
        yield shard


def corrupted(experiment: Experiment) -> list[set[int]]:
    """For every corruption of the experiment, the clients that it hits."""
    return [
        _chosen(
            corruption,
            experiment.data.num_clients,
            stream(experiment.seed, "corruption", number),
        )
        for number, corruption in enumerate(experiment.data.corruptions)
    ]


def _chosen(corruption: Corruption, num_clients: int, rng: np.random.Generator) -> set[int]:
    if corruption.clients:
        return set(corruption.clients)
    order = rng.permutation(num_clients).tolist()
    return set(order[: max(1, round(corruption.share * num_clients))])
