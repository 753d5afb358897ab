"""Predictions without the label frequencies that a teacher has learned from its own shard."""

import numpy as np

from common.arrays import Floats, Ints


def shares(labels: Ints, num_labels: int) -> Floats:
    """The label shares of a shard, each label counted once more than it occurs.

    Args:
        labels: shape (M,).
        num_labels: C.

    Returns:
        Shape (C,), float64, positive, sums to 1.
    """
    counts = np.bincount(labels, minlength=num_labels) + 1.0
    made: Floats = counts / counts.sum()
    return made


def corrected(probs: Floats, prior: Floats, strength: float) -> Floats:
    r"""Predictions with a label prior divided out, scaled to sum 1.

    .. math:: p'_c \propto p_c / \pi_c^\tau

    With :math:`\tau = 1` a teacher that answers its prior answers uniformly. It is the
    adjustment of logits after training of Menon, Jayasumana, Rawat, Jain, Veit, Kumar
    (*Long-Tail Learning via Logit Adjustment*, ICLR 2021, equation 9,
    https://arxiv.org/abs/2007.07314), with shares of a single client's shard.

    Args:
        probs: shape (N, C), rows are distributions.
        prior: :math:`\pi`, shape (C,), positive.
        strength: :math:`\tau`.

    Returns:
        Shape (N, C), of the type of ``probs``.
    """
    # Against the rarest, so that nothing grows above 1.
    raised = probs.astype(np.float64) * (prior.min() / prior) ** strength
    total = raised.sum(axis=1, keepdims=True)
    made: Floats = (raised / total).astype(probs.dtype)
    return made
