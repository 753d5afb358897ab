"""Reweightings: how much each term of a sample's loss counts, learned while the student learns."""

from abc import ABC, abstractmethod
from typing import ClassVar

from server.steering import Course, Steering


class Reweighting(ABC):
    """Sets the weights of a sample's loss terms anew at every step, on top of the weighting's.

    A term is one target: an opinion, the consensus, or the known label
    (``server.label_weight``).

    Attributes:
        needs: of ``labels``, known labels of some transfer texts.
        needs_opinions: whether every teacher's opinion must be a target of its own.
        needs_label: whether the known label must be a target.
    """

    needs: ClassVar[frozenset[str]] = frozenset()

    @property
    def needs_opinions(self) -> bool:
        """Whether targets must be opinions, as the aggregator ``keep_all`` leaves them."""
        return False

    @property
    def needs_label(self) -> bool:
        """Whether the known label must be a term (``server.label_weight``)."""
        return False

    @abstractmethod
    def steer(self, course: Course) -> Steering:
        """The steering of one round."""
