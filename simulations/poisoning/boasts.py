"""What attackers declare beside their predictions, to be believed as much as can be had."""

from typing import Final

import numpy as np

from common.arrays import Ints
from common.quantise import to_probs
from common.records import Flags, Layout, Record

MOST_EXAMPLES: Final = 2**32 - 1
"""The largest shard that can be declared: a number of four bytes."""


def boastful(round_: int, client: int, codes: Ints, layout: Layout) -> Record:
    """A record with these codes (N, C), and lies wherever the layout asks for a declaration.

    The shard is the largest that can be written, and every text is as near to it as can be.
    """
    flags = layout.flags
    return Record(
        round_,
        client,
        codes,
        boastful_bias(codes, layout.bits) if flags & Flags.bias else None,
        np.zeros(len(codes), dtype=np.uint16) if flags & Flags.scalar else None,
        MOST_EXAMPLES if flags & Flags.num_examples else None,
    )


def boastful_bias(codes: Ints, bits: int) -> Ints:
    r"""The bias row (C,) that is farthest from what is said: certainty of one label.

    ``knot`` weighs by the distance of a prediction from the bias, here
    :math:`\sum_x \| p(x) - m \|_2`, which is convex in m, so a corner of the simplex has the
    most. It is the most for each attacker by itself and under ``l2``; under the symmetric
    divergence it is near the most, for there too corners are farthest away.
    """
    probs = to_probs(codes, bits).astype(np.float64)
    corners = np.eye(probs.shape[1])
    away = [np.linalg.norm(probs - corner, axis=1).sum() for corner in corners]
    made: Ints = (corners[int(np.argmax(away))] * (2**bits - 1)).astype(np.uint16)
    return made
