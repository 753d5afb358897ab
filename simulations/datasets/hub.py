"""Data sets of the Hugging Face hub, by name or from a folder that was saved before."""

from collections.abc import Mapping
from glob import glob
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, final

import numpy as np
from pydantic import AfterValidator, Field
from typing_extensions import override

from common.component import component
from common.configure import unknown
from common.failures import ConfigError, DataError
from simulations.datasets import Card, Corpus, Dataset
from simulations.datasets._assembly import assembled
from simulations.datasets._columns import Cleaning, Columns
from simulations.datasets._content import digest_of
from simulations.datasets._hub_presets import PRESETS, Preset
from simulations.datasets._labels import Labels
from simulations.datasets._table import Place, Table, stacked
from simulations.extras import optional

_Folder = Annotated[
    str, AfterValidator(lambda given: given and str(Path(given).expanduser().absolute()))
]
_CONFIG_COLUMN = "(configuration)"


@final
@component
class Hub(Dataset):
    """A data set of the Hugging Face hub, or a folder made with its ``save_to_disk``.

    Needs the extra ``hub``. Name a ``preset``, or ``name`` (or ``path``) and ``labels``;
    what is given beside a preset takes the place of the preset's. With several
    configurations, each is a natural client unless ``columns.group`` says otherwise. The
    library keeps what it loads in its own cache.

    Attributes:
        preset: one of ``amazon``, ``cola``, ``daily_dialog``, ``mnli``, ``mrpc``,
            ``multi_nli``, ``qnli``, ``qqp``, ``rte``, ``snli``, ``sst2``, ``sst5``, ``wnli``.
        name: of the data set on the hub, or of a loader such as ``json``.
        path: a folder with a saved data set, which needs no network; a relative one is
            relative to the folder in which the command is typed. Excludes ``name``, ``config``,
            ``revision`` and ``data_files``, which say what to fetch.
        config: the configurations, e.g. of GLUE.
        split: the rows to draw from; ``train``.
        test_split: the split that is the test set, whole; ``data.test_fraction`` then has no
            effect.
        revision: a branch, tag or commit. Name a commit where results are to be repeated.
        data_files: for a loader: where its files are; ``{config}`` stands for each
            configuration.
        columns: which column holds what.
        labels: the label names and how far apart they are.
        cleaning: what happens to rows first.
        size: rows drawn of ``split``; all without it.
    """

    preset: str | None = None
    name: str | None = None
    path: _Folder = ""
    config: tuple[str, ...] | None = None
    split: str | None = None
    test_split: str | None = None
    revision: str | None = None
    data_files: str | None = None
    columns: Columns | None = None
    labels: Labels | None = None
    cleaning: Cleaning | None = None
    size: int | None = Field(default=None, ge=20)

    def __post_init__(self) -> None:
        if self.preset is not None and self.preset not in PRESETS:
            raise ConfigError(unknown("data.dataset.preset", self.preset, PRESETS))
        for key in ("name", "config", "revision", "data_files"):
            if self.path and getattr(self, key):
                raise ValueError(
                    f"{key}: has no effect beside path, a folder that holds one data set; leave "
                    f"{key} out, and for several configurations save all of them into one folder "
                    "with a column that columns.group names"
                )
        if self.preset is None and (not (self.name or self.path) or self.labels is None):
            raise ValueError("preset: name one, or give name (or path) and labels")

    @override
    def load(self, rng: np.random.Generator) -> Corpus:
        asked = self._asked()
        test = self._table(asked, asked.test_split) if asked.test_split else None
        several = len(asked.config) > 1 and not self.path  # a saved folder does not tell of them
        grouped = several and asked.columns.group is None
        return assembled(
            self._table(asked, asked.split),
            test,
            columns=_by_config(asked.columns) if grouped else asked.columns,
            labels=asked.labels,
            cleaning=asked.cleaning,
            size=self.size,
            rng=rng,
        )

    @override
    def provenance(self) -> str:
        asked = self._asked()
        where = "a saved folder" if self.path else f"{asked.name} {' '.join(asked.config)}".strip()
        content = f", sha256 {found}" if (found := self.content()) else ""
        return f"hub: {where}, revision {asked.revision or 'unpinned'}{content}"

    @override
    def content(self) -> str:
        if self.path:
            return digest_of(_files(Path(self.path)))
        asked = self._asked()
        if "/" in asked.name or not asked.data_files:
            return ""  # on the hub, where a revision pins it
        patterns = [asked.data_files.format(config=config) for config in asked.config or ("",)]
        found = [Path(path) for pattern in patterns for path in sorted(glob(pattern))]
        return digest_of(found) if found else ""

    @override
    @classmethod
    def card(cls) -> Card:
        return Card(
            source="the Hugging Face hub, or a folder saved from it",
            licence="as its card on the hub says",
            faults=("Without a revision, the hub may give other rows tomorrow.",),
        )

    @override
    @classmethod
    def whole(cls) -> Corpus:
        raise ConfigError("hub needs a name; type: fedknot data describe EXPERIMENT.toml")

    @override
    @classmethod
    def is_cached(cls) -> bool:
        return find_spec("datasets") is not None

    def _asked(self) -> Preset:
        """The preset, if any, with what the user gave in its place."""
        given = {key: getattr(self, key) for key in Preset.__dataclass_fields__}
        known: dict[str, Any] = {"name": "", "columns": Columns(), "cleaning": Cleaning()}
        if self.preset is not None:
            known = vars(PRESETS[self.preset])
        return Preset(**known | {key: value for key, value in given.items() if value is not None})

    def _table(self, asked: Preset, split: str) -> Table:
        if self.path:
            return _table(_saved(self.path, split), asked.columns, split)
        tables = []
        for config in asked.config or ("",):
            loaded = _table(_fetched(asked, config, split), asked.columns, f"{config} {split}")
            loaded.columns[_CONFIG_COLUMN] = [config] * len(loaded)
            tables.append(asked.columns.check(loaded))
        return stacked(tables, asked.name)


def _files(folder: Path) -> list[Path]:
    """What ``save_to_disk`` wrote; what the library has cached beside it does not count."""
    found = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    if not found:
        raise DataError(f"{folder} is no folder made with save_to_disk; check the path")
    return [path for path in found if not path.name.startswith(("cache-", "."))]


def _by_config(columns: Columns) -> Columns:
    return Columns(**vars(columns) | {"group": _CONFIG_COLUMN})


def _table(rows: Any, columns: Columns, source: str) -> Table:
    """The named columns of a loaded split; those that are not there are named later."""
    named = (columns.text, columns.text_pair, columns.label, columns.group, columns.document)
    wanted = [name for name in rows.column_names if name in (*named, *columns.gold)]
    there: Mapping[str, list[Any]] = {name: rows[name][:] for name in wanted}
    rest: Mapping[str, list[Any]] = {
        name: [None] * len(rows) for name in rows.column_names if name not in wanted
    }
    source = source.strip()
    places = [Place(source, row + 1, "row") for row in range(len(rows))]
    return Table({**there, **rest}, places, source)


def _saved(path: str, split: str) -> Any:
    library = optional("datasets", "hub", "a data set of the hub")
    try:
        made = library.load_from_disk(path)
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is no folder made with save_to_disk; check the path") from error
    if isinstance(made, library.DatasetDict):
        if split not in made:
            raise DataError(unknown("split", split, made))
        return made[split]
    return made


def _fetched(asked: Preset, config: str, split: str) -> Any:
    library = _quiet()
    more = {"data_files": asked.data_files.format(config=config)} if asked.data_files else {}
    try:
        return library.load_dataset(
            asked.name,
            name=(config or None) if not more else None,
            split=split,
            revision=asked.revision or None,
            **more,
        )
    except _errors(library) as error:
        what = f"{asked.name} {config}".strip()
        raise DataError(
            f"{what}, split {split}, cannot be loaded ({type(error).__name__}); check the name "
            "and the network, or give path, a folder made with save_to_disk"
        ) from error


def _quiet() -> Any:
    """The library without its progress bars and its diary of retries."""
    library = optional("datasets", "hub", "a data set of the hub")
    library.disable_progress_bars()
    optional("huggingface_hub.utils.logging", "hub", "a data set of the hub").set_verbosity_error()
    return library


def _errors(library: Any) -> tuple[type[Exception], ...]:
    """What it raises: plain errors, its own, and those of the HTTP client beneath it."""
    own = (OSError, ValueError, RuntimeError, library.exceptions.DatasetsError)
    if find_spec("httpx") is None:
        return own
    return (*own, optional("httpx", "hub", "a data set of the hub").HTTPError)
