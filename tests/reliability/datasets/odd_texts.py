"""Texts as nobody would write them, and clients as nobody would choose them; for tests."""

from typing import Literal, final

import numpy as np
from pydantic import Field
from typing_extensions import override

from common.component import component
from common.labels import LabelGeometry
from simulations.datasets import Corpus, Dataset

ODDITIES = {
    "empty": "",
    "whitespace": " \t\u00a0\u2003 ",
    "nul": "be\x00fore",
    "lone_surrogate": "half \ud83d of it",
    "right_to_left": "\u202e\u05e9\u05dc\u05d5\u05dd\u202c \u0645\u0631\u062d\u0628\u0627",
    "emoji": "\U0001f600\U0001f469\u200d\U0001f469\u200d\U0001f467",
    "megabyte": "word " * 210_000,
    "stop_words": "the of and a to in is it",
    "crlf": "one\r\ntwo\r\n",
    "byte_order_mark": "\ufeffbefore",
    "line_separators": "one\u2028two\u0085three\x0bfour",
    "markup": '<script>alert("1")</script> {{ 7 * 7 }} %s {0}',
    "newlines": "\n\n\n",
}


@final
@component
class OddTexts(Dataset):
    """Four groups of ordinary texts of which some rows are odd.

    Attributes:
        size: rows.
        num_labels: C.
        odd: whether every other row is one of :data:`ODDITIES`, by turns.
        shards: "plain" deals labels by turns; in "edges" group 0 has label 0 only, group 1
            says one and the same text with every label, group 2 lacks the last label; in
            "copies" all rows are of three texts.
    """

    size: int = Field(default=160, ge=8)
    num_labels: int = Field(default=3, ge=2)
    odd: bool = False
    shards: Literal["plain", "edges", "copies"] = "plain"

    @override
    def load(self, rng: np.random.Generator) -> Corpus:
        rows = np.arange(self.size)
        groups, labels = rows % 4, (rows // 4) % self.num_labels
        words = rng.integers(1000, size=(self.size, 8))
        texts = [" ".join(f"w{n}" for n in row) for row in words]
        if self.odd:
            listed = list(ODDITIES.values())
            turns = [None if n // 4 % 2 else listed[n // 8 % len(listed)] for n in rows]
            texts = [t if odd is None else odd for odd, t in zip(turns, texts, strict=True)]
        if self.shards == "edges":
            labels = np.where(groups == 0, 0, labels)
            labels = np.where((groups == 2) & (labels == self.num_labels - 1), 0, labels)
            texts = ["always the same" if g == 1 else t for g, t in zip(groups, texts, strict=True)]
        if self.shards == "copies":
            texts = [f"once and again {n % 3}" for n in rows]
        return Corpus(
            texts=tuple(texts),
            labels=labels.astype(np.int64),
            geometry=LabelGeometry.ordinal([f"grade {c}" for c in range(self.num_labels)]),
            group_names=tuple(f"group {g}" for g in range(4)),
            groups=groups.astype(np.int64),
            documents=rows.astype(np.int64),
        )
