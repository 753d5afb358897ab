"""Small pictures of written digits, as texts of numbers: data that is no language."""

from typing import Any, final

import numpy as np
from typing_extensions import override

from common.component import component
from common.labels import LabelGeometry
from simulations.datasets import Card, Corpus, Dataset
from simulations.extras import optional


@final
@component
class Digits(Dataset):
    """Pictures of 8 x 8 grey values, 0 to 16, of the digits 0 to 9, written out as texts.

    A text is the 64 values of a picture, row by row: "0 0 5 13 ...". So the shards, the
    transfer set and the wire stay what they are for sentences; ``numbers`` is the encoder
    that reads such texts. No digit is nearer to another: the geometry is discrete. There
    are no natural clients (one group): use ``dirichlet``.
    """

    @override
    def load(self, rng: np.random.Generator) -> Corpus:
        pictures = _pictures()
        texts = tuple(" ".join(map(str, row)) for row in pictures.data.astype(int).tolist())
        first = {text: row for row, text in reversed(list(enumerate(texts)))}
        return Corpus(
            texts=texts,
            labels=pictures.target.astype(np.int64),
            geometry=LabelGeometry.discrete([str(digit) for digit in range(10)]),
            group_names=("everybody",),
            groups=np.zeros(len(texts), dtype=np.int64),
            documents=np.array([first[text] for text in texts], dtype=np.int64),
        )

    @override
    def provenance(self) -> str:
        return "the digits that come with scikit-learn"

    @override
    @classmethod
    def card(cls) -> Card:
        return Card(
            source="Alpaydin and Kaynak, Cascading Classifiers, Kybernetika, 1998: the test set "
            "of the UCI digits, as it comes with scikit-learn",
            licence="as the UCI repository says; scikit-learn passes it on under BSD-3-Clause",
            faults=(
                "Who wrote a digit is not told: one hand may stand on both sides of a split.",
                "1,797 pictures are too few for hundreds of clients.",
            ),
        )


def _pictures() -> Any:
    return optional("sklearn.datasets", "sklearn", "the data set digits").load_digits()
