"""Weigh a text's loss terms by how much each helps on known labels."""

from typing import ClassVar, Literal, final

import torch
from pydantic import Field
from torch import Tensor
from typing_extensions import override

from common.component import component
from server.distil import weighted_loss
from server.reweightings import Reweighting
from server.reweightings._alignment import Parameters, alignments, gradient, trainable
from server.sharing import evenly, opinions, shared_out
from server.steering import Course, Steering, Step


@final
@component
class RwKd(Reweighting):
    r"""RW-KD: the slope of a loss on known labels in the weight of every term of every text.

    .. math::
        \hat\theta(\epsilon) = \theta - \eta \nabla_\theta \tfrac1B \sum_{ij} \epsilon_{ij} l_{ij},
        \quad u_{ij} = \max(-\partial L_V(\hat\theta) / \partial \epsilon_{ij}, \; \delta), \quad
        w_{ij} \propto u_{ij}

    :math:`l_{ij}` is the loss of text j against its target i; L_V is the mean cross-entropy on
    texts whose labels are known. The weights of a text keep their sum, and what weighs nothing
    stays so. One virtual step of plain descent is linear in :math:`\epsilon`, so the slope is
    :math:`(\eta / B) \langle \nabla L_V(\hat\theta), \nabla l_{ij}(\theta) \rangle` exactly, with
    no derivative of a derivative: at 0, the source's place, the alignment of two gradients.

    Departures: in the source every text has a label and a single teacher; here a text has
    many, and few have a label. The virtual step is of plain descent and has no dropout; the
    student's own is AdamW's. The known labels are parted: those of L_V are no term of any
    loss, so that nothing is learned from what it is judged by. Momentum is ours. The paper's
    text was not at hand; the rule is that of a public port, and of Ren et al.

    Attributes:
        terms: ``teachers``, each target is a term, the known label too if there is one
            (``server.label_weight``); ``label_teachers``, the source's two: the known label
            against all opinions together, for texts with a label that is not in V.
        meta_share: share of the known labels that are V's.
        meta_batch: so many of them are drawn at each step.
        meta_loss: ``label`` as above; ``label_and_teachers`` adds the loss against the targets.
        ahead: whether L_V is looked at after a virtual step with the present weights, instead
            of at 0, where the student stands.
        virtual_rate: :math:`\eta`; not given, the student's own learning rate.
        floor: :math:`\delta`, of what helps nothing; where no term helps, all count the same.
        momentum: what stays, when a text comes round again, of its last shares; they begin as
            those of the weighting. The source has 0.

    Reference: Lu et al. *RW-KD: Sample-wise Loss Terms Re-Weighting for Knowledge
    Distillation*, Findings of EMNLP 2021; Ren et al. *Learning to Reweight Examples for Robust
    Deep Learning*, ICML 2018, algorithm 1. https://arxiv.org/abs/1803.09050
    """

    needs: ClassVar[frozenset[str]] = frozenset({"labels"})

    terms: Literal["teachers", "label_teachers"] = "teachers"
    meta_share: float = Field(default=0.5, gt=0, lt=1)
    meta_batch: int = Field(default=64, ge=1)
    meta_loss: Literal["label", "label_and_teachers"] = "label"
    ahead: bool = False
    virtual_rate: float | None = Field(default=None, gt=0)
    floor: float = Field(default=1e-8, gt=0)
    momentum: float = Field(default=0.0, ge=0, lt=1)

    @property
    @override
    def needs_opinions(self) -> bool:
        return self.terms == "teachers"

    @property
    @override
    def needs_label(self) -> bool:
        return self.terms == "label_teachers"

    @override
    def steer(self, course: Course) -> Steering:
        return _Learner(self, course)


class _Learner(Steering):
    def __init__(self, settings: RwKd, course: Course) -> None:
        self._settings, self._course = settings, course
        self._opinions = opinions(course.teachers)  # (T, 1)
        self._judges = torch.nonzero(evenly(len(course.rows), settings.meta_share))[:, 0]
        self._judging = torch.zeros(len(course.features), dtype=torch.bool)
        self._judging[course.rows[self._judges]] = True
        self._shares = torch.zeros_like(course.weights)  # (T, N), of texts that were seen
        self._seen = torch.zeros(len(course.features), dtype=torch.bool)

    @override
    def weigh(self, step: Step) -> Tensor:
        """The weight of every text, shared by its terms as they help on the known labels."""
        weights = self._unjudged(step)
        scores = self.slopes(step, weights).clamp(min=self._settings.floor)
        if self._settings.terms == "label_teachers":
            scores = self._in_blocks(scores, weights)
        told = shared_out(scores, weights, weights > 0)
        return self._smoothed(told, weights, step.rows) if self._settings.momentum else told

    def slopes(self, step: Step, weights: Tensor) -> Tensor:
        """Minus the derivative of the loss on V in every term's weight, (T, B)."""
        course = self._course
        inputs = course.features.index_select(0, step.rows)
        training = course.student.training
        course.student.eval()
        try:
            direction = self._direction(step, inputs, weights)
            aligned = alignments(
                course.student, direction, inputs, step.probs, course.loss, step.geometry
            )
        finally:
            course.student.train(training)
        if self._settings.terms == "label_teachers":
            aligned = self._together(aligned, weights)
        return self._rate * aligned / len(step.rows)

    @property
    def _rate(self) -> float:
        return self._settings.virtual_rate or self._course.learning_rate

    def _direction(self, step: Step, inputs: Tensor, weights: Tensor) -> Parameters:
        """The gradient of the loss on a draw from V, where the student stands or would stand."""
        course = self._course
        at = trainable(course.student)
        if self._settings.ahead:

            def taught(log_q: Tensor) -> Tensor:
                return weighted_loss(course.loss, log_q, step.probs, weights, step.geometry)

            fall = gradient(course.student, at, inputs, taught)
            at = {name: part - self._rate * fall[name] for name, part in at.items()}
        count = min(self._settings.meta_batch, len(self._judges))
        drawn = self._judges[torch.from_numpy(course.rng.permutation(len(self._judges))[:count])]
        judged = course.features.index_select(0, course.rows[drawn])
        return gradient(course.student, at, judged, lambda q: self._meta_loss(q, drawn, step))

    def _meta_loss(self, log_q: Tensor, drawn: Tensor, step: Step) -> Tensor:
        course = self._course
        loss = -log_q.gather(1, course.labels[drawn][:, None]).mean()
        if self._settings.meta_loss == "label":
            return loss
        rows, said = course.rows[drawn], self._opinions[:, 0]
        probs, weights = course.probs[said][:, rows], course.weights[said][:, rows]
        return loss + weighted_loss(course.loss, log_q, probs, weights, step.geometry)

    def _unjudged(self, step: Step) -> Tensor:
        """The incoming weights; a label of V is no term, and the opinions have its weight."""
        freed = self._judging[step.rows] & ~self._opinions
        said = torch.where(freed, 0, step.weights)
        scale = step.weights.sum(dim=0) / said.sum(dim=0).clamp(min=torch.finfo(said.dtype).tiny)
        return torch.where(freed.any(dim=0), said * scale, step.weights)

    def _together(self, each: Tensor, weights: Tensor) -> Tensor:
        """Slopes in the weight of all opinions together: their mean by weight, for each."""
        spoken = torch.where(self._opinions, weights, 0)
        tiny = torch.finfo(spoken.dtype).tiny
        mean = (spoken * each).sum(dim=0) / spoken.sum(dim=0).clamp(min=tiny)
        return torch.where(self._opinions, mean, each)

    def _in_blocks(self, scores: Tensor, weights: Tensor) -> Tensor:
        """What the opinions have together, parted among them as they were weighed."""
        spoken = torch.where(self._opinions, weights, 0)
        parts = spoken / spoken.sum(dim=0).clamp(min=torch.finfo(spoken.dtype).tiny)
        return torch.where(self._opinions, scores * parts, scores)

    def _smoothed(self, told: Tensor, weights: Tensor, rows: Tensor) -> Tensor:
        """Shares that follow slowly; weights come back with the sums they had."""
        stays, total = self._settings.momentum, weights.sum(dim=0)
        whole = total.clamp(min=torch.finfo(total.dtype).tiny)
        old = torch.where(self._seen[rows], self._shares[:, rows], weights / whole)
        shares = stays * old + (1 - stays) * told / whole
        self._shares[:, rows], self._seen[rows] = shares, True
        return shares * total
