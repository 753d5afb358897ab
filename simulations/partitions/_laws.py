"""Laws that the sizes of clients follow."""

from typing import Literal

import numpy as np

from common.arrays import Floats

Law = Literal["log_normal", "power_law"]


def log_sizes(law: Law, spread: float, num_clients: int, rng: np.random.Generator) -> Floats:
    """Logarithms of what the sizes of K clients are in proportion to.

    Args:
        law: ``log_normal``, spread z with z standard normal: Acar et al., "Federated Learning
            Based on Dynamic Regularization" (ICLR 2021), section 4. ``power_law``, -spread log r
            for the r-th largest, and chance says whose it is: Li et al., "Federated Optimization
            in Heterogeneous Networks" (MLSys 2020), section 5.1.
        spread: 0 gives equal sizes.
        num_clients: K.
        rng: draws.

    Returns:
        Shape (K,).
    """
    logs: Floats = (
        rng.standard_normal(num_clients)
        if law == "log_normal"
        else -np.log(rng.permutation(num_clients) + 1.0)
    )
    logs *= spread
    return logs


def weights(logs: Floats) -> Floats:
    """Their exponentials, all in the same proportion; the largest is 1, so none overflows."""
    made: Floats = np.exp(logs - logs.max())
    return made
