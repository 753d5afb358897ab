"""How good a student is, as the known labels tell: what a policy is rewarded for."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from server.resting import answer
from server.sharing import evenly
from server.steering import Course

Judge = Callable[[nn.Module], float]

_FLOOR = 1e-3  # what crossed an 8-bit wire as zero was below .002 or so


def judge(reward: str, course: Course, balance: float, holdout: float) -> Judge:
    """The value of a student; a reward is what it gains while an episode lasts.

    Args:
        reward: ``label``, ``label_and_teacher`` or ``development``.
        course: of the round, with M known labels.
        balance: of ``development``: the share of the first two terms, the rest is accuracy.
        holdout: of ``development``: the share of known labels that accuracy is taken on.
    """
    everything = torch.ones(len(course.rows), dtype=torch.bool)
    if reward == "label":
        return lambda student: -_label_loss(student, course, everything)
    if reward == "label_and_teacher":
        return lambda student: -_both_losses(student, course, everything)
    held = evenly(len(course.rows), holdout)
    rest = ~held if bool((~held).any()) else held
    return lambda student: (
        (1 - balance) * _accuracy(student, course, held)
        - balance * _both_losses(student, course, rest)
    )


def selected_gain(actions: Tensor, said: Tensor) -> Tensor:
    """Log of the mean of those taken over the mean of all, (B,); 0 where none is taken.

    Args:
        actions: shape (K, B), 0 or 1.
        said: shape (K, B), what each teacher gives to the known label.
    """
    taken = actions.sum(dim=0)
    mean = (actions * said).sum(dim=0) / taken.clamp(min=1)
    gain = mean.clamp(min=_FLOOR).log() - said.mean(dim=0).clamp(min=_FLOOR).log()
    return torch.where(taken > 0, gain, 0)


def _label_loss(student: nn.Module, course: Course, mask: Tensor) -> float:
    """Mean cross-entropy of the known labels, in nats."""
    log_q = answer(student, course.features[course.rows[mask]])
    return float(-log_q.gather(1, course.labels[mask][:, None]).mean())


def _both_losses(student: nn.Module, course: Course, mask: Tensor) -> float:
    """That, and the mean loss against the targets of those texts, as weighed before steering."""
    rows = course.rows[mask]
    log_q = answer(student, course.features[rows])
    values = course.loss(log_q, course.probs[:, rows], course.geometry)
    taught = (course.weights[:, rows] * values).sum() / len(rows)
    return float(taught) + _label_loss(student, course, mask)


def _accuracy(student: nn.Module, course: Course, mask: Tensor) -> float:
    log_q = answer(student, course.features[course.rows[mask]])
    return float((log_q.argmax(dim=1) == course.labels[mask]).double().mean())
