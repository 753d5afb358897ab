"""Label skew of a chosen strength."""

from typing import final

import numpy as np
from pydantic import Field
from typing_extensions import override

from common.arrays import Floats, Ints
from common.component import component
from simulations.apportion import apportion
from simulations.partitions import Partition
from simulations.partitions._deal import by_label, check_enough, check_least


@final
@component
class Dirichlet(Partition):
    """Each class is spread over the clients in proportions drawn from Dir(alpha, ..., alpha).

    Yurochkin et al., "Bayesian Nonparametric Federated Learning of Neural Networks" (ICML
    2019), section 4. Small alpha: every client holds few classes; large alpha: all alike.
    Proportions become whole numbers by the largest remainder. A draw that leaves a client
    with fewer than ``min_size`` rows is never repeated, which may take for ever, but mended:
    rows of its largest class move over from the client that holds most.

    Attributes:
        alpha: concentration of the Dirichlet distribution.
        min_size: the fewest rows a client may hold.
    """

    alpha: float = Field(default=0.5, gt=0, allow_inf_nan=False)
    min_size: int = Field(default=10, ge=1)

    @override
    def split(
        self, labels: Ints, groups: Ints, num_clients: int, rng: np.random.Generator
    ) -> tuple[Ints, ...]:
        check_enough(len(labels), num_clients)
        check_least(self.min_size, len(labels), num_clients)
        rows = by_label(labels, rng)
        counts = np.stack(
            [apportion(proportions(self.alpha, num_clients, rng), len(own)) for own in rows],
            axis=1,
        )
        raise_to(self.min_size, counts)
        return _dealt(rows, counts)


def proportions(alpha: float, size: int, rng: np.random.Generator) -> Floats:
    """One draw from the symmetric Dirichlet distribution, safe for any alpha > 0.

    The logarithm of a Gamma(alpha) variate is that of a Gamma(alpha + 1) variate plus
    log(U) / alpha with U uniform (Marsaglia and Tsang, 2000, section 6); only at the end are
    they normalised, so that a tiny alpha cannot make all of them zero.

    Returns:
        Shape (size,); not negative, sums to 1.
    """
    # Below 1e-300 the quotient would overflow; one client gets everything long before.
    logs: Floats = np.log(rng.standard_gamma(alpha + 1.0, size))
    logs += np.log1p(-rng.random(size)) / max(alpha, 1e-300)
    drawn: Floats = np.exp(logs - logs.max())
    drawn /= drawn.sum()
    return drawn


def raise_to(min_size: int, counts: Ints) -> None:
    """Move rows, in place, until every client holds ``min_size`` of them.

    Args:
        min_size: at most M / K.
        counts: shape (K, C); rows of each class at each client. Class sums do not change.
    """
    sizes = counts.sum(axis=1)
    for poor in np.flatnonzero(sizes < min_size).tolist():
        while sizes[poor] < min_size:
            rich = int(sizes.argmax())
            label = int(counts[rich].argmax())
            spare = (sizes[rich] - min_size + 1) // 2  # leave the giver well above the line
            moved = min(min_size - sizes[poor], spare, counts[rich, label])
            counts[poor, label] += moved
            counts[rich, label] -= moved
            sizes[poor] += moved
            sizes[rich] -= moved


def _dealt(rows: list[Ints], counts: Ints) -> tuple[Ints, ...]:
    cuts = np.cumsum(counts, axis=0)[:-1]
    piles = [np.split(own, cuts[:, label]) for label, own in enumerate(rows)]
    return tuple(np.sort(np.concatenate(share)) for share in zip(*piles, strict=True))
