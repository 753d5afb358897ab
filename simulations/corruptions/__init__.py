"""What is wrong with the private data of some clients: noise, dialects, reversed scales."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from common.arrays import Ints
from common.component import component
from common.labels import LabelGeometry


@dataclass(frozen=True, eq=False)
class Shard:
    """What one client holds.

    Attributes:
        texts: its M texts.
        labels: shape (M,), int64.
    """

    texts: tuple[str, ...]
    labels: Ints


@component
class Corruption(ABC):
    """One thing that is wrong with the private shards of some clients.

    Only what clients hold is changed: transfer set, validation slice and test set stay clean.

    Attributes:
        share: of the clients, drawn by the seed; a larger share contains a smaller one.
        clients: the very clients instead, if there are any here.
    """

    share: float = Field(default=1.0, gt=0, le=1)
    clients: tuple[Annotated[int, Field(ge=0)], ...] = ()

    @abstractmethod
    def corrupt(self, shard: Shard, geometry: LabelGeometry, rng: np.random.Generator) -> Shard:
        """The shard as the client holds it.

        Args:
            shard: M texts and labels.
            geometry: the C labels.
            rng: the client's own for this corruption, and the only source of chance.

        Returns:
            M texts and labels; row i is still about row i.

        Raises:
            ConfigError: these labels cannot be corrupted in this way.
        """
