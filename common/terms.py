"""What all parties agree on before anything is trained; public, and the same for everyone."""

import hashlib
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from common.arrays import Ints
from common.asking import Asking
from common.biases import Bias
from common.files import read_json, write_json
from common.labels import LabelGeometry
from common.masked import masked_length
from common.records import CONSENSUS, PREDICTIONS, SUBCLASSES, Flags, Layout, flags_of
from common.rosters import KEY_BYTES, MASKED
from common.secure_terms import SecureTerms


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
        disclosed: the declared extras: "bias", "familiarity", "num_examples".
        encoder: the table of the text encoder everybody uses, with its number format fixed.
        bits_down: width of a code of what the server says back; None if it says nothing.
        subclasses: S, in how many pseudo-subclasses clients split every label; 1 for none.
        secure_sum: the table of :class:`common.secure_terms.SecureTerms` where clients send masked
            words and no predictions; None where they answer in clear.
        cache: the settings ``share`` and ``duration`` of :class:`common.asking.Asking` where a
            round asks about a part of the texts; None where it asks about all.
        bias: what a teacher says of the content-free texts, as in :mod:`common.biases`.
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
    bits_down: int | None = None
    subclasses: int = 1
    secure_sum: dict[str, Any] | None = None
    cache: dict[str, Any] | None = None
    bias: Bias = "mean"

    @property
    def geometry(self) -> LabelGeometry:
        """The labels and their ground cost."""
        return LabelGeometry(self.labels, np.array(self.points), np.array(self.cost))

    @cached_property
    def secure(self) -> SecureTerms | None:
        """What a secure sum is a sum of; None where clients answer in clear."""
        return None if self.secure_sum is None else SecureTerms(**self.secure_sum)

    @cached_property
    def asking(self) -> Asking | None:
        """Which texts are asked about in which round; None for all in all of them.

        The draws follow from the texts themselves, so that everybody gets the same.
        """
        if self.cache is None:
            return None
        return Asking.of(self.transfer_sha256, self.rows, self.cache)

    def asked(self, server_round: int) -> Ints | None:
        """The texts that clients are asked about in a round, ascending; None for all."""
        return None if self.asking is None else self.asking.asked(server_round)

    @property
    def worked_out(self) -> Flags:
        """What clients work out beside their predictions, to be told or to weigh themselves."""
        return flags_of({*self.disclosed, *(self.secure.needs if self.secure else ())})

    @property
    def schema(self) -> int:
        """The number of the layout in which clients answer."""
        if self.secure_sum is not None:
            return MASKED
        return PREDICTIONS if self.subclasses == 1 else SUBCLASSES

    @cached_property
    def binding(self) -> bytes:
        """SHA-256 over run id, transfer set, blanks, class order and schema (PRIVACY C5)."""
        parts = [self.run, self.transfer_sha256, self.blanks_sha256, *self.labels, str(self.schema)]
        digest = hashlib.sha256(b"fedknot binding 1")
        for part in parts:
            data = part.encode("utf-8", "surrogatepass")
            digest.update(len(data).to_bytes(4, "little") + data)
        return digest.digest()

    @cached_property
    def layout(self) -> Layout:
        """The one layout a record about all texts can have."""
        flags = flags_of(self.disclosed)
        classes, count = len(self.labels) * self.subclasses, self.subclasses
        return Layout(self.rows, classes, self.bits, flags, self.binding, self.schema, count)

    def layout_of(self, server_round: int) -> Layout:
        """The one layout a record of a round can have: about the texts that it asks about."""
        return self._about(self.layout, server_round)

    def layout_down_of(self, server_round: int) -> Layout | None:
        """The one layout of what goes down before a round: about the texts that the last asked."""
        layout = self.layout_down
        return None if layout is None else self._about(layout, server_round - 1)

    def _about(self, layout: Layout, server_round: int) -> Layout:
        asked = self.asked(server_round)
        return layout if asked is None else replace(layout, rows=len(asked))

    @property
    def answer_bytes(self) -> int:
        """Bytes of what a client says of all texts: in a secure sum of a key and masked words."""
        if self.secure_sum is None:
            return self.layout.length
        return masked_length(self.rows, len(self.labels)) + KEY_BYTES

    def answer_bytes_of(self, server_round: int) -> int:
        """Bytes of what a client says in a round."""
        return self.answer_bytes if self.asking is None else self.layout_of(server_round).length

    @property
    def layout_down(self) -> Layout | None:
        """The one layout of what goes down about all texts; None if nothing does.

        Bound to the same things as what goes up, the schema of which is hashed, not this one's.
        """
        if self.bits_down is None:
            return None
        classes, none = len(self.labels), Flags.none
        return Layout(self.rows, classes, self.bits_down, none, self.binding, CONSENSUS)

    def save(self, path: Path) -> None:
        """Write ``terms.json``."""
        write_json(path, asdict(self))

    @classmethod
    def read(cls, path: Path) -> "Terms":
        """Read what :meth:`save` wrote."""
        table = read_json(path)
        table["labels"], table["disclosed"] = tuple(table["labels"]), tuple(table["disclosed"])
        return cls(**table)
