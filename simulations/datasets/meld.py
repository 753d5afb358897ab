"""Utterances of a TV series with emotions: seven speakers are seven natural clients."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, final

import numpy as np
from pydantic import Field
from typing_extensions import override

from common.component import component
from common.label_presets import emotion7
from common.pairs import behind, single
from simulations import prepared
from simulations.datasets import Card, Corpus, Dataset, Extent, Part
from simulations.datasets._pinned import digest, pinned_files

FILES: Final = {
    "train_sent_emo.csv": "d2fa2d6529cf03cac2989efec05c9b27d8fd2f4c8fc5974c7ae88aa537fa02db",
    "dev_sent_emo.csv": "2e89c6f8aa182d6f62f8c6331aece905ac7273ca4999660bfb5213e1d0370c1c",
    "test_sent_emo.csv": "8d37103938f7067600839fe29d5a114a6cd1bcdafb75bec101e06464c5006888",
}
SPEAKERS: Final = ("Chandler", "Joey", "Monica", "Phoebe", "Rachel", "Ross", "others")
_KIND, _VERSION = "meld", "1"


@final
@component
class Meld(Dataset):
    """Utterances of a TV series, 7 emotions on the circumplex, seven speakers as clients.

    Poria et al., "MELD: A Multimodal Multi-Party Dataset for Emotion Recognition in
    Conversations" (ACL 2019); the text of it. The natural clients are the six leads and all
    others together. The published parts are kept: transfer set and private rows come from
    the training part, the validation rows from the development part, and the test part is
    the test set. A document is a dialogue, so none stands on two sides. The geometry is
    ``emotion7`` of ``common/label_presets.py``.

    With ``context`` = n, the up to n utterances before an utterance in its dialogue stand in
    front of it: a pair (``common/pairs.py``) of these, oldest first and one a line, and the
    utterance. Where ``max_tokens`` of a model are too few, the oldest go first and the utterance
    stays whole. An utterance then is private at its speaker and context at others; it still
    never stands on two sides.

    Attributes:
        context: utterances before; n.
    """

    context: int = Field(default=0, ge=0, le=32)

    @override
    def load(self, rng: np.random.Generator) -> Corpus:
        if not self.is_cached():
            self.fetch()
        return _corpus(prepared.load(_KIND, _VERSION), self.context)

    @override
    def extent(self) -> Extent:
        return Extent(9989, len(emotion7()), joined=True)

    @override
    def provenance(self) -> str:
        return digest(FILES)

    @override
    @classmethod
    def card(cls) -> Card:
        return Card(
            source="Poria et al., ACL 2019; the three CSV files of the authors' release",
            licence="GPL-3.0; the dialogues themselves are of a TV series: research use",
            sha256=digest(FILES),
            faults=(
                "Short utterances (Yeah, What, Hey) occur in many dialogues, so the same "
                "words may stand on two sides of a split.",
                "Nearly half of the utterances are neutral; disgust and fear are 3 % each.",
                "The anger and the fear of its geometry lie close together.",
                "With context, an utterance stands at its speaker and in the context of others.",
            ),
            repeats=True,
        )

    @override
    @classmethod
    def fetch(cls, source: Path | None = None) -> Path:
        return prepared.save(_KIND, _VERSION, prepare(pinned_files(_KIND, source, FILES)))

    @override
    @classmethod
    def is_cached(cls) -> bool:
        return prepared.is_there(_KIND, _VERSION)


def prepare(files: Mapping[str, bytes]) -> dict[str, Any]:
    """Columns of the prepared file: text, label, speaker, part, dialogue (numbered anew).

    Args:
        files: the published files by name, in the order of :class:`Part`.
    """
    names = emotion7().names
    table: dict[str, Any] = {key: [] for key in ("text", "label", "speaker", "part", "dialogue")}
    numbers: dict[tuple[int, int], int] = {}
    for part, content in zip(Part, files.values(), strict=True):
        for row in _rows(content):
            dialogue = (int(part), int(row["Dialogue_ID"]))
            table["text"].append(single(row["Utterance"].strip()))
            table["label"].append(names.index(row["Emotion"]))
            table["speaker"].append(_speaker(row["Speaker"]))
            table["part"].append(int(part))
            table["dialogue"].append(numbers.setdefault(dialogue, len(numbers)))
    return table


def with_context(texts: Sequence[str], dialogues: Sequence[int], most: int) -> tuple[str, ...]:
    """Every utterance behind the up to ``most`` ones before it in its dialogue.

    Args:
        texts: M utterances, dialogue by dialogue, in order of time.
        dialogues: M numbers.
        most: 0 leaves the texts as they are.
    """
    if not most:
        return tuple(texts)
    made = []
    for row, text in enumerate(texts):
        before = range(max(0, row - most), row)
        lines = [texts[i] for i in before if dialogues[i] == dialogues[row]]
        made.append(behind("\n".join(lines), text))
    return tuple(made)


def _rows(content: bytes) -> list[dict[str, str]]:
    rows = csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""))
    return sorted(rows, key=lambda row: (int(row["Dialogue_ID"]), int(row["Utterance_ID"])))


def _speaker(name: str) -> int:
    return SPEAKERS.index(name) if name in SPEAKERS[:-1] else len(SPEAKERS) - 1


def _corpus(table: Mapping[str, Any], context: int) -> Corpus:
    return Corpus(
        texts=with_context(table["text"], table["dialogue"], context),
        labels=np.array(table["label"], dtype=np.int64),
        geometry=emotion7(),
        group_names=SPEAKERS,
        groups=np.array(table["speaker"], dtype=np.int64),
        documents=np.array(table["dialogue"], dtype=np.int64),
        parts=np.array(table["part"], dtype=np.int64),
    )
