"""A data set of the user's own: tables in files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, final

import numpy as np
from pydantic import AfterValidator, Field
from typing_extensions import override

from common.component import component
from common.failures import ConfigError
from simulations.datasets import Card, Corpus, Dataset
from simulations.datasets._assembly import assembled
from simulations.datasets._columns import Cleaning, Columns
from simulations.datasets._content import digest_of
from simulations.datasets._labels import Labels
from simulations.datasets._reading import Layout, read_table
from simulations.datasets._table import Table, stacked

_Path = Annotated[str, AfterValidator(lambda given: str(Path(given).expanduser().absolute()))]


@final
@component
class Files(Dataset):
    """Your own texts, from CSV, TSV, JSON lines or Parquet files.

    Relative paths are relative to the folder in which the command is typed; the run folder
    keeps them in full. Every row of the files becomes one row of the corpus, in order,
    unless ``cleaning`` or ``size`` says otherwise. CSV has a header line, commas (or
    ``delimiter``), and double quotes where needed; TSV has a header line, and quotes mean
    nothing in it; in JSON lines a key may be missing. A missing text (None, NaN) is the empty
    text, a missing label an error; :class:`Columns` says the rest. The separator of pairs,
    U+001F, becomes a blank.

    Attributes:
        paths: the files; all of them have the named columns.
        labels: the label names and how far apart they are.
        columns: which column holds what.
        test_paths: files whose rows are the test set, whole; ``data.test_fraction`` then has
            no effect. Equal texts may stand in ``paths`` and in ``test_paths``.
        cleaning: what happens to rows first.
        delimiter: what stands between the cells of a CSV file.
        format: of all files; ``auto`` goes by the ending of each.
        encoding: of the text formats; a byte-order mark is no part of the text.
        size: rows drawn of ``paths``; all without it.
    """

    paths: Annotated[tuple[_Path, ...], Field(min_length=1)]
    labels: Labels
    columns: Columns = Field(default_factory=Columns)
    test_paths: tuple[_Path, ...] = ()
    cleaning: Cleaning = Field(default_factory=Cleaning)
    format: Literal["auto", "csv", "tsv", "jsonl", "parquet"] = "auto"
    delimiter: Literal[",", ";", "|", "\t"] = ","
    encoding: str = "utf-8-sig"
    size: int | None = Field(default=None, ge=20)

    @override
    def load(self, rng: np.random.Generator) -> Corpus:
        test = self._read(self.test_paths, "test_paths") if self.test_paths else None
        return assembled(
            self._read(self.paths, "paths"),
            test,
            columns=self.columns,
            labels=self.labels,
            cleaning=self.cleaning,
            size=self.size,
            rng=rng,
        )

    @override
    def provenance(self) -> str:
        return self.content()

    @override
    def content(self) -> str:
        return digest_of([Path(path) for path in (*self.paths, *self.test_paths)])

    @override
    @classmethod
    def card(cls) -> Card:
        return Card(source="files of the user's", licence="the user's to know")

    @override
    @classmethod
    def whole(cls) -> Corpus:
        raise ConfigError(
            "files needs paths and labels; type: fedknot data describe EXPERIMENT.toml"
        )

    def _read(self, paths: Sequence[str], setting: str) -> Table:
        """Columns are checked file by file, so that a message names the one that lacks it."""
        layout = Layout(self.format, self.encoding, self.delimiter)
        tables = (read_table(Path(path), layout) for path in paths)
        return stacked([self.columns.check(table) for table in tables], f"data.dataset.{setting}")
