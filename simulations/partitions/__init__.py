"""Who holds which private row: every partition deals them out in its own way."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from common.arrays import Ints

if TYPE_CHECKING:  # they know partitions
    from simulations.datasets import Corpus
    from simulations.split import Split


class Partition(ABC):
    """A way to deal the private rows to the clients, every row to exactly one of them.

    Attributes:
        nests: whether it can deal the rows of a single natural group, in ``within_groups``.
    """

    nests: ClassVar[bool] = True

    @abstractmethod
    def split(
        self, labels: Ints, groups: Ints, num_clients: int, rng: np.random.Generator
    ) -> tuple[Ints, ...]:
        """Deal M rows to K clients.

        Args:
            labels: shape (M,), in 0 .. C-1.
            groups: shape (M,); the natural client of each row.
            num_clients: K.
            rng: the only source of chance.

        Returns:
            K arrays of positions 0 .. M-1, ascending, none empty, disjoint; together all.

        Raises:
            ConfigError: the rows cannot be dealt to so many clients.
        """

    def given(self, corpus: "Corpus", sizes: Mapping[str, int], num_clients: int) -> "Split | None":
        """All parts of the corpus where they are fixed beforehand, or None to have them drawn.

        Args:
            corpus: the texts.
            sizes: rows that the experiment wants as ``transfer``, ``test`` and ``validation``.
            num_clients: K.

        Raises:
            ConfigError: they were fixed for something else than this corpus.
            DataError: what fixes them is damaged.
        """
        return None

    def content(self) -> str:
        """The SHA-256 of a file that may change under the same settings; empty if none can.

        Raises:
            ConfigError: it cannot be read.
        """
        return ""
