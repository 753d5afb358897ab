"""A split that was written down before, used again."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar, final

import numpy as np
from pydantic import AfterValidator, Field
from typing_extensions import override

from common.arrays import Ints
from common.component import component
from common.failures import ConfigError
from simulations.datasets import Corpus, Part
from simulations.partitions import Partition
from simulations.saved_split import check_rows, check_sizes, corpus_sha256, read_split
from simulations.split import Split

_Path = Annotated[
    str,
    Field(min_length=1),
    AfterValidator(lambda given: str(Path(given).expanduser().absolute())),
]


@final
@component
class FromFile(Partition):
    """The very clients, transfer, validation and test rows of a saved ``split.json``.

    The file numbers the rows of one corpus and holds that corpus's hash: data set, its
    settings and the seed that drew it must be those of the run that wrote the file. How many
    clients there are and how large the parts are, the experiment says as well, and must say
    right. The run id knows the file's path only; write ``sha256`` to have it know the content.

    Attributes:
        path: of the file; a relative one is relative to the folder in which the command is typed,
            wherever the experiment's own file lies, and the run folder keeps it in full.
        sha256: of the file; empty to take it as it is.
    """

    nests: ClassVar[bool] = False

    path: _Path
    sha256: str = Field(default="", pattern="^([0-9a-f]{64})?$")

    @override
    def split(
        self, labels: Ints, groups: Ints, num_clients: int, rng: np.random.Generator
    ) -> tuple[Ints, ...]:
        _, saved = read_split(self.path, self.sha256)
        check_sizes(saved, {}, len(labels), num_clients)
        if len(saved.private) != len(labels):
            raise ConfigError(
                f"{self.path} deals {len(saved.private)} private rows, but here are {len(labels)}; "
                "write the data settings of the run it comes from"
            )
        return tuple(np.searchsorted(saved.private, rows) for rows in saved.clients)

    @override
    def content(self) -> str:
        try:
            return hashlib.sha256(Path(self.path).read_bytes()).hexdigest()
        except OSError as error:
            raise ConfigError(
                f"data.partition.path: {self.path} cannot be read; give the split.json of a run"
            ) from error

    @override
    def given(self, corpus: Corpus, sizes: Mapping[str, int], num_clients: int) -> Split:
        corpus_hash, saved = read_split(self.path, self.sha256)
        if corpus_hash != corpus_sha256(corpus):
            raise ConfigError(
                f"{self.path} was written for other texts; write the data set, its settings and "
                "the seed of the run it comes from"
            )
        check_rows(saved, corpus, self.path)
        drawn = len(corpus) if corpus.parts is None else int((corpus.parts == Part.TRAIN).sum())
        check_sizes(saved, sizes, drawn, num_clients)
        return saved
