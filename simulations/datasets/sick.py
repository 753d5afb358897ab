"""Sentence pairs: does the second follow from the first, or contradict it?"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, final

import numpy as np
from typing_extensions import override

from common.component import component
from common.label_presets import nli
from common.pairs import joined
from simulations import prepared
from simulations.datasets import Card, Corpus, Dataset, Extent, Part
from simulations.datasets._pinned import digest, pinned_files

FILES: Final = {
    "SICK_train.txt": "266cf8047149bd1d68138dd30439f3122bff30069740ac6705bb6197d9f1b48e",
    "SICK_trial.txt": "5a88cfb62f8c6bd2a3cce0f2421ba2cb8c2be5ab4a800f6f01e2c64aafb7db56",
    "SICK_test_annotated.txt": "2b8aa806658d6fc23c6824c83776c2d4fee7556000817b5ec0f982861413b7d0",
}
_KIND, _VERSION = "sick", "1"


@final
@component
class Sick(Dataset):
    """Pairs of sentences about pictures: contradiction, neutral or entailment.

    Marelli et al., "A SICK cure for the evaluation of compositional distributional semantic
    models" (LREC 2014). A text is a pair (``common/pairs.py``). The published parts are kept:
    transfer set and private rows come from the training part, the validation rows from the
    trial part, and the test part is the test set. There are no natural clients (one group):
    use ``dirichlet``. The geometry is ``nli`` of ``common/label_presets.py``.
    """

    @override
    def load(self, rng: np.random.Generator) -> Corpus:
        if not self.is_cached():
            self.fetch()
        return _corpus(prepared.load(_KIND, _VERSION))

    @override
    def extent(self) -> Extent:
        return Extent(4500, len(nli()))

    @override
    def provenance(self) -> str:
        return digest(FILES)

    @override
    @classmethod
    def card(cls) -> Card:
        return Card(
            source="Marelli et al., LREC 2014; the three text files of the authors' release",
            licence="CC BY-NC-SA 3.0",
            sha256=digest(FILES),
            faults=(
                "Pairs recombine the same sentences: 78 % of the sentences of the training "
                "part also stand in pairs of the test part.",
                "49 pairs of the training part and 5 of the trial part stand in the test part "
                "as well; 30 pairs of the training part are there twice.",
                "A word such as no or not stands in 90 % of the contradictions, in 16 % of the "
                "neutral pairs and in 1 % of the entailments, and alone gives many away.",
            ),
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
    """Columns of the prepared file: text (a pair), label, part, document.

    Equal pairs of one part are one document.

    Args:
        files: the published files by name, in the order of :class:`Part`; tab-separated,
            with a header line, without quoting; one of them ends its lines with CRLF.
    """
    names = nli().names
    table: dict[str, Any] = {key: [] for key in ("text", "label", "part", "document")}
    seen: dict[tuple[int, str], int] = {}
    for part, content in zip(Part, files.values(), strict=True):
        for line in content.decode("utf-8-sig").splitlines()[1:]:
            _, first, second, _, judgment = line.split("\t")
            text = joined(first.strip(), second.strip())
            table["text"].append(text)
            table["label"].append(names.index(judgment.strip().lower()))
            table["part"].append(int(part))
            table["document"].append(seen.setdefault((int(part), text.casefold()), len(seen)))
    return table


def _corpus(table: Mapping[str, Any]) -> Corpus:
    return Corpus(
        texts=tuple(table["text"]),
        labels=np.array(table["label"], dtype=np.int64),
        geometry=nli(),
        group_names=("everybody",),
        groups=np.zeros(len(table["text"]), dtype=np.int64),
        documents=np.array(table["document"], dtype=np.int64),
        parts=np.array(table["part"], dtype=np.int64),
    )
