"""Keeping all opinions and averaging them: where they agree and where they do not."""

import numpy as np
import torch
from torch import Tensor

from common.labels import LabelGeometry
from server.aggregators import Aggregator
from server.aggregators.keep_all import KeepAll
from server.aggregators.mean import Mean
from server.distil import weighted_loss
from server.losses import DistillationLoss
from server.losses.kl import Kl
from server.losses.transport import Transport

GRADES = LabelGeometry.ordinal(list("abc"))
PROBS = np.array([[[0.8, 0.1, 0.1]], [[0.1, 0.1, 0.8]]])
WEIGHTS = np.array([[3.0], [1.0]])


def value_and_gradient(
    aggregator: Aggregator, loss: DistillationLoss, seed: int = 0
) -> tuple[float, Tensor]:
    rng = np.random.default_rng(seed)
    probs, weights = rng.dirichlet([0.5] * 3, size=(4, 9)), rng.gamma(1.0, size=(4, 9))
    targets = aggregator.combine(probs, weights, GRADES)
    logits = torch.from_numpy(rng.normal(size=(9, 3))).float().requires_grad_()
    value = weighted_loss(
        loss,
        logits.log_softmax(dim=1),
        torch.from_numpy(targets.probs),
        torch.from_numpy(targets.weights),
        GRADES,
    )
    (gradient,) = torch.autograd.grad(value, logits)
    return value.item(), gradient


def test_keep_all_keeps_all() -> None:
    targets = KeepAll().combine(PROBS, WEIGHTS, GRADES)
    assert np.array_equal(targets.probs, PROBS.astype(np.float32))
    assert np.array_equal(targets.weights, np.float32([[0.75], [0.25]]))


def test_mean_is_the_weighted_mixture() -> None:
    targets = Mean().combine(PROBS, WEIGHTS, GRADES)
    assert np.allclose(targets.probs, [[[0.625, 0.1, 0.275]]])
    assert np.array_equal(targets.weights, [[1.0]])


def test_for_kl_both_teach_the_same() -> None:
    _, all_opinions = value_and_gradient(KeepAll(), Kl())
    _, mixture = value_and_gradient(Mean(), Kl())
    assert torch.allclose(all_opinions, mixture, atol=1e-6)


def test_for_transport_the_mixture_costs_less_and_teaches_something_else() -> None:
    dear, all_opinions = value_and_gradient(KeepAll(), Transport())
    cheap, mixture = value_and_gradient(Mean(), Transport())
    assert cheap < dear
    assert not torch.allclose(all_opinions, mixture, atol=1e-3)
