"""A ``split.json`` that is used again: read, and held against the corpus it is to divide."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from common.arrays import Ints
from common.failures import ConfigError, DataError
from simulations.datasets import Corpus, Part
from simulations.split import Split

_SLACK = 0.01
"""Share of the rows: whole documents may leave a part below what was asked for."""


def corpus_sha256(corpus: Corpus) -> str:
    """SHA-256 in hex over texts and labels in order: what a row number means."""
    digest = hashlib.sha256()
    for text in corpus.texts:
        data = text.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "little") + data)  # lengths keep neighbours apart
    digest.update(np.asarray(corpus.labels, dtype="<i8").tobytes())
    return digest.hexdigest()


def hashes(corpus: Corpus) -> dict[str, str]:
    """All that ``split.json`` says of the data itself, by key.

    ``beside_sha256`` is over natural groups and raters' distributions, which decide neither what
    a row number means nor whether a split can be used again, but what is measured on it.
    """
    digest = hashlib.sha256(json.dumps(corpus.group_names).encode())
    digest.update(np.asarray(corpus.groups, dtype="<i8").tobytes())
    if corpus.gold is not None:
        digest.update(np.asarray(corpus.gold, dtype="<f8").tobytes())
    return {"corpus_sha256": corpus_sha256(corpus), "beside_sha256": digest.hexdigest()}


def read_split(path: str, sha256: str = "") -> tuple[str, Split]:
    """The hash of the corpus that a file divides, and how.

    Args:
        path: of a ``split.json``.
        sha256: of the file, or empty for any.

    Raises:
        ConfigError: there is no such file, or it has another hash.
        DataError: it is no split.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise ConfigError(
            f"data.partition.path: {path} cannot be read; give the split.json of a run"
        ) from error
    if sha256 and hashlib.sha256(data).hexdigest() != sha256:
        raise ConfigError(
            f"data.partition.sha256 is not that of {path}; put the file back, or write its hash"
        )
    try:
        table: dict[str, Any] = json.loads(data)
        return str(table["corpus_sha256"]), Split.from_json(table)
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError) as error:
        raise DataError(
            f"{path} is no split of this version; give the split.json of a run of it"
        ) from error


def check_sizes(saved: Split, sizes: Mapping[str, int], num_rows: int, num_clients: int) -> None:
    """What the experiment says of the parts must be what they are.

    Args:
        saved: the split.
        sizes: rows wanted of some of ``transfer``, ``test`` and ``validation``.
        num_rows: of which the fractions are.
        num_clients: K.

    Raises:
        ConfigError: a part is not as large as the experiment wants; names what to write.
    """
    if len(saved.clients) != num_clients:
        raise ConfigError(
            f"data.num_clients = {num_clients}, but the saved split has {len(saved.clients)} "
            f"clients; write {len(saved.clients)}"
        )
    keys = {"transfer": "transfer_fraction", "test": "test_fraction"}
    for part, wanted in sizes.items():
        found = len(getattr(saved, part))
        if abs(found - wanted) > _SLACK * num_rows:
            value = found / num_rows if part in keys else found
            raise ConfigError(
                f"data.{keys.get(part, 'validation_size')} means {wanted} rows, but the saved "
                f"split has {found} there; write {value:.4g}"
            )


def check_rows(saved: Split, corpus: Corpus, path: str) -> None:
    """Every row has one owner, every owner rows, and published parts are kept.

    Raises:
        DataError: the file was changed by hand.
    """
    parts = (saved.transfer, saved.validation, saved.test, *saved.clients)
    dealt = np.sort(np.concatenate(parts))
    ordered = all(np.all(np.diff(rows) > 0) for rows in (*parts, dealt))
    if not ordered or not np.array_equal(np.setdiff1d(_owed(corpus), dealt), []):
        raise DataError(f"{path} does not give each row to one owner; put the file back")
    if dealt[0] < 0 or dealt[-1] >= len(corpus) or _moved(saved, corpus):
        raise DataError(f"{path} deals rows that are not there to be dealt; put the file back")
    if not all(map(len, (saved.transfer, saved.test, *saved.clients))):
        raise DataError(f"{path} leaves a client or a part without rows; put the file back")


def _owed(corpus: Corpus) -> Ints:
    """The rows that somebody must own; of a published validation part, some belong to nobody."""
    if corpus.parts is None:
        return np.arange(len(corpus))
    return np.flatnonzero(corpus.parts != Part.VALIDATION)


def _moved(saved: Split, corpus: Corpus) -> bool:
    """Whether rows of a published part have left it."""
    if corpus.parts is None:
        return False
    tested = np.array_equal(np.flatnonzero(corpus.parts == Part.TEST), saved.test)
    learned = np.concatenate([saved.transfer, saved.private])
    return bool(
        (not tested and Part.TEST in corpus.parts) or np.any(corpus.parts[learned] != Part.TRAIN)
    )
