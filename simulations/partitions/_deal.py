"""What the partitions share: enough rows for everybody, and how rows are cut into shares."""

import numpy as np

from common.arrays import Ints
from common.failures import ConfigError


def check_enough(num_rows: int, num_clients: int) -> None:
    """Every client must get at least one row.

    Raises:
        ConfigError: there are no clients, or more clients than rows.
    """
    if num_clients < 1:
        raise ConfigError(f"data.num_clients = {num_clients}; write at least 1")
    if num_clients > num_rows:
        raise ConfigError(
            f"data.num_clients = {num_clients}, but only {num_rows} rows are private; "
            f"write at most {num_rows}"
        )


def check_least(min_size: int, num_rows: int, num_clients: int) -> None:
    """Every client must be able to get ``min_size`` rows.

    Raises:
        ConfigError: there are too few rows; names the largest feasible value.
    """
    if min_size * num_clients > num_rows:
        raise ConfigError(
            f"data.partition.min_size = {min_size} for {num_clients} clients is more "
            f"than the {num_rows} private rows; write at most {num_rows // num_clients}"
        )


def evenly(rows: Ints, shares: int, rng: np.random.Generator) -> list[Ints]:
    """Shuffle ``rows`` and cut them into shares whose sizes differ by one at most.

    Returns:
        ``shares`` ascending arrays; the larger ones come first.
    """
    return [np.sort(share) for share in np.array_split(rng.permutation(rows), shares)]


def by_label(labels: Ints, rng: np.random.Generator) -> list[Ints]:
    """The positions of every label that occurs, each shuffled."""
    return [rng.permutation(np.flatnonzero(labels == label)) for label in np.unique(labels)]


def by_group(groups: Ints, num_clients: int) -> list[Ints]:
    """The positions of every group that occurs, for clients of whom each serves one group.

    Raises:
        ConfigError: K is no multiple of the G groups, or a group has fewer rows than clients.
    """
    _, sizes = np.unique(groups, return_counts=True)
    rows: list[Ints] = np.split(np.argsort(groups, kind="stable"), np.cumsum(sizes)[:-1])
    count, smallest = len(rows), min(map(len, rows))
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
    return rows
