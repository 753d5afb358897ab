"""Feedbacks: what the server says of the shared texts before it asks about them once more."""

from abc import ABC, abstractmethod

from torch import nn

from common.arrays import Floats
from server.aggregators import Targets


class Feedback(ABC):
    """What goes down after a round, to whoever is asked in the next one.

    Everybody is told the same. It is made of what clients said, and so it tells each of them
    about the others: of two clients, either can subtract its own answer from a mean.
    """

    @abstractmethod
    def speak(self, targets: Targets, student: nn.Module, features: Floats) -> Floats:
        """Opinions on the shared texts, shape (N, C); rows are distributions.

        Args:
            targets: T of them for each of the N texts, as the student was given in this round.
            student: as it is after the round.
            features: shape (N, D), of the shared texts, as the student reads them.
        """
