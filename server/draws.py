"""The server's ledger of noise: its secret, and what was drawn with it.

Both lie in the trusted server's folder, and neither is undone with a round: what was released
before a checkpoint was damaged stays paid for.
"""

import hashlib
import math
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from common.files import read_lines, write_bytes, write_lines

KEY = "noise.key"
LEDGER = "noise.jsonl"
_PRIVATE, _BYTES = 0o600, 32


@dataclass(frozen=True)
class Draw:
    """One noised sum.

    Attributes:
        round: in which it was made.
        of: 64 hex digits, one-way of the secret, the round and the sum.
        clients: K, in the sum.
        rows: N.
        sigma: standard deviation on each number of the sum.
        private: whether the noise came from the operating system.
    """

    round: int
    of: str
    clients: int
    rows: int
    sigma: float
    private: bool

    @property
    def mu(self) -> float:
        """Of Gaussian privacy, for one client: the sum moves by at most sqrt(2 N).

        Reference: Dong, Roth, Su. *Gaussian Differential Privacy*, JRSS B 2022, theorem 2.7.
        """
        return math.sqrt(2 * self.rows) / self.sigma


class Draws:
    """The ledger of a run folder."""

    def __init__(self, folder: Path) -> None:
        self._home = folder / "checkpoint"

    def key(self, server_round: int, total: bytes) -> bytes:
        """The key for the noise on one sum: the same however often the round is done.

        Another sum gets noise of its own: the difference of two tells nothing that they do not.

        Args:
            server_round: from 1.
            total: the bytes of the sum.
        """
        secret = hashlib.sha256(self._secret() + server_round.to_bytes(8, "little"))
        secret.update(total)
        return secret.digest()

    def read(self) -> list[Draw]:
        """All that was ever drawn, in order.

        Raises:
            ValueError: the ledger is damaged.
            TypeError: the same.
        """
        path = self._home / LEDGER
        return [Draw(**row) for row in read_lines(path)] if path.exists() else []

    def keep(self, draw: Draw) -> None:
        """Have an entry on disk; one that stands there already is not written twice."""
        known = self.read()
        if draw not in known:
            write_lines(self._home / LEDGER, [asdict(one) for one in [*known, draw]], _PRIVATE)

    def _secret(self) -> bytes:
        """From the operating system, on disk before anything is noised with it."""
        path = self._home / KEY
        known = path.read_bytes() if path.exists() else b""
        if len(known) != _BYTES:
            known = os.urandom(_BYTES)
            write_bytes(path, known, _PRIVATE)
        return known
