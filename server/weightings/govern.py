"""Believe the side that most teachers want to move the student to."""

from typing import ClassVar, final

import numpy as np
import torch
from torch import Tensor
from typing_extensions import override

from common.arrays import Floats
from common.component import component
from common.predictions import Ensemble
from common.state import State
from server.sharing import opinions, shared_out
from server.steering import Course, Steering, Step
from server.weightings import Weighting


@final
@component
class Govern(Weighting):
    r"""Per sample and step: the teachers vote on where the student should go; losers are silent.

    .. math::
        v_{kc} = \mathrm{sign}(p_{kc} - q_c), \quad m_c = \mathrm{sign} \sum_k v_{kc}, \quad
        w_k \propto 1\!\left[\sum_c m_c v_{kc} > 0\right]

    p_k is what teacher k says, q what the student says at this step. m is the majority's
    orientation, label by label, and 0 where the votes are level; a teacher is kept if it agrees
    with the majority on more labels than it disagrees on. Those kept share the weight equally;
    where nobody is kept, all are. It needs the predictions only and remembers nothing.

    Of the source: no labels; the orientation of each teacher's gradient for this student and
    this sample is a vote; the majority's side is kept and averaged. The paper's abstract and
    summaries of its rule were read, its equations were not. Ours: the vote label by label and
    the count of agreements. With two labels both components of a vote say the same, and the
    rule is that of one score per sample. The source's second, supervised stage is not here.

    Reference: Zhou et al. *GOVERN: Gradient Orientation Vote Ensemble for Multi-Teacher
    Reinforced Distillation*, EMNLP 2024 (Industry Track). https://arxiv.org/abs/2405.03764
    """

    steers: ClassVar[bool] = True

    @override
    def weigh(self, ensemble: Ensemble, state: State) -> Floats:
        """Equal weights, for there is no student to vote on yet."""
        del state
        return np.ones(ensemble.probs.shape[:2], dtype=np.float64)

    @override
    def steer(self, course: Course, state: State) -> Steering:
        del state
        return _Vote(opinions(course.teachers))


class _Vote(Steering):
    def __init__(self, voters: Tensor) -> None:
        self._voters = voters  # (T, 1)

    @override
    def weigh(self, step: Step) -> Tensor:
        """The weight of every text's opinions, shared by those on the majority's side."""
        kept = torch.zeros_like(step.weights)
        who = self._voters[:, 0]
        kept[who] = winners(step.probs[who], step.log_q.exp()).to(kept.dtype)
        return shared_out(kept, step.weights, self._voters)


def winners(probs: Tensor, q: Tensor) -> Tensor:
    """Who is on the majority's side.

    Args:
        probs: shape (K, B, C).
        q: shape (B, C), the student's.

    Returns:
        Shape (K, B), bool.
    """
    votes = (probs - q).sign()  # (K, B, C)
    majority = votes.sum(dim=0).sign()
    return (votes * majority).sum(dim=-1) > 0
