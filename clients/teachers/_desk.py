"""Memory for what comes and goes in a step of a stack of networks. Imports torch.

Axes: G networks, R rows of a step, D features, H hidden units, C labels.
"""

import math
from typing import Final, NamedTuple

import torch
from torch import Tensor

_ALIGNED: Final = 16  # rows: then every slot begins at a multiple of 64 bytes, as torch's own do


class Slot(NamedTuple):
    """What comes and goes in a step: shape (n, .) of one network, or (G, R, .) of all.

    Attributes:
        inputs: n examples of width D.
        before: hidden units before their activation, H.
        hidden: and after it, H.
        kept: one or zero, H.
        fed: hidden units as the output layer gets them, H.
        back: the gradient at ``fed``, which is turned into that at ``before``, H.
        scores: C.
        logs: their log-softmax, C.
        errors: first minus one over n at each example's label, then the gradient at the scores, C.
        back_t: ``back``, transposed.
        errors_t: ``errors``, transposed.
    """

    inputs: Tensor
    before: Tensor
    hidden: Tensor
    kept: Tensor
    fed: Tensor
    back: Tensor
    scores: Tensor
    logs: Tensor
    errors: Tensor
    back_t: Tensor
    errors_t: Tensor


class Desk:
    """Room for a step of at most R rows; a network with fewer leaves the rest of its slot."""

    def __init__(self, parts: list[Tensor]) -> None:
        self._parts, self.whole = parts, _slot(parts)
        self._slots: dict[tuple[int, int], Slot] = {}

    def slot(self, k: int, rows: int) -> Slot:
        """The first rows of network k's part; views are made once, for they cost as calls do."""
        if (k, rows) not in self._slots:
            self._slots[k, rows] = _slot([part[k, :rows] for part in self._parts])
        return self._slots[k, rows]


class Room:
    """The memory of a stack, from which a desk for any number of rows is cut."""

    def __init__(self, networks: int, rows: int, widths: tuple[int, int, int]) -> None:
        """Take the memory.

        Args:
            networks: G.
            rows: the most a step may have.
            widths: D, H and C.
        """
        features, hidden, labels = widths
        self._networks, self._widths = networks, (features, *[hidden] * 5, *[labels] * 3)
        most = networks * _rounded(rows)
        self._memory = [torch.zeros(most * width) for width in self._widths]
        self._desks: dict[int, Desk] = {}

    def desk(self, rows: int) -> Desk:
        """The one whose slots are long enough for so many rows, and hardly longer."""
        rows = _rounded(rows)
        if rows not in self._desks:
            shapes = [(self._networks, rows, width) for width in self._widths]
            parts = zip(self._memory, shapes, strict=True)
            self._desks[rows] = Desk([part[: math.prod(s)].view(s) for part, s in parts])
        return self._desks[rows]


def _slot(parts: list[Tensor]) -> Slot:
    inputs, before, hidden, kept, fed, back, scores, logs, errors = parts
    return Slot(inputs, before, hidden, kept, fed, back, scores, logs, errors, back.mT, errors.mT)


def _rounded(rows: int) -> int:
    return -(-rows // _ALIGNED) * _ALIGNED
