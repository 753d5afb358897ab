"""The answers of a round as they crossed, a byte or two a number; opinions when needed."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from common.arrays import Floats, Ints
from common.predictions import Ensemble, Predictions
from common.quantise import to_probs
from common.records import Record
from common.subclasses import merged_codes


class Opinions(Protocol):
    """What K teachers say about the transfer set, which can be looked at part by part."""

    @property
    def clients(self) -> Ints:
        """Shape (K,), whose opinions these are, ascending."""

    def rows(self, part: slice) -> Ensemble:
        """What they say about these transfer texts."""


@dataclass(frozen=True, eq=False)
class Coded:
    """One admitted answer; a quarter of what its probabilities would take.

    Attributes:
        codes: shape (N, C * S), uint8, or uint16 where they have 16 bits.
        bits: width of a code.
        count: S, how many subclasses a label has; 1 without.
        bias: shape (C,), float32, or None.
        num_examples: or None.
        scalar: shape (N,), codes, or None.
    """

    codes: Ints
    bits: int
    count: int = 1
    bias: Floats | None = None
    num_examples: int | None = None
    scalar: Ints | None = None

    @classmethod
    def of(cls, record: Record, bits: int, count: int = 1) -> "Coded":
        """A record that was admitted.

        Args:
            record: its integers.
            bits: width of a code.
            count: S.
        """
        kind: type[np.uint8 | np.uint16] = np.uint8 if bits <= 8 else np.uint16
        bias = None if record.bias is None else _decoded(record.bias, bits, count)[0]
        scalar: Ints | None = None if record.scalar is None else record.scalar.astype(kind)
        codes: Ints = record.codes.astype(kind)
        return cls(codes, bits, count, bias, record.num_examples, scalar)

    def predictions(self) -> Predictions:
        """The probabilities that the integers stand for, float32."""
        probs, subclasses = _decoded(self.codes, self.bits, self.count)
        scalar = None if self.scalar is None else to_probs(self.scalar, self.bits)
        return Predictions(probs, self.bias, self.num_examples, scalar, subclasses)


@dataclass(frozen=True, eq=False)
class Answers:
    """The admitted answers of a round, K of at least one client, all of one layout."""

    admitted: Mapping[int, Coded]

    @cached_property
    def clients(self) -> Ints:
        """Shape (K,), who answered, ascending."""
        return np.array(sorted(self.admitted), dtype=np.int64)

    def rows(self, part: slice) -> Ensemble:
        """What they say about some texts; bit for bit the same part of what they say of all."""
        coded = [self.admitted[client] for client in self.clients.tolist()]
        one = coded[0]
        codes = np.stack([c.codes[part] for c in coded])
        probs, subclasses = _decoded(codes, one.bits, one.count)
        scalars = [c.scalar[part] for c in coded if c.scalar is not None]
        biases = [c.bias for c in coded if c.bias is not None]
        sizes = [c.num_examples for c in coded if c.num_examples is not None]
        return Ensemble(
            clients=self.clients,
            probs=probs,
            bias=np.stack(biases) if biases else None,
            num_examples=np.array(sizes, dtype=np.int64) if sizes else None,
            scalar=to_probs(np.stack(scalars), one.bits) if scalars else None,
            subclasses=subclasses,
        )


def _decoded(codes: Ints, bits: int, count: int) -> tuple[Floats, Floats | None]:
    """Probabilities (..., C) of codes (..., C * S), and those of the subclasses if there are."""
    if count == 1:
        return to_probs(codes, bits), None
    return to_probs(merged_codes(codes, count), bits), to_probs(codes, bits)
