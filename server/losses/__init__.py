"""Distillation losses: how wrong is the student about one soft target?"""

from abc import ABC, abstractmethod

from torch import Tensor

from common.labels import LabelGeometry


class DistillationLoss(ABC):
    """A discrepancy between student and target distributions, one value per sample.

    A loss sees distributions and a geometry, nothing else: weights, several targets and
    batches are the training loop's business.
    """

    @abstractmethod
    def __call__(self, log_q: Tensor, p: Tensor, geometry: LabelGeometry) -> Tensor:
        """Compare student and target on a batch.

        Args:
            log_q: shape (B, C), the student's log-probabilities, finite; gradients flow
                here, and only here.
            p: shape (B, C), the target distributions, of the dtype of ``log_q``; constant,
                zeros allowed.
            geometry: the C labels and their ground cost.

        Returns:
            Shape (B,); smallest at q = p, up to :meth:`slack`.
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
