"""Sums of clipped per-example gradients, in closed form, for the heads on frozen features.

The gradient of a layer for one example is the outer product of the error at its output and its
input, so its norm is the product of two norms, and no gradient of one example is ever formed
(Goodfellow. *Efficient Per-Example Gradient Computations*, 2015,
https://arxiv.org/abs/1510.01799).
"""

from collections.abc import Callable

import numpy as np

from common.arrays import Floats

Net = dict[str, Floats]
Sums = Callable[[Net, Floats, Floats, float], Net]


def linear(net: Net, inputs: Floats, wanted: Floats, clip: float) -> Net:
    """Of softmax regression: ``weights`` (C, D + 1), the last column the bias.

    Args:
        net: the parameters.
        inputs: shape (M, D + 1), the last column 1.
        wanted: shape (M, C), one-hot labels.
        clip: the largest norm of one example's gradient.

    Returns:
        The sum over M examples of their gradients, each scaled to a norm of at most ``clip``.
    """
    error = softmax(inputs @ net["weights"].T) - wanted
    squares = _squares(error) * _squares(inputs)
    return {"weights": (_scales(squares, clip) * error).T @ inputs}


def one_hidden(net: Net, inputs: Floats, wanted: Floats, clip: float) -> Net:
    """Of a network with one hidden layer of rectifiers.

    Args:
        net: ``hidden`` (H, D + 1) and ``output`` (C, H + 1), the last columns the biases.
        inputs: shape (M, D + 1), the last column 1.
        wanted: shape (M, C), one-hot labels.
        clip: the largest norm of one example's gradient, over both layers.

    Returns:
        The sum over M examples of their gradients, each scaled to a norm of at most ``clip``.
    """
    sums = inputs @ net["hidden"].T
    hidden = np.concatenate([np.maximum(sums, 0), np.ones((len(sums), 1))], axis=1)
    error = softmax(hidden @ net["output"].T) - wanted
    inner = (error @ net["output"][:, :-1]) * (sums > 0)
    squares = _squares(error) * _squares(hidden) + _squares(inner) * _squares(inputs)
    scale = _scales(squares, clip)
    return {"hidden": (scale * inner).T @ inputs, "output": (scale * error).T @ hidden}


def softmax(scores: Floats) -> Floats:
    """Rows of shape (M, C) as distributions."""
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    made: Floats = powers / powers.sum(axis=1, keepdims=True)
    return made


def _squares(rows: Floats) -> Floats:
    made: Floats = np.einsum("ij,ij->i", rows, rows)
    return made


def _scales(squares: Floats, clip: float) -> Floats:
    """Shape (M, 1)."""
    norms = np.sqrt(squares)
    return np.minimum(1.0, clip / np.maximum(norms, 1e-300))[:, None]
