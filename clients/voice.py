"""How a teacher's opinion becomes codes: of the labels, or of their pseudo-subclasses."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from clients.subclasses import Subclasses
from clients.teachers import FittedTeacher, Inputs
from common.arrays import Floats, Ints
from common.biases import Bias, opinions_of_bias
from common.quantise import to_codes
from common.subclasses import split_codes


@dataclass(frozen=True, eq=False)
class Voice:
    """What is left to do before an opinion can leave.

    Attributes:
        bits: width of a code.
        shares: how each of N texts splits the labels, (N, C, S); None where nothing does.
        bias: what is said of content-free texts: see :mod:`common.biases`.
    """

    bits: int
    shares: Callable[[Inputs], Floats] | None = None
    bias: Bias = "mean"

    def codes(self, probs: Floats, inputs: Inputs) -> Ints:
        """What is said of N texts: (N, C), or (N, C * S).

        Args:
            probs: shape (N, C).
            inputs: the N texts or their features, as the teacher reads.
        """
        made = to_codes(probs, self.bits)
        return made if self.shares is None else split_codes(made, self.shares(inputs))

    def bias_codes(self, probs: Floats, inputs: Inputs) -> Ints:
        """What is said of N texts in all: (C,), or (C * S,). Arguments as of :meth:`codes`."""
        said = opinions_of_bias(probs, self.bias)
        made = to_codes(said.mean(axis=0), self.bits)
        if self.shares is None:
            return made
        shares = self.shares(inputs)
        # A vote that no text has cast is split evenly.
        even = np.full((len(said) - len(shares), *shares.shape[1:]), 1 / shares.shape[2])
        return split_codes(made, (said[:, :, None] * np.concatenate([shares, even])).mean(axis=0))


def splitting(
    teacher: FittedTeacher,
    bits: int,
    private: tuple[Inputs, Ints],
    wanted: Subclasses,
    rng: np.random.Generator,
    bias: Bias = "mean",
) -> Voice:
    """A voice that splits labels, by what its teacher makes of the client's own texts.

    Args:
        teacher: of one client.
        bits: width of a code.
        private: the M texts or their features, as the teacher reads, and labels (M,).
        wanted: how to split.
        rng: as of :func:`clients.projections.project`.
        bias: of the voice.
    """
    # Function level: whoever only reads a configuration need not import torch.
    from clients.projections import project

    inputs, labels = private
    found = project(teacher.embed(inputs), labels, teacher.head(), wanted, rng)
    return Voice(bits, lambda asked: found.shares(teacher.embed(asked)), bias)
