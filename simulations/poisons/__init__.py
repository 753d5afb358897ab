"""Poisons: what malicious clients say about the transfer set, given what the honest ones say."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from common.arrays import Floats
from common.labels import LabelGeometry


@dataclass(frozen=True, eq=False)
class Scene:
    """All that the attackers know, which is everything that is said: the worst case.

    Attributes:
        honest: shape (K - F, N, C), float64; what the honest clients say, at least one.
        own: shape (F, N, C), float64; what the attackers would say if they were honest.
        geometry: the C labels and their ground cost.
        rng: the only source of chance.
    """

    honest: Floats
    own: Floats
    geometry: LabelGeometry
    rng: np.random.Generator

    @property
    def consensus(self) -> Floats:
        """The mean of the honest clients, shape (N, C)."""
        mean: Floats = self.honest.mean(axis=0)
        return mean


class Poison(ABC):
    """A lie on which F malicious clients have agreed."""

    @property
    def voices(self) -> int:
        """As how many clients each attacker appears."""
        return 1

    @abstractmethod
    def say(self, scene: Scene) -> Floats:
        """What the attackers say instead.

        Returns:
            Shape (F * :attr:`voices`, N, C); rows are distributions, of every width of code.
        """
