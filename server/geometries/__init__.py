"""Geometries: the ground cost that the server's losses and barycentres are given."""

from abc import ABC, abstractmethod

from torch import Tensor

from common.labels import LabelGeometry


class Geometry(ABC):
    """Says what moving probability mass from one label to another costs.

    The data set brings a geometry of its own, in which results are measured; this one is
    what the student is trained with, so a control can deal the labels other places.
    """

    @abstractmethod
    def build(self, labels: LabelGeometry) -> LabelGeometry:
        """The geometry of the first step.

        Args:
            labels: the data set's labels in their own geometry.

        Returns:
            The same C names in the same order, with other points and another cost.

        Raises:
            ConfigError: these settings do not fit the labels.
        """

    def refine(
        self, geometry: LabelGeometry, step: int, q: Tensor, p: Tensor, weights: Tensor
    ) -> LabelGeometry:
        """The geometry after a step of the student; only a learned one changes.

        Args:
            geometry: of the step that was just done.
            step: its number, from 1.
            q: shape (B, C), the student's distributions.
            p: shape (T, B, C), its targets.
            weights: shape (T, B).
        """
        del step, q, p, weights
        return geometry
