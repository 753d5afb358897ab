"""What a teacher says when it has nothing to go by, from its opinions about content-free texts."""

from typing import Literal

import numpy as np

from common.arrays import Floats

Bias = Literal["mean", "argmax"]
"""``mean``: what it says on average; ``argmax``: how often each label wins."""


def biased_towards(probs: Floats, how: Bias) -> Floats:
    r"""The bias of one teacher.

    .. math::
        m_c = \frac1Q \sum_q p_c(x_q) \quad\text{or}\quad
        m_c = \frac{1 + |\{q : \arg\max_a p_a(x_q) = c\}|}{Q + C}

    The second counts every label once more than it wins, so that none has probability zero; of
    labels that are level the first wins. It is that of KNOT (Bhardwaj, Vaidya, Poria, *KNOT:
    Knowledge Distillation using Optimal Transport for Solving NLP Tasks*, COLING 2022,
    https://arxiv.org/abs/2110.02432; the released code), except that there the sum is divided by Q.

    Args:
        probs: shape (Q, C), what it says of the Q texts.
        how: which of both.

    Returns:
        Shape (C,), float64, sums to 1.
    """
    made: Floats = opinions_of_bias(probs, how).mean(axis=0)
    return made


def opinions_of_bias(probs: Floats, how: Bias) -> Floats:
    """The distributions whose mean is the bias, float64: (Q, C), or (Q + C, C) for ``argmax``.

    Of ``argmax`` the last C rows are one vote for each label.
    """
    exact = probs.astype(np.float64)
    if how == "mean":
        return exact
    each = np.eye(exact.shape[1])
    return np.concatenate([each[exact.argmax(axis=1)], each])
