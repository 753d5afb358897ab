"""Distillation losses: how wrong is the student about each of its soft targets?"""

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor

from common.labels import LabelGeometry


class DistillationLoss(ABC):
    """A discrepancy between student and target distributions, one value per pair.

    A loss sees distributions and a geometry, nothing else: weights and schedules are the
    training loop's business.

    Attributes:
        uses_geometry: whether the value depends on the ground cost or on where labels lie.
        separable: whether a sample's value depends on that sample alone; losses that compare
            the samples of a batch with each other say False.
        exact_gradient: whether the gradient is the value's own slope; a reproduction of a
            solver that stops before it has converged says False.
    """

    uses_geometry: ClassVar[bool] = False
    separable: ClassVar[bool] = True
    exact_gradient: ClassVar[bool] = True

    @abstractmethod
    def __call__(self, log_q: Tensor, p: Tensor, geometry: LabelGeometry) -> Tensor:
        """Compare the student with every target, on a batch.

        Args:
            log_q: shape (B, C), the student's log-probabilities, finite; gradients flow
                here, and only here.
            p: shape (..., B, C), the target distributions, of the dtype of ``log_q``;
                constant, zeros allowed. Any axes may lead, (T, B, C) for T targets.
            geometry: the C labels and their ground cost.

        Returns:
            Shape (..., B); smallest at q = p, up to :meth:`slack`.
        """

    def slack(self, geometry: LabelGeometry) -> float:
        """How far below the value at q = p the minimum may lie; zero unless regularised."""
        del geometry
        return 0.0

    def check(self, geometry: LabelGeometry) -> None:
        """Refuse a geometry this loss cannot serve.

        Raises:
            ConfigError: which loss to write instead.
        """
        del geometry
