"""Who may see what: transfer set, labelled validation slice, test set, private shards."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from common.arrays import Ints
from common.failures import ConfigError
from common.seeds import stream
from simulations.apportion import apportion
from simulations.datasets import Corpus
from simulations.filling import fill
from simulations.partitions import Partition


@dataclass(frozen=True, eq=False)
class Split:
    """The rows of a corpus by owner. Every array is ascending, int64; no row is in two.

    Attributes:
        transfer: the N rows whose texts everybody gets, without labels.
        validation: the labelled rows of the server.
        test: the rows nobody sees before the last round.
        private: all rows that clients hold.
        clients: K arrays, the rows of each client; together ``private``.
    """

    transfer: Ints
    validation: Ints
    test: Ints
    private: Ints
    clients: tuple[Ints, ...]

    def to_json(self, dataset: str, sha256: str) -> dict[str, Any]:
        """The content of ``split.json``: ``dataset`` is its kind, ``sha256`` its source."""
        return {
            "dataset": dataset,
            "sha256": sha256,
            "clients": {str(k): rows.tolist() for k, rows in enumerate(self.clients)},
            "transfer": self.transfer.tolist(),
            "validation": self.validation.tolist(),
            "test": self.test.tolist(),
        }

    @classmethod
    def from_json(cls, table: Mapping[str, Any]) -> Self:
        """The split that :meth:`to_json` wrote down."""
        shards = table["clients"]
        clients = tuple(_rows(shards[str(k)]) for k in range(len(shards)))
        return cls(
            transfer=_rows(table["transfer"]),
            validation=_rows(table["validation"]),
            test=_rows(table["test"]),
            private=np.sort(np.concatenate(clients)),
            clients=clients,
        )


def split(
    corpus: Corpus,
    *,
    transfer_fraction: float,
    test_fraction: float,
    validation_size: int,
    partition: Partition,
    num_clients: int,
    seed: int,
) -> Split:
    """Divide a corpus, group by group and by whole documents.

    Every group gives the same share of its rows to transfer, test and validation; what is
    left is private. No document stands on two sides. Counts are exact wherever a choice of
    whole documents can hit them, else as near below as possible (see ``filling.fill``).

    Args:
        corpus: M rows.
        transfer_fraction: share of all rows that become the transfer set, 0 < share < 1.
        test_fraction: share of all rows that become the test set, 0 < share < 1.
        validation_size: labelled rows of the server, at least 0.
        partition: deals the private rows to the clients.
        num_clients: K.
        seed: of the experiment.

    Raises:
        ConfigError: the parts leave too few private rows; says the largest feasible value.
    """
    wanted = _wanted(len(corpus), transfer_fraction, test_fraction, validation_size)
    _check_feasible(len(corpus), wanted, num_clients)
    sizes = np.bincount(corpus.groups, minlength=len(corpus.group_names))
    quotas = [apportion(sizes, wanted[part]) for part in ("test", "transfer", "validation")]
    rng = stream(seed, "split")
    test, transfer, validation = fill(corpus.documents, corpus.groups, quotas, rng)
    public = np.concatenate([test, transfer, validation])
    private = np.setdiff1d(np.arange(len(corpus), dtype=np.int64), public)
    dealt = partition.split(
        corpus.labels[private], corpus.groups[private], num_clients, stream(seed, "partition")
    )
    return Split(transfer, validation, test, private, tuple(private[rows] for rows in dealt))


def _wanted(rows: int, transfer: float, test: float, validation: int) -> dict[str, int]:
    for name, fraction in (("transfer_fraction", transfer), ("test_fraction", test)):
        if not 0 < fraction < 1:
            raise ConfigError(f"data.{name} = {fraction}; write a share between 0 and 1")
    if validation < 0:
        raise ConfigError(f"data.validation_size = {validation}; write at least 0")
    wanted = {
        "transfer": round(transfer * rows),
        "test": round(test * rows),
        "validation": validation,
    }
    for part in ("transfer", "test"):
        if wanted[part] == 0:
            raise ConfigError(
                f"data.{part}_fraction of {rows} rows is none; write at least {1 / rows:.2g}"
            )
    return wanted


def _check_feasible(rows: int, wanted: Mapping[str, int], num_clients: int) -> None:
    """Blame the number of clients if the parts alone fit, else the part that can shrink."""
    private = rows - sum(wanted.values())
    if private >= max(num_clients, 1):
        return
    if private >= 1:
        raise ConfigError(
            f"data.num_clients = {num_clients}, but only {private} rows are private; "
            f"write at most {private}"
        )
    others = rows - num_clients - wanted["test"]
    if others - wanted["validation"] >= 1:
        most = _rounded_down((others - wanted["validation"]) / rows, len(str(rows)) + 1)
        raise ConfigError(
            f"data.transfer_fraction leaves too few private rows; write at most {most}"
        )
    if others - wanted["transfer"] >= 0:
        most = others - wanted["transfer"]
        raise ConfigError(f"data.validation_size leaves too few private rows; write at most {most}")
    raise ConfigError(
        "data.transfer_fraction and data.test_fraction leave too few private rows; "
        "write smaller shares, such as 0.25 and 0.2"
    )


def _rounded_down(value: float, digits: int) -> float:
    scale = 10.0**digits
    return math.floor(value * scale) / scale


def _rows(values: Any) -> Ints:
    return np.array(values, dtype=np.int64)
