"""Which shared texts are asked about in which round: a plan that everybody can work out alone.

It follows from public things, so a question need not name texts (and cannot), a client can check
what it is asked for, and the server knows the one length that each answer can have.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from common.arrays import Ints
from common.seeds import stream

_REMEMBERED = 4  # rounds whose state is kept at hand; any other is worked out anew


@dataclass(frozen=True)
class Asking:
    """The plan of one run.

    A round draws a part of the shared texts at random. Of these only such are asked about as never
    were before, or not within the last ``duration`` rounds; of the others all parties kept what was
    said (Azuma, Nishio, Kitagawa, Nakano, Tanimura. *Soft-Label Caching and Sharpening for
    Communication-Efficient Federated Distillation*, IEEE TMC 2026, the request list of SCARLET).

    Attributes:
        rows: N, the size of the transfer set.
        seed: public; of the draws.
        share: of the N texts that a round draws, rounded up; in (0, 1].
        duration: for so many rounds what was said of a text is not asked again; 0 keeps nothing.
    """

    rows: int
    seed: int
    share: float
    duration: int

    @classmethod
    def of(cls, transfer_sha256: str, rows: int, settings: Mapping[str, Any]) -> "Asking":
        """The plan about a transfer set, by the hash of which texts are drawn.

        Args:
            transfer_sha256: in hex.
            rows: N.
            settings: ``share`` and ``duration``.
        """
        return cls(rows, int(transfer_sha256[:16], 16), **settings)

    def drawn(self, server_round: int) -> Ints:
        """The texts that a round is about, ascending places in 0..N-1; never none.

        Args:
            server_round: counted from 1.
        """
        # A share such as .1 of 30 must be 3, whatever the last bit of the product says.
        count = min(self.rows, max(1, math.ceil(self.share * self.rows - 1e-9)))
        if count == self.rows:
            return np.arange(self.rows)
        rng = stream(self.seed, "asking", server_round)
        return np.sort(rng.choice(self.rows, count, replace=False))

    def asked(self, server_round: int) -> Ints:
        """The drawn texts that clients are asked about, ascending; none if all are known."""
        return np.flatnonzero(self.last(server_round) == server_round)

    def last(self, server_round: int) -> Ints:
        """Shape (N,): when each text was asked about last, by the end of a round; 0 for never."""
        state = self._state
        start = max(number for number in state if number <= server_round)
        for number in range(start + 1, server_round + 1):
            state[number] = self._after(number, state[number - 1])
            while len(state) > _REMEMBERED + 1:
                del state[list(state)[1]]  # the oldest but the start of all, which is the first
        return state[server_round]

    @cached_property
    def _state(self) -> dict[int, Ints]:
        return {0: np.zeros(self.rows, dtype=np.int64)}

    def _after(self, server_round: int, before: Ints) -> Ints:
        drawn, after = self.drawn(server_round), before.copy()
        said = before[drawn]
        due = (said == 0) | (server_round - said > self.duration)
        after[drawn[due]] = server_round
        after.setflags(write=False)
        return after
