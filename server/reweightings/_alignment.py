"""How far each loss falls along one direction of the student's parameters."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, jvp
from torch.nn.attention import SDPBackend, sdpa_kernel

from common.labels import LabelGeometry
from server.losses import DistillationLoss

Parameters = dict[str, Tensor]

_SHORT = 1e-4  # how far the answers are moved, in nats


def trainable(student: nn.Module) -> Parameters:
    """The parameters that a virtual step moves, by name, apart from the student's own graph."""
    named = student.named_parameters()
    return {name: part.detach() for name, part in named if part.requires_grad}


def gradient(
    student: nn.Module, at: Parameters, inputs: Tensor, loss: Callable[[Tensor], Tensor]
) -> Parameters:
    """The gradient of ``loss`` of the student's log-probabilities, in its parameters.

    Args:
        student: in evaluation mode.
        at: its parameters, by name.
        inputs: shape (B, D).
        loss: from (B, C) to a scalar.
    """
    leaves = {name: part.clone().requires_grad_() for name, part in at.items()}
    value = loss(functional_call(student, leaves, (inputs,)))
    found = torch.autograd.grad(
        value, list(leaves.values()), allow_unused=True, materialize_grads=True
    )
    return dict(zip(leaves, found, strict=True))


def alignments(
    student: nn.Module,
    direction: Parameters,
    inputs: Tensor,
    probs: Tensor,
    loss: DistillationLoss,
    geometry: LabelGeometry,
) -> Tensor:
    r"""Directional derivatives of all losses at once: :math:`\langle g, \nabla l_{ij} \rangle`.

    One pass in forward mode through the student gives how its B answers change; how the T
    losses of an answer follow is asked of the losses themselves. So it costs about three passes
    through the student however many targets there are.

    Args:
        student: in evaluation mode.
        direction: g, by name of parameter.
        inputs: shape (B, D).
        probs: shape (T, B, C).
        loss: of the T targets.
        geometry: of the labels.

    Returns:
        Shape (T, B).
    """
    at = trainable(student)

    def answered(parameters: Parameters) -> Any:
        return functional_call(student, parameters, (inputs,))

    with sdpa_kernel(SDPBackend.MATH):  # the fused attention has no forward mode
        forward = jvp(answered, (at,), (direction,))
    return followed(loss, forward[0], forward[1], probs, geometry)


def followed(
    loss: DistillationLoss, log_q: Tensor, change: Tensor, probs: Tensor, geometry: LabelGeometry
) -> Tensor:
    """How the losses (T, B) change if the answers (B, C) change so.

    Of a separable loss the gradients are taken, one pass per target, for solvers bring their
    own and know no forward mode. One that compares the samples of a batch would need a pass for
    each sample: it is evaluated on both sides of the answers, in double precision.
    """
    log_q, change = log_q.detach(), change.detach()
    if not loss.separable:
        return _difference(loss, log_q.double(), change.double(), probs.double(), geometry).to(
            log_q
        )
    x = log_q.requires_grad_()
    sums = loss(x, probs, geometry).sum(dim=1)
    slopes = [torch.autograd.grad(value, x, retain_graph=True)[0] for value in sums]
    return (torch.stack(slopes) * change).sum(dim=-1)


def _difference(
    loss: DistillationLoss, log_q: Tensor, change: Tensor, probs: Tensor, geometry: LabelGeometry
) -> Tensor:
    """Central differences (T, B), off by the square of a ten-thousandth."""
    largest = float(change.abs().amax())
    if largest == 0:
        return log_q.new_zeros(probs.shape[:2])
    short = _SHORT / largest
    with torch.no_grad():
        ahead, behind = (loss(log_q + s * change, probs, geometry) for s in (short, -short))
    return (ahead - behind) / (2 * short)
