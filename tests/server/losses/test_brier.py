"""Brier score against scikit-learn and by hand."""

import numpy as np
import pytest
import torch
from sklearn.metrics import brier_score_loss

from server.losses.brier import Brier
from tests.server.losses.pairs import FLAT, assert_minimal, teachers


def test_between_two_labels_it_is_twice_what_scikit_learn_says() -> None:
    chance, truth = np.random.default_rng(0).random(50), np.arange(50) % 2
    q = torch.from_numpy(np.stack([1 - chance, chance], axis=1))
    value = Brier()(q.log(), torch.eye(2).double()[truth], FLAT).mean()
    assert value.item() == pytest.approx(2 * brier_score_loss(truth, chance))


def test_by_hand() -> None:
    q, p = torch.tensor([[0.2, 0.3, 0.5]]), torch.tensor([[0.0, 0.5, 0.5]])
    assert Brier()(q.log(), p, FLAT).item() == pytest.approx(0.04 + 0.04)


def test_several_teachers_are_averaged() -> None:
    p, weights = teachers()
    assert_minimal(Brier(), (weights[..., None] * p).sum(dim=0), p, weights)
