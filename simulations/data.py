"""The data sets of the command line: list, fetch, describe, clear."""

import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from common.configure import find, kinds
from common.encoders._shelf import leftovers
from common.places import cache_root
from common.seeds import stream
from simulations import prepared
from simulations.datasets import Corpus, Dataset, Part
from simulations.experiment_file import read

FEATURES = ("features", "observer")
"""Where features lie: of public texts, and of the test texts that only the observer reads."""


def fetch(name: str, source: Path | None = None) -> Path:
    """Put a data set into the cache.

    Args:
        name: its kind.
        source: a file or folder at hand; None asks the registry.

    Returns:
        The prepared file.

    Raises:
        ConfigError: there is no such data set, or it needs no fetching.
        DataError: the source lacks the data or is damaged.
    """
    return _find(name).fetch(source)


def datasets() -> list[tuple[str, str, bool]]:
    """Of every data set: its kind, its manual in one line, whether it is at hand."""
    made = [(kind, _find(kind)) for kind in kinds(Dataset)]
    return [(kind, _manual(dataset), dataset.is_cached()) for kind, dataset in made]


def describe(name: str) -> dict[str, Any]:
    """What is in a data set, as numbers; fetches it where it is not in the cache.

    Args:
        name: its kind, for all there is; or an experiment file, for what that draws.

    Returns:
        ``name``, ``manual``, ``rows``, ``documents``, ``classes`` (names), ``groups`` (rows
        of each), ``shares`` (group to the share of each class), ``mean_tokens`` (words and
        marks per text), ``parts`` (rows of each published part), ``source``, ``licence``,
        ``sha256``, ``faults``.
    """
    dataset, corpus = _content(name)
    card = dataset.card()
    return {
        "name": name,
        "manual": _manual(dataset),
        "rows": len(corpus),
        "parts": _parts(corpus),
        "documents": len(np.unique(corpus.documents)),
        "classes": list(corpus.geometry.names),
        "groups": dict(zip(corpus.group_names, _sizes(corpus).tolist(), strict=True)),
        "shares": _shares(corpus),
        "mean_tokens": float(np.mean([len(_tokens(text)) for text in corpus.texts])),
        "source": card.source,
        "licence": card.licence,
        "sha256": card.sha256,
        "faults": list(card.faults),
    }


def clear() -> int:
    """Delete the prepared data sets and the cached features, and nothing else.

    Returns:
        The bytes that were freed.
    """
    files = [path for kind in kinds(Dataset) for path in prepared.files_of(kind)]
    files += [path for name in FEATURES for path in (cache_root() / name).glob("*.npy")]
    files += [path for name in FEATURES for path in leftovers(cache_root() / name)]
    freed = sum(path.stat().st_size for path in files)
    for path in files:
        path.unlink()
    homes = [cache_root() / "data" / kind for kind in kinds(Dataset)]
    homes += [cache_root() / name for name in ("data", *FEATURES)]
    for folder in homes:
        _drop_if_empty(folder)
    return freed


def _content(name: str) -> tuple[type[Dataset], Corpus]:
    if not name.endswith(".toml"):
        return (dataset := _find(name)), dataset.whole()
    experiment = read(name)
    made = experiment.data.dataset
    return type(made), made.load(stream(experiment.seed, "data"))


def _find(name: str) -> type[Dataset]:
    return find(Dataset, name, "data set")  # type: ignore[type-abstract]


def _manual(dataset: type[Dataset]) -> str:
    return (dataset.__doc__ or "").strip().split("\n")[0]


def _sizes(corpus: Corpus) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.bincount(corpus.groups, minlength=len(corpus.group_names))


def _parts(corpus: Corpus) -> dict[str, int]:
    if corpus.parts is None:
        return {}
    counts = np.bincount(corpus.parts, minlength=len(Part)).tolist()
    return {part.name.lower(): count for part, count in zip(Part, counts, strict=True) if count}


def _shares(corpus: Corpus) -> dict[str, list[float]]:
    table = np.zeros((len(corpus.group_names), len(corpus.geometry)))
    np.add.at(table, (corpus.groups, corpus.labels), 1.0)
    table /= np.maximum(table.sum(axis=1, keepdims=True), 1.0)
    return dict(zip(corpus.group_names, table.tolist(), strict=True))


def _tokens(text: str) -> list[str]:
    return re.findall(r"\w+|[^\w\s]", text)


def _drop_if_empty(folder: Path) -> None:
    with suppress(OSError):  # not there, or something of the user's lies in it
        folder.rmdir()
