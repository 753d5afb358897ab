"""Caches: for how long what was said of a shared text is kept, and not asked about again."""

from abc import ABC, abstractmethod
from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    """What all parties agree on, see :class:`common.asking.Asking`.

    Attributes:
        share: of the shared texts that a round is about.
        duration: rounds for which a text is not asked about again.
    """

    share: float
    duration: int


class Cache(ABC):
    """Spares traffic: a round asks about a part of its texts, and remembers the others.

    Which part is the same for all clients, public, and fixed before the run, so that nobody has to
    say it.
    """

    @abstractmethod
    def plan(self) -> Plan:
        """The same for every round and every client."""
