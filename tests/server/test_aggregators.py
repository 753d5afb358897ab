"""Keeping all opinions and averaging them, by all kinds of mean; for medians see beside."""

import numpy as np
import pytest
import torch
from scipy import special, stats
from torch import Tensor

from common.labels import LabelGeometry
from server.aggregators import Aggregator
from server.aggregators.geometric_mean import GeometricMean
from server.aggregators.keep_all import KeepAll
from server.aggregators.mean import Mean
from server.aggregators.power_mean import PowerMean
from server.aggregators.sharpened_mean import SharpenedMean
from server.distil import weighted_loss
from server.losses import DistillationLoss
from server.losses.kl import Kl
from server.losses.transport import Transport

GRADES = LabelGeometry.ordinal(list("abc"))
PROBS = np.array([[[0.8, 0.1, 0.1]], [[0.1, 0.1, 0.8]]])
WEIGHTS = np.array([[3.0], [1.0]])


def combined(aggregator: Aggregator, probs: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The one target per sample, (N, C)."""
    geometry = LabelGeometry.discrete([f"label {c}" for c in range(probs.shape[2])])
    targets = aggregator.combine(probs, weights, geometry)
    assert np.array_equal(targets.weights, np.ones((1, probs.shape[1])))
    (rows,) = targets.probs
    return rows


def random_opinions(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.dirichlet([0.7] * 5, size=(4, 20)), rng.gamma(1.0, size=(4, 20))


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


def test_sharpened_mean_by_hand() -> None:
    # The mean is (.625, .1, .275): differences of 5.25 and 1.75 at temperature .1.
    expected = np.exp([5.25, 0, 1.75]) / np.exp([5.25, 0, 1.75]).sum()
    assert combined(SharpenedMean(), PROBS, WEIGHTS) == pytest.approx(expected[None], abs=1e-6)


def test_power_mean_by_hand() -> None:
    # (.625, .1, .275) squared is (.390625, .01, .075625), which sums to .47625.
    expected = np.array([[0.390625, 0.01, 0.075625]]) / 0.47625
    assert combined(PowerMean(), PROBS, WEIGHTS) == pytest.approx(expected, abs=1e-6)


def test_geometric_mean_by_hand() -> None:
    # .8^.75 .1^.25 = .1 * 8^.75; .1; .1 * 8^.25.
    expected = np.array([[8**0.75, 1, 8**0.25]]) / (8**0.75 + 1 + 8**0.25)
    assert combined(GeometricMean(), PROBS, WEIGHTS) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("temperature", [0.001, 0.1, 1.0, 100.0])
def test_sharpened_mean_is_the_softmax_of_the_mixture(temperature: float) -> None:
    probs, weights = random_opinions()
    means = np.array([np.average(probs[:, n], axis=0, weights=weights[:, n]) for n in range(20)])
    made = combined(SharpenedMean(temperature=temperature), probs, weights)
    assert made == pytest.approx(special.softmax(means / temperature, axis=1), abs=1e-6)


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0, 100.0])
def test_power_mean_raises_ratios_of_the_mixture_to_the_power(power: float) -> None:
    probs, weights = random_opinions()
    means = np.array([np.average(probs[:, n], axis=0, weights=weights[:, n]) for n in range(20)])
    made = combined(PowerMean(power=power), probs, weights)
    assert made == pytest.approx(special.softmax(power * np.log(means), axis=1), abs=1e-6)
    if power == 1:
        assert made == pytest.approx(combined(Mean(), probs, weights), abs=1e-6)


def test_power_mean_keeps_what_is_certain_and_what_is_uniform() -> None:
    rows = np.stack([np.eye(5)[3], np.full(5, 0.2)])[None]
    assert combined(PowerMean(power=100), rows, np.ones((1, 2))) == pytest.approx(rows[0])


def test_geometric_mean_is_the_softmax_of_mean_logits() -> None:
    logits = np.random.default_rng(0).normal(size=(4, 20, 5))
    expected = special.softmax(logits.mean(axis=0), axis=1)
    made = combined(GeometricMean(), special.softmax(logits, axis=2), np.ones((4, 20)))
    assert made == pytest.approx(expected, abs=1e-6)


def test_geometric_mean_agrees_with_scipy() -> None:
    probs, weights = random_opinions()
    floor = 1e-9
    made = combined(GeometricMean(floor=floor), probs, weights)
    for n in range(20):
        share = np.repeat(weights[:, n, None], 5, axis=1)
        row = stats.gmean(np.maximum(probs[:, n], floor), axis=0, weights=share)
        assert made[n] == pytest.approx(row / row.sum(), abs=1e-6)


def test_a_zero_weakens_a_label_and_only_all_zeros_forbid_it() -> None:
    probs = np.array([[[1.0, 0.0, 0.0]], [[0.5, 0.5, 0.0]], [[0.0, 0.0, 1.0]]])
    # The third is not believed. .001 stands for the first one's zero.
    expected = np.sqrt([0.5, 0.0005, 0.0])
    made = combined(GeometricMean(), probs, np.array([[1.0], [1.0], [0.0]]))
    assert made == pytest.approx((expected / expected.sum())[None], abs=1e-6)


def test_certain_teachers_who_disagree_leave_a_geometric_mean_of_both() -> None:
    made = combined(GeometricMean(), np.eye(3)[:2, None], np.ones((2, 1)))
    assert made == pytest.approx(np.array([[0.5, 0.5, 0]]))
