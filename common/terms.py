"""What all parties agree on before anything is trained; public, and the same for everyone."""

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from common.files import read_json, write_json
from common.labels import LabelGeometry
from common.records import PREDICTIONS, Flags, Layout


@dataclass(frozen=True)
class Terms:
    """The terms of one run.

    Attributes:
        run: hex id of the experiment as resolved; the same experiment has the same id.
        site: random token under which each site files the stores of this run's clients.
        num_rounds: how many rounds will be asked.
        num_clients: size of the federation.
        k_min: fewest clients that must answer a round.
        labels: the C class names in column order.
        points: shape (C, D), where the labels lie.
        cost: shape (C, C), the ground cost.
        rows: N, the size of the transfer set.
        transfer_sha256: its hash.
        blanks: name of the list of content-free texts.
        blanks_sha256: its hash.
        bits: width of a code on the wire.
        disclosed: the declared extras: "bias", "num_examples".
        encoder: the table of the text encoder everybody uses, with its number format fixed.
    """

    run: str
    site: str
    num_rounds: int
    num_clients: int
    k_min: int
    labels: tuple[str, ...]
    points: list[list[float]]
    cost: list[list[float]]
    rows: int
    transfer_sha256: str
    blanks: str
    blanks_sha256: str
    bits: int
    disclosed: tuple[str, ...]
    encoder: dict[str, Any]

    @property
    def geometry(self) -> LabelGeometry:
        """The labels and their ground cost."""
        return LabelGeometry(self.labels, np.array(self.points), np.array(self.cost))

    @property
    def binding(self) -> bytes:
        """SHA-256 over run id, transfer set, blanks, class order and schema (PRIVACY C5)."""
        parts = [self.run, self.transfer_sha256, self.blanks_sha256, *self.labels, str(PREDICTIONS)]
        digest = hashlib.sha256(b"fedknot binding 1")
        for part in parts:
            data = part.encode("utf-8", "surrogatepass")
            digest.update(len(data).to_bytes(4, "little") + data)
        return digest.digest()

    @property
    def layout(self) -> Layout:
        """The one layout a record of this run can have."""
        flags = Flags.none
        for name in self.disclosed:
            flags |= Flags[name]
        return Layout(self.rows, len(self.labels), self.bits, flags, self.binding)

    def save(self, path: Path) -> None:
        """Write ``terms.json``."""
        write_json(path, asdict(self))

    @classmethod
    def read(cls, path: Path) -> "Terms":
        """Read what :meth:`save` wrote."""
        table = read_json(path)
        table["labels"], table["disclosed"] = tuple(table["labels"]), tuple(table["disclosed"])
        return cls(**table)
