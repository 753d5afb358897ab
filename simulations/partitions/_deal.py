"""What the partitions share: enough rows for everybody, and equal shares."""

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


def evenly(rows: Ints, shares: int, rng: np.random.Generator) -> list[Ints]:
    """Shuffle ``rows`` and cut them into shares whose sizes differ by one at most.

    Returns:
        ``shares`` ascending arrays; the larger ones come first.
    """
    return [np.sort(share) for share in np.array_split(rng.permutation(rows), shares)]
