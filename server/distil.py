"""The training loop: a student meets its targets."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from common.arrays import Floats, Ints
from common.component import component
from common.failures import ConfigError
from common.labels import LabelGeometry
from server.aggregators import Targets
from server.losses import DistillationLoss
from server.steering import Steering, Step

_ROWS_AT_ONCE = 4096


@component
class Schedule:
    """How long and how fast the student learns in one round: AdamW at a constant rate.

    A one-cycle rate with the same peak was tried and was no better.

    Attributes:
        steps: optimiser steps.
        batch_size: largest number of samples per step; an epoch's batches differ by at most 1.
        learning_rate: step size, the same throughout.
        weight_decay: decoupled from the gradient, times the learning rate.
        holdout: share of the transfer texts that is kept aside; the student of that tenth of
            the steps whose loss on it is smallest is kept, as KNOT's selection on the loss over
            a validation part of the transfer set. No label is looked at. Not given: all texts
            are learned from, and the student of the last step is kept.

    Reference: Loshchilov, Hutter. *Decoupled Weight Decay Regularization*, ICLR 2019,
    algorithm 2. https://arxiv.org/abs/1711.05101
    """

    steps: int = Field(default=300, ge=1)
    batch_size: int = Field(default=256, ge=1)
    learning_rate: float = Field(default=2e-3, gt=0)
    weight_decay: float = Field(default=0.01, ge=0)
    holdout: float | None = Field(default=None, gt=0, lt=1)


Refine = Callable[[LabelGeometry, int, Tensor, Tensor, Tensor], LabelGeometry]


@dataclass(frozen=True, eq=False)
class Lesson:
    """What came of a distillation beside the student.

    Attributes:
        losses: mean loss over each tenth of the steps, in units of the loss; fewer than ten
            values if there were fewer steps.
        geometry: the geometry after the last step; the given one unless it is learned.
        kept: the step whose student was kept; the last one unless texts are held out.
    """

    losses: list[float]
    geometry: LabelGeometry
    kept: int


def distil(  # noqa: PLR0913 - what, from what, how, and with which randomness
    student: nn.Module,
    features: Floats,
    targets: Targets,
    loss: DistillationLoss,
    geometry: LabelGeometry,
    schedule: Schedule,
    rng: np.random.Generator,
    progress: Callable[[int, int], None] | None = None,
    refine: Refine | None = None,
    steering: Steering | None = None,
) -> Lesson:
    """Train ``student`` in place and leave it in evaluation mode.

    One thread, equal inputs and an equally seeded ``rng`` give equal bits; torch's global
    generator is left as it was found.

    Args:
        student: maps (B, D) to log-probabilities (B, C), or to (T, B, C), one for each target.
        features: shape (N, D), float32; the transfer samples the targets are about.
        targets: T targets for each of the N samples.
        loss: compared with every target; the T values are summed with the targets' weights.
        geometry: the C labels.
        schedule: how long and how fast.
        rng: draws the batches and whatever the student draws, such as dropout.
        progress: told (steps done, steps in all) after every step.
        refine: after every step, given the geometry, the number of the step from 1, the
            student's q (B, C), its targets p (T, B, C) and their weights (T, B), returns the
            geometry of the next step; None keeps it.
        steering: sets the weights of every batch; None keeps those of the targets.

    Raises:
        ConfigError: the loss cannot serve the geometry, or training diverged.
        ValueError: targets that are no distributions, or weights that are no weights.
    """
    loss.check(geometry)
    _checked(targets)
    inputs, probs, weights = map(_tensor, (features, targets.probs, targets.weights))
    optimizer = torch.optim.AdamW(
        student.parameters(),
        lr=schedule.learning_rate,
        weight_decay=schedule.weight_decay,
        fused=True,
    )
    steps, values = schedule.steps, np.zeros(schedule.steps)
    learned, held = _held_out(len(inputs), schedule.holdout, rng)
    best = (
        None
        if held is None
        else _Best(student, steps, inputs[held], probs[:, held], weights[:, held])
    )
    batches = _batches(learned, schedule.batch_size, rng)
    student.train()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(rng.integers(2**63)))
        for number in range(1, steps + 1):
            rows = next(batches)
            optimizer.zero_grad()
            log_q = student(inputs.index_select(0, rows))
            p, w = probs.index_select(1, rows), weights.index_select(1, rows)
            each = judged(loss, log_q, p, geometry)  # (T, B)
            step = Step(number, rows, log_q.detach(), p, w, each.detach(), geometry)
            if steering is not None:
                step = replace(step, weights=steering.weigh(step))
            value = _summed(each, step.weights)
            value.backward()
            optimizer.step()
            values[number - 1] = _finite(value.item())
            if steering is not None:
                steering.learn(step)
            if refine is not None:
                geometry = refine(geometry, number, step.log_q.exp(), p, step.weights)
            if best is not None:
                best.see(number, loss, geometry)
            if progress is not None:
                progress(number, steps)
    kept = steps if best is None else best.restore()
    student.eval()
    return Lesson(_history(values), geometry, kept)


def predict(student: nn.Module, features: Floats) -> Floats:
    """What ``student`` says, in evaluation mode.

    Args:
        student: maps (B, D) to log-probabilities (B, C).
        features: shape (N, D), float32.

    Returns:
        Probabilities of shape (N, C), float32.
    """
    student.eval()
    with torch.inference_mode():
        parts = [student(rows).exp() for rows in _tensor(features).split(_ROWS_AT_ONCE)]
        return np.asarray(torch.cat(parts).numpy(), dtype=np.float32)


def weighted_loss(
    loss: DistillationLoss, log_q: Tensor, probs: Tensor, weights: Tensor, geometry: LabelGeometry
) -> Tensor:
    """Mean over the batch of the weighted sum over targets; one call of ``loss`` for all.

    Args:
        loss: as in :func:`distil`.
        log_q: shape (B, C), or (T, B, C).
        probs: shape (T, B, C).
        weights: shape (T, B).
        geometry: the C labels.
    """
    return _summed(judged(loss, log_q, probs, geometry), weights)


def judged(loss: DistillationLoss, log_q: Tensor, probs: Tensor, geometry: LabelGeometry) -> Tensor:
    """The loss of every target (T, B, C), shape (T, B), of a student that says one thing or T.

    Args:
        loss: as in :func:`distil`.
        log_q: shape (B, C), compared with every target, or (T, B, C), each with its own.
        probs: shape (T, B, C).
        geometry: the C labels.
    """
    if log_q.ndim == 2:
        return loss(log_q, probs, geometry)
    if not loss.separable:  # samples are compared within a batch, not across heads
        return torch.stack([loss(q, p, geometry) for q, p in zip(log_q, probs, strict=True)])
    return loss(log_q.flatten(0, 1), probs.flatten(0, 1), geometry).view(probs.shape[:-1])


def _summed(values: Tensor, weights: Tensor) -> Tensor:
    """Mean over the batch of the sum over targets; both (T, B)."""
    return (weights * values).sum() / values.shape[-1]


def _batches(learned: Ints, batch_size: int, rng: np.random.Generator) -> Iterator[Tensor]:
    """Without end: permutations of the samples, each cut into batches of almost one size."""
    parts = math.ceil(len(learned) / batch_size)
    while True:
        order = torch.from_numpy(learned[rng.permutation(len(learned))])
        yield from order.tensor_split(parts)


def _held_out(
    size: int, share: float | None, rng: np.random.Generator
) -> tuple[Ints, Tensor | None]:
    """The rows to learn from, and those kept aside; at least one on each side."""
    if share is None or size < 2:
        return np.arange(size), None
    count = min(max(1, round(share * size)), size - 1)
    order = rng.permutation(size)
    return np.sort(order[count:]), torch.from_numpy(np.sort(order[:count]))


class _Best:
    """The student of the smallest loss on the held-out texts, looked at ten times."""

    def __init__(
        self, student: nn.Module, steps: int, inputs: Tensor, probs: Tensor, weights: Tensor
    ) -> None:
        self._student, self._held = student, (inputs, probs, weights)
        self._looks = {math.ceil(steps * tenth / 10) for tenth in range(1, 11)}
        self._loss, self._step, self._state = math.inf, 0, dict[str, Tensor]()

    def see(self, step: int, loss: DistillationLoss, geometry: LabelGeometry) -> None:
        """Look at the student as it is now, without dropout, if the step ends a tenth."""
        if step not in self._looks:
            return
        inputs, probs, weights = self._held
        self._student.eval()
        with torch.no_grad():
            value = weighted_loss(loss, self._student(inputs), probs, weights, geometry).item()
        self._student.train()
        if value < self._loss:
            state = {name: t.clone() for name, t in self._student.state_dict().items()}
            self._loss, self._step, self._state = value, step, state

    def restore(self) -> int:
        """Put the best student back; return the number of its step.

        Raises:
            ConfigError: none was good for anything.
        """
        if not self._state:  # the loss of every look was infinite or no number
            raise _diverged()
        self._student.load_state_dict(self._state)
        return self._step


def _checked(targets: Targets) -> Targets:
    """Once, where they come in, so that no loss need ask again."""
    for name, parts in (("target probabilities", targets.probs), ("weights", targets.weights)):
        if not np.all(np.isfinite(parts)) or np.any(parts < 0):
            raise ValueError(f"{name} must be finite and not negative")
    if not np.allclose(targets.probs.sum(axis=-1), 1, atol=1e-3):
        raise ValueError("target probabilities must sum to 1 over the labels")
    return targets


def _finite(value: float) -> float:
    """A loss that left the finite numbers is the schedule's fault; nothing good would follow."""
    if not math.isfinite(value):
        raise _diverged()
    return value


def _diverged() -> ConfigError:
    return ConfigError("server.schedule: training diverged; write a smaller learning_rate")


def _history(values: Floats) -> list[float]:
    """Means over tenths."""
    return [float(part.mean()) for part in np.array_split(values, min(10, len(values)))]


def _tensor(array: Floats) -> Tensor:
    """As float32; copied only where torch could not share the memory."""
    return torch.from_numpy(np.require(array, np.float32, ["C", "W"]))
