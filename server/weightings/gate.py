"""Believe whom a gate, trained on known labels, opens to: the supervised control."""

from typing import ClassVar, Literal, final

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from typing_extensions import override

from common.arrays import Floats
from common.component import component
from common.predictions import Ensemble
from common.state import State
from server.representing import represented
from server.sharing import evenly, opinions, shared_out
from server.steering import Course, Steering, Step
from server.weightings import Weighting
from server.weightings._scale import standardised

_FLOOR = 1e-3  # what crossed an 8-bit wire as zero was below .002 or so


@final
@component
class Gate(Weighting):
    r"""A softmax over the teachers whose logits are linear in what is known of a text.

    .. math::
        g_k(x) = \mathrm{softmax}_k (A f(x) + b), \qquad
        \min_{A, b} -\frac1M \sum_i \log \sum_k g_k(x_i) \, p_k(y_i | x_i)
        + \frac{\lambda}{2} \lVert A \rVert^2

    Trained anew in every round, before the student's first step, by Adam on all M labels at
    once; then it stands still. Of all its steps that one is kept whose likelihood on labels
    held out is largest, the first among them, where all teachers weigh the same. It asks which
    teacher knows texts of this kind, with the means of supervised learning: what learned
    weights gain beyond it is owed to their method and not to the labels.

    Attributes:
        inputs: what the gate sees of a text: ``features`` as the student reads them (for a
            student that reads texts itself those are ids of tokens, which mean nothing here),
            ``hidden``, the input of the student's last linear layer before the first step of the
            round (in the first round, of a student that has learned nothing: a random map),
            ``predictions``, all that the teachers say of it, in logarithms, or ``nothing``, for
            one weight per teacher.
        steps: of Adam.
        learning_rate: of Adam.
        decay: :math:`\lambda`; the inputs have mean 0 and length about 1.
        holdout: share of the known labels by which the step is chosen.

    Reference: Jacobs, Jordan, Nowlan, Hinton. *Adaptive Mixtures of Local Experts*, Neural
    Computation 3, 1991 (a gate trained by the likelihood of the mixture; there the experts
    learn, too).
    """

    needs: ClassVar[frozenset[str]] = frozenset({"labels"})
    steers: ClassVar[bool] = True

    inputs: Literal["features", "hidden", "predictions", "nothing"] = "features"
    steps: int = Field(default=200, ge=1)
    learning_rate: float = Field(default=0.05, gt=0)
    decay: float = Field(default=0.01, ge=0)
    holdout: float = Field(default=0.25, gt=0, lt=1)

    @override
    def weigh(self, ensemble: Ensemble, state: State) -> Floats:
        """Equal weights; the gate opens when the student starts to learn."""
        del state
        return np.ones(ensemble.probs.shape[:2], dtype=np.float64)

    @override
    def steer(self, course: Course, state: State) -> Steering:
        del state
        voices = opinions(course.teachers)
        probs = course.probs[voices[:, 0]]  # (K, N, C)
        seen = self._seen(course, probs)
        said = probs[:, course.rows, course.labels].clamp(min=_FLOOR)  # (K, M)
        weights = self._fitted(seen[course.rows], said)
        scores = torch.zeros_like(course.weights)
        scores[voices[:, 0]] = torch.softmax(seen @ weights, dim=1).T
        return _Open(voices, scores)

    def _seen(self, course: Course, probs: Tensor) -> Tensor:
        """What the gate sees: shape (N, F), the last column 1."""
        seen, texts = course.features, course.features.shape[0]
        if self.inputs == "nothing":
            return torch.ones(texts, 1)
        if self.inputs == "predictions":
            seen = probs.clamp(min=_FLOOR).log().transpose(0, 1).reshape(texts, -1)
        elif self.inputs == "hidden":
            seen = represented(course.student, course.features)
        return torch.cat([standardised(seen), torch.ones(texts, 1)], dim=1)

    def _fitted(self, seen: Tensor, said: Tensor) -> Tensor:
        """The gate (F, K) from what is seen (M, F) and the labels' probabilities (K, M)."""
        held = evenly(len(seen), self.holdout) if len(seen) > 1 else torch.tensor([False])
        judged = held if bool(held.any()) else ~held
        gate = torch.zeros(seen.shape[1], len(said), requires_grad=True)
        adam = torch.optim.Adam([gate], lr=self.learning_rate)
        best, kept = mixture_loss(gate, seen[judged], said[:, judged]).item(), gate.detach().clone()
        for _ in range(self.steps):
            adam.zero_grad()
            loss = mixture_loss(gate, seen[~held], said[:, ~held])
            (loss + self.decay / 2 * gate[:-1].square().sum()).backward()
            adam.step()
            found = mixture_loss(gate, seen[judged], said[:, judged]).item()
            if found < best:
                best, kept = found, gate.detach().clone()
        return kept


class _Open(Steering):
    def __init__(self, voices: Tensor, scores: Tensor) -> None:
        self._voices, self._scores = voices, scores  # (T, 1), (T, N)

    @override
    def weigh(self, step: Step) -> Tensor:
        """The weight of every text's opinions, shared as the gate says."""
        scores = self._scores.index_select(1, step.rows)
        return shared_out(scores, step.weights, self._voices)


def mixture_loss(gate: Tensor, seen: Tensor, said: Tensor) -> Tensor:
    """Mean negative log-likelihood of the labels under the gate's mixture.

    Args:
        gate: shape (F, K).
        seen: shape (M, F).
        said: shape (K, M), what each teacher gives to the known label.
    """
    log_g = torch.log_softmax(seen @ gate, dim=1)
    return -torch.logsumexp(log_g + said.T.log(), dim=1).mean()
