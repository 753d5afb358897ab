"""Who may see what: transfer set, labelled validation slice, test set, private shards."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np

from common.arrays import Ints
from common.failures import ConfigError, DataError
from common.seeds import stream
from simulations.apportion import apportion
from simulations.datasets import Corpus, Part
from simulations.feasibility import check_feasible, wanted_rows
from simulations.filling import fill
from simulations.partitions import Partition

_ORDER: Final = ("test", "transfer", "validation")


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

    def to_json(self, dataset: str, sha256: str, corpus: str) -> dict[str, Any]:
        """The content of ``split.json``.

        Args:
            dataset: kind of the data set.
            sha256: of its source.
            corpus: of the texts and labels that the rows number, see
                :func:`simulations.saved_split.corpus_sha256`.
        """
        return {
            "dataset": dataset,
            "sha256": sha256,
            "corpus_sha256": corpus,
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

    Where the data set was published in parts (``Corpus.parts``), they are kept: the published
    test part is the test set, whole, and ``test_fraction`` has no effect; the validation rows
    are drawn from the published validation part, and what is left of it belongs to nobody;
    transfer set and private rows come from the training part, of which the shares are.

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
        DataError: a document is so long that no whole one fits into a part.
    """
    train, held, test = _published(corpus)
    wanted = wanted_rows(len(train), transfer_fraction, test_fraction, validation_size)
    slice_size = _from_part(wanted, held, test)
    sizes = wanted | {"test": wanted["test"] or len(test), "validation": slice_size}
    if (given := partition.given(corpus, sizes, num_clients)) is not None:
        return given
    check_feasible(len(train), wanted, num_clients)
    rng = stream(seed, "split")
    drawn = dict(zip(_ORDER, _draw(corpus, train, [wanted[p] for p in _ORDER], rng), strict=True))
    _check_drawn(drawn, wanted)
    private = np.setdiff1d(train, np.concatenate(list(drawn.values())))
    validation = _draw(corpus, held, [slice_size], rng)[0] if len(held) else drawn["validation"]
    dealt = partition.split(
        corpus.labels[private], corpus.groups[private], num_clients, stream(seed, "partition")
    )
    return Split(
        transfer=drawn["transfer"],
        validation=validation,
        test=test if len(test) else drawn["test"],
        private=private,
        clients=tuple(private[rows] for rows in dealt),
    )


def _published(corpus: Corpus) -> tuple[Ints, Ints, Ints]:
    """The rows to draw from, those of a published validation part, and of a test part."""
    parts = np.zeros(len(corpus), np.int64) if corpus.parts is None else corpus.parts
    train, validation, test = (np.flatnonzero(parts == part) for part in Part)
    return train, validation, test


def _from_part(wanted: dict[str, int], held: Ints, test: Ints) -> int:
    """Nothing is drawn where a part was published; how many rows of ``held`` are wanted."""
    size = wanted["validation"]
    if len(test):
        wanted["test"] = 0
    if len(held):
        wanted["validation"] = 0
        if size > len(held):
            raise ConfigError(
                f"data.validation_size = {size}, but the published validation part has "
                f"{len(held)} rows; write at most {len(held)}"
            )
    return size


def _draw(
    corpus: Corpus, rows: Ints, wanted: Sequence[int], rng: np.random.Generator
) -> list[Ints]:
    """Of every part, its rows: whole documents among ``rows``, each group its share."""
    groups = corpus.groups[rows]
    sizes = np.bincount(groups, minlength=len(corpus.group_names))
    quotas = [apportion(sizes, count) for count in wanted]
    return [rows[chosen] for chosen in fill(corpus.documents[rows], groups, quotas, rng)]


def _check_drawn(drawn: Mapping[str, Ints], wanted: Mapping[str, int]) -> None:
    for part, rows in drawn.items():
        if wanted[part] and not len(rows):
            raise DataError(
                f"no whole document fits into the {wanted[part]} rows of the {part} part; this "
                "data has too few documents, or too many equal texts"
            )


def _rows(values: Any) -> Ints:
    return np.array(values, dtype=np.int64)
