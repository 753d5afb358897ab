"""Shards of one label each: how many a label gets, and whose they are."""

import numpy as np

from common.arrays import Ints
from common.failures import ConfigError
from simulations.apportion import apportion_at_least
from simulations.partitions._deal import by_label, check_enough


def cut_labels(
    labels: Ints, held: int, num_clients: int, rng: np.random.Generator
) -> tuple[list[Ints], Ints]:
    """The shuffled rows of every label that occurs, and how many shards it gets.

    Args:
        labels: shape (M,).
        held: shards of a client.
        num_clients: K.
        rng: shuffles.

    Returns:
        One array for each of L labels; shape (L,), in proportion to the rows, at least 1, in all
        ``held * K``.

    Raises:
        ConfigError: a label would have no shard, or a shard no row.
    """
    check_enough(len(labels), num_clients)
    rows = by_label(labels, rng)
    _check_fits(held, len(labels), len(rows), num_clients)
    sizes = np.array([len(own) for own in rows])
    return rows, apportion_at_least(sizes, held * num_clients, 1)


def hands(shards: list[Ints], owned: Ints) -> tuple[Ints, ...]:
    """What every client holds.

    Args:
        shards: the rows of each.
        owned: shape (K, held); the shards of every client.
    """
    return tuple(np.sort(np.concatenate([shards[s] for s in own])) for own in owned.tolist())


def _check_fits(held: int, num_rows: int, num_labels: int, num_clients: int) -> None:
    """Every label needs a shard, and every shard a row."""
    given = f"data.partition.labels_per_client = {held}"
    least, most = -(-num_labels // num_clients), num_rows // num_clients
    if least > most:
        fewer = range(num_clients - 1, 0, -1)  # one client alone can have everything
        fits = next(n for n in fewer if -(-num_labels // n) <= num_rows // n)
        raise ConfigError(
            f"data.num_clients = {num_clients} cannot share {num_labels} labels in shards of "
            f"one label when there are {num_rows} private rows; write {fits}"
        )
    if held * num_clients < num_labels:
        raise ConfigError(
            f"{given} for {num_clients} clients leaves some of the {num_labels} labels to "
            f"nobody; write at least {least}"
        )
    if held * num_clients > num_rows:
        raise ConfigError(
            f"{given} for {num_clients} clients makes more shards than the {num_rows} "
            f"private rows; write at most {most}"
        )
