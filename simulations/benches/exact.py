"""What is right: values and gradients in float64, by POT's network simplex."""

from dataclasses import dataclass

import numpy as np
import ot
import torch
from torch import Tensor

from common.arrays import Floats
from simulations.benches.arms import Values
from simulations.benches.workloads import Batch

_MOST_WORK = 1_600_000  # problems times entries of the cost: under a second
_MOST_PROBLEMS = 1024
_MOST_PIVOTS = 10_000_000


@dataclass(frozen=True, eq=False)
class Exact:
    """The answer for the first samples of a batch.

    Attributes:
        batch: these R samples.
        values: shape (K, R), float64.
        gradient: shape (R, C), float64: of the weighted sum over teachers, with respect to
            the logits.
    """

    batch: Batch
    values: Floats
    gradient: Floats

    def errors(self, values: Values) -> tuple[float, float]:
        """Relative errors of an arm: of the values (L1) and of the gradient (L2)."""
        found, slope = differentiate(values, self.batch)
        wrong = np.abs(found.double().numpy() - self.values).sum() / self.values.sum()
        off = np.linalg.norm(slope.double().numpy() - self.gradient) / np.linalg.norm(self.gradient)
        return float(wrong), float(off)


def differentiate(values: Values, batch: Batch) -> tuple[Tensor, Tensor]:
    """Values (K, B), and the gradient (B, C) of their weighted sum with respect to the logits."""
    logits = batch.logits.detach().requires_grad_()
    made = values(logits, batch.teachers)
    (gradient,) = torch.autograd.grad((batch.weights @ made).sum(), logits)
    return made.detach(), gradient


def solve_exactly(batch: Batch, matrix: Floats) -> Exact:
    r"""The answer for as many samples as a second allows.

    The gradient with respect to q is the dual potential; through the softmax it is
    :math:`q \odot (f - \langle f, q \rangle)`.

    Reference: Peyré, Cuturi. *Computational Optimal Transport*, 2019, section 9.1.
    """
    part = batch.first(_rows(batch, matrix))
    q = part.logits.double().softmax(dim=1).numpy()
    teachers = part.teachers.double().numpy()
    teachers = teachers / teachers.sum(axis=2, keepdims=True)
    values, f = np.zeros(teachers.shape[:2]), np.zeros(teachers.shape)
    for k, opinion in enumerate(teachers):
        for n, (a, b) in enumerate(zip(q, opinion, strict=True)):
            _, log = ot.emd(a, b, matrix, _MOST_PIVOTS, log=True, check_marginals=False)
            values[k, n], f[k, n] = log["cost"], log["u"]
    slope = np.einsum("k,knc->nc", part.weights.double().numpy(), f)
    gradient = q * (slope - (slope * q).sum(axis=1, keepdims=True))
    return Exact(part, values, gradient)


def _rows(batch: Batch, matrix: Floats) -> int:
    clients, samples = batch.teachers.shape[:2]
    problems = min(_MOST_PROBLEMS, _MOST_WORK // matrix.size)
    return max(1, min(samples, problems // clients))
