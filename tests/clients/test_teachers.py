import dataclasses
import subprocess
import sys

import numpy as np
import pytest
import torch
from scipy.special import erf, softmax
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression

from clients.teachers._training import num_steps, train
from clients.teachers.constant import Constant
from clients.teachers.frozen_mlp import FrozenMlp
from common.seeds import stream


def gaussians(n, seed, shift=1.2, classes=5, width=5):
    """Unit Gaussians, one per class, with means ``shift`` apart along the first feature."""
    rng = stream(seed, "gaussians")
    labels = rng.integers(classes, size=n)
    features = rng.normal(size=(n, width))
    features[:, 0] += shift * (labels - (classes - 1) / 2)
    return features.astype(np.float32), labels


def test_constant_is_laplace_smoothed_by_hand():
    made = Constant(smoothing=0.5).fit(
        np.zeros((4, 2), np.float32), np.array([0, 2, 2, 2]), 3, stream(0)
    )
    expected = np.array([[1.5, 0.5, 3.5]]) / 5.5
    np.testing.assert_allclose(made.predict(np.ones((1, 2), np.float32)), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("examples", "steps"), [(1, 200), (64, 200), (1050, 204), (1024, 200), (4200, 792)]
)
def test_twelve_epochs_and_at_least_200_steps(examples, steps):
    assert num_steps(FrozenMlp(), examples) == steps


@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_predictions_are_those_of_the_stored_network(activation):
    features, labels = gaussians(80, 0)
    made = FrozenMlp(activation=activation).fit(features, labels, 5, stream(0, "fit"))
    net = {name: tensor.astype(np.float64) for name, tensor in made.tensors().items()}
    hidden = features @ net["hidden.weight"].T + net["hidden.bias"]
    relu, gelu = np.maximum(hidden, 0), hidden * (1 + erf(hidden / np.sqrt(2))) / 2
    scores = (relu if activation == "relu" else gelu) @ net["output.weight"].T
    expected = softmax(scores + net["output.bias"], axis=1)
    np.testing.assert_allclose(made.predict(features), expected, atol=1e-5)


def test_training_follows_adamw_and_one_cycle():
    """Against torch's own layers and the published update, in a loop over whole shards."""
    features, labels = gaussians(30, 0)
    recipe = FrozenMlp(hidden=7, dropout=0.0, batch_size=30, epochs=40, min_steps=1)
    first = train(
        dataclasses.replace(recipe, epochs=1, learning_rate=1e-30), features, labels, 5, 3
    )
    net = torch.nn.Sequential(torch.nn.Linear(5, 7), torch.nn.ReLU(), torch.nn.Linear(7, 5))
    for parameter, value in zip(net.parameters(), first.values(), strict=True):
        parameter.data = torch.tensor(value)
    moments = [(torch.zeros_like(p), torch.zeros_like(p)) for p in net.parameters()]
    for step in range(40):
        rate, beta = cycle(step, 41, 1e-3)
        net.zero_grad()
        scores = net(torch.tensor(features))
        torch.nn.functional.cross_entropy(scores, torch.tensor(labels)).backward()
        with torch.no_grad():
            for parameter, (mean, square) in zip(net.parameters(), moments, strict=True):
                mean.mul_(beta).add_((1 - beta) * parameter.grad)
                square.mul_(0.999).add_(0.001 * parameter.grad**2)
                parameter.mul_(1 - rate * 0.01)
                unbiased = mean / (1 - beta ** (step + 1))
                scale = (square / (1 - 0.999 ** (step + 1))).sqrt() + 1e-8
                parameter.sub_(rate * unbiased / scale)
    for parameter, made in zip(
        net.parameters(), train(recipe, features, labels, 5, 3).values(), strict=True
    ):
        np.testing.assert_allclose(made, parameter.detach().numpy(), atol=2e-5)


def cycle(step, steps, peak):
    """Rate and momentum of Smith and Topin's cycle with cosine legs, peak at 30 %."""
    top = 0.3 * steps - 1
    up = step <= top
    share = step / top if up else (step - top) / (steps - 1 - top)
    blend = (1 - np.cos(np.pi * share)) / 2
    start, end = (peak / 25, peak) if up else (peak, peak / 25e4)
    low, high = (0.95, 0.85) if up else (0.85, 0.95)
    return start + (end - start) * blend, low + (high - low) * blend


def test_near_the_best_possible_on_gaussians():
    train_set, test_set = gaussians(2000, 0), gaussians(8000, 1)
    made = FrozenMlp(learning_rate=5e-3).fit(*train_set, 5, stream(0, "fit"))
    accuracy = (made.predict(test_set[0]).argmax(axis=1) == test_set[1]).mean()
    inner, outer = 2 * norm.cdf(0.6) - 1, norm.cdf(0.6)
    best = (3 * inner + 2 * outer) / 5
    linear = LogisticRegression().fit(*train_set).score(*test_set)
    assert accuracy > best - 0.03
    assert accuracy > linear - 0.02


def test_another_stream_gives_another_teacher():
    features, labels = gaussians(80, 0)
    a, b = (FrozenMlp().fit(features, labels, 5, stream(seed, "fit")) for seed in (0, 1))
    assert np.abs(a.predict(features) - b.predict(features)).max() > 1e-3


def test_dropout_silences_and_rescales():
    features, labels = gaussians(80, 0)
    kept, dropped = (
        FrozenMlp(dropout=rate).fit(features, labels, 5, stream(0, "fit")) for rate in (0.0, 0.5)
    )
    assert np.abs(kept.predict(features) - dropped.predict(features)).max() > 1e-3
    loss = [
        -np.log(made.predict(features)[np.arange(80), labels]).mean() for made in (kept, dropped)
    ]
    assert loss[0] < loss[1] < 1.5


def test_identical_examples_with_different_labels_give_their_shares():
    features, labels = np.ones((40, 3), np.float32), np.repeat([0, 1], [30, 10])
    made = FrozenMlp(dropout=0.0, learning_rate=0.01).fit(features, labels, 2, stream(0, "fit"))
    np.testing.assert_allclose(made.predict(features[:1]), [[0.75, 0.25]], atol=0.02)


def test_a_single_step_is_enough_to_be_a_teacher():
    recipe = FrozenMlp(epochs=1, min_steps=1, hidden=1, batch_size=1)
    made = recipe.fit(np.ones((1, 2), np.float32), np.array([0]), 2, stream(0, "fit"))
    assert made.predict(np.zeros((1, 2), np.float32)).shape == (1, 2)


def test_reading_a_configuration_imports_no_torch():
    code = (
        "import sys; from clients.teachers.frozen_mlp import FrozenMlp; FrozenMlp(); "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
