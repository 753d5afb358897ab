"""Some clients hold much and others little; alike in what they hold, or not."""

from typing import final

import numpy as np
from pydantic import Field
from typing_extensions import override

from common.arrays import Floats, Ints
from common.component import component
from simulations.apportion import apportion, apportion_at_least
from simulations.partitions import Partition
from simulations.partitions._deal import by_label, check_enough, check_least
from simulations.partitions._laws import Law, log_sizes, weights
from simulations.partitions.dirichlet import proportions


@final
@component
class Quantity(Partition):
    """Shuffle the rows and deal them in shares whose sizes follow a law.

    ``log_normal``: sizes are proportional to exp(spread z), z standard normal; Acar et al.,
    "Federated Learning Based on Dynamic Regularization" (ICLR 2021), section 4.
    ``power_law``: the r-th largest size is proportional to r^-spread, and chance says whose it
    is; sizes by a power law are those of Li et al., "Federated Optimization in Heterogeneous
    Networks" (MLSys 2020), section 5.1. Sizes are whole by the largest remainder; a client
    that would hold less than ``min_size`` holds that, at the expense of the others in
    proportion.

    Labels are not skewed, unless there is an ``alpha``: then every client draws its label shares
    from Dir(alpha, ..., alpha) and, one client after the other in an order drawn by chance, takes
    its rows in these shares as long as they last; of what has run out it takes others, in its
    own shares of them. So sizes are the law's to the row, and the last clients get what is left.
    Label ratios by client, beside sizes by a law, are those of Acar et al., section 4.

    Attributes:
        law: of the sizes.
        spread: 0 gives equal sizes; standard deviation of their logarithm (``log_normal``),
            or exponent of their rank (``power_law``).
        min_size: the fewest rows a client may hold.
        alpha: concentration of every client's label shares; not given: labels are not skewed.
    """

    law: Law = "log_normal"
    spread: float = Field(default=1.0, ge=0, le=100, allow_inf_nan=False)
    min_size: int = Field(default=10, ge=1)
    alpha: float | None = Field(default=None, gt=0, allow_inf_nan=False)

    @override
    def split(
        self, labels: Ints, groups: Ints, num_clients: int, rng: np.random.Generator
    ) -> tuple[Ints, ...]:
        check_enough(len(labels), num_clients)
        check_least(self.min_size, len(labels), num_clients)
        wanted = weights(log_sizes(self.law, self.spread, num_clients, rng))
        sizes = apportion_at_least(wanted, len(labels), self.min_size)
        if self.alpha is not None:
            return _skewed(sizes, labels, self.alpha, rng)
        order: Ints = rng.permutation(len(labels))
        return tuple(np.sort(share) for share in np.split(order, np.cumsum(sizes)[:-1]))


def _skewed(sizes: Ints, labels: Ints, alpha: float, rng: np.random.Generator) -> tuple[Ints, ...]:
    """Rows by client, ascending; as many as ``sizes`` (K,) says, in label shares of its own."""
    rows = by_label(labels, rng)
    left: Ints = np.array([len(own) for own in rows], dtype=np.int64)
    shares: dict[int, Ints] = {}
    for client in rng.permutation(len(sizes)).tolist():
        ends = left
        left = ends - _taken(proportions(alpha, len(rows), rng), ends, int(sizes[client]))
        piles = [own[a:b] for own, a, b in zip(rows, left, ends, strict=True)]
        shares[client] = np.sort(np.concatenate(piles))
    return tuple(shares[client] for client in range(len(sizes)))


def _taken(wanted: Floats, left: Ints, size: int) -> Ints:
    """How many rows of each label, (C,), summing to ``size`` and at most ``left`` (C,)."""
    taken = np.zeros_like(left)
    while (missing := size - int(taken.sum())) > 0:
        there = left > taken
        asked = np.where(there, wanted, 0.0)
        if not asked.sum() > 0:  # nothing that it wants is left
            asked = np.where(there, left - taken, 0).astype(np.float64)
        taken += np.minimum(apportion(asked, missing), left - taken)
    return taken
