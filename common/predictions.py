"""Soft predictions: the only knowledge a client ever gives away."""

from dataclasses import dataclass, replace

import numpy as np

from common.arrays import Floats, Ints

UNKNOWN = -1
"""Stands for a label that the server does not know."""


@dataclass(frozen=True, eq=False)
class Predictions:
    """One teacher's soft predictions on the transfer set.

    Attributes:
        probs: shape (N, C), float32; each row a distribution over the labels.
        bias: shape (C,) or None; what the same teacher says in all of the content-free
            texts, where the weighting asks for it.
        num_examples: size of the private shard, where the experiment discloses it.
        scalar: shape (N,) or None; one declared number in [0, 1] for each text, where the
            weighting asks for it.
        subclasses: shape (N, C * S), float32, or None; ``probs`` split, label by label, where
            the run has pseudo-subclasses (:mod:`common.subclasses`).
    """

    probs: Floats
    bias: Floats | None = None
    num_examples: int | None = None
    scalar: Floats | None = None
    subclasses: Floats | None = None


@dataclass(frozen=True, eq=False)
class Ensemble:
    """The predictions of K teachers on the same N samples.

    Attributes:
        clients: shape (K,); whose predictions these are, ascending. K may be smaller than
            the federation: index per-client memory with it.
        probs: shape (K, N, C).
        bias: shape (K, C), or None where it was not asked for.
        num_examples: shape (K,), or None where it was not disclosed.
        scalar: shape (K, N), or None where it was not asked for.
        labels: shape (N,), int64; the known labels of the texts and :data:`UNKNOWN` for all
            others; None where the server knows none.
        subclasses: shape (K, N, C * S), or None where the run has none.
    """

    clients: Ints
    probs: Floats
    bias: Floats | None = None
    num_examples: Ints | None = None
    scalar: Floats | None = None
    labels: Ints | None = None
    subclasses: Floats | None = None

    def rows(self, part: slice) -> "Ensemble":
        """What the same teachers say about some of the samples."""
        return replace(
            self,
            probs=self.probs[:, part],
            scalar=None if self.scalar is None else self.scalar[:, part],
            labels=None if self.labels is None else self.labels[part],
            subclasses=None if self.subclasses is None else self.subclasses[:, part],
        )

    @classmethod
    def stack(cls, answers: dict[int, Predictions], labels: Ints | None = None) -> "Ensemble":
        """Stack the answers of clients, in ascending order of their ids."""
        if not answers:
            raise ValueError("an ensemble needs at least one teacher")
        ids = sorted(answers)
        biases = [b for i in ids if (b := answers[i].bias) is not None]
        sizes = [n for i in ids if (n := answers[i].num_examples) is not None]
        scalars = [s for i in ids if (s := answers[i].scalar) is not None]
        split = [s for i in ids if (s := answers[i].subclasses) is not None]
        return cls(
            clients=np.array(ids, dtype=np.int64),
            probs=np.stack([answers[i].probs for i in ids]),
            bias=np.stack(biases) if len(biases) == len(ids) else None,
            num_examples=np.array(sizes, dtype=np.int64) if len(sizes) == len(ids) else None,
            scalar=np.stack(scalars) if len(scalars) == len(ids) else None,
            labels=labels,
            subclasses=np.stack(split) if len(split) == len(ids) else None,
        )
