"""Aggregators: from K weighted opinions per sample to the T targets a student learns from."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from common.arrays import Floats
from common.labels import LabelGeometry


@dataclass(frozen=True, eq=False)
class Targets:
    """What the student should say.

    Attributes:
        probs: shape (T, N, C), float32; rows are distributions. T is 1 for a consensus and K
            if every opinion is kept.
        weights: shape (T, N), float32; columns sum to 1.
    """

    probs: Floats
    weights: Floats


class Aggregator(ABC):
    """Combines the opinions of K teachers on N samples into T targets.

    Attributes:
        repeats_agreement: whether teachers who all say the same are repeated as they are;
            what reshapes the consensus says no.
        keeps_opinions: whether the targets are the opinions, in their order.
        matches_subclasses: whether it makes one opinion of several whose pseudo-subclasses do not
            correspond, from all samples; it is given a
            :class:`common.subclasses.RefinedGeometry` where there are any.
        sees_all_samples: whether the target of one sample depends on what is said of others.
        of_sums: whether it follows from sums over clients: of weights times probabilities or, where
            it has a ``floor``, times the logarithms of probabilities not below that.
        robust: whether it is meant to bear with a minority that lies.
    """

    repeats_agreement: ClassVar[bool] = True
    keeps_opinions: ClassVar[bool] = False
    matches_subclasses: ClassVar[bool] = False
    sees_all_samples: ClassVar[bool] = False
    of_sums: ClassVar[bool] = False
    robust: ClassVar[bool] = False

    @abstractmethod
    def combine(self, probs: Floats, weights: Floats, geometry: LabelGeometry) -> Targets:
        """Form the targets, in float64 and in the order of the clients, rounded at the end.

        Args:
            probs: shape (K, N, C); rows are distributions.
            weights: shape (K, N), non-negative; columns need not sum to 1, and a column of
                zeros believes everyone equally.
            geometry: the C labels and their ground cost.
        """
