"""Differentially private heads: gradients, noise, what is folded back, and the ledger."""

import math

import numpy as np
import pytest
import torch
from torch.func import functional_call, grad, vmap

from clients.mechanisms import Holding, Spending
from clients.mechanisms._gradients import linear, one_hidden
from clients.mechanisms._heads import View
from clients.mechanisms.dp_gd import DpGd
from clients.noise import SystemNoise
from clients.teachers.frozen_linear import FrozenLinear
from clients.teachers.frozen_mlp import FrozenMlp
from clients.teachers.sklearn import Sklearn
from common.failures import ConfigError
from common.gaussian_dp import epsilon_of

M, D, C, H = 50, 6, 3, 4
RNG = np.random.default_rng(0)
FEATURES = (3 * RNG.normal(size=(M, D)) + 1).astype(np.float32)
LABELS = FEATURES[:, :C].argmax(axis=1)
SHARED = (3 * RNG.normal(size=(80, D)) + 1).astype(np.float32)
SHARD = Holding(FEATURES, LABELS, C, SHARED)
LOUD = {"epsilon_target": 1e9}  # so little noise that none is seen


def per_example(net: torch.nn.Module, inputs, labels):
    """The sum of clipped gradients as the definition says it: one example after the other."""
    parameters = dict(net.named_parameters())

    def loss(params, x, y):
        return torch.nn.functional.cross_entropy(functional_call(net, params, (x[None],)), y[None])

    each = vmap(grad(loss), in_dims=(None, 0, 0))(
        parameters, torch.from_numpy(inputs), torch.from_numpy(labels)
    )
    each = {name: g.detach() for name, g in each.items()}
    norms = torch.sqrt(sum(g.flatten(1).square().sum(1) for g in each.values()))
    scale = (1 / norms).clamp(max=1.0)
    return {name: torch.einsum("i,i...->...", scale, g).numpy() for name, g in each.items()}, norms


def with_one(rows):
    return np.concatenate([rows, np.ones((len(rows), 1))], axis=1)


def test_the_linear_sum_is_that_of_single_gradients():
    inputs = RNG.normal(size=(M, D))
    net = torch.nn.Linear(D, C).double()
    wanted, norms = per_example(net, inputs, LABELS)
    assert 0 < (norms > 1).float().mean() < 1  # some are clipped and some are not
    weights = np.concatenate([net.weight.detach(), net.bias.detach()[:, None]], axis=1)
    made = linear({"weights": weights}, with_one(inputs), np.eye(C)[LABELS], 1.0)["weights"]
    assert made[:, :-1] == pytest.approx(wanted["weight"])
    assert made[:, -1] == pytest.approx(wanted["bias"])


def test_the_sum_of_the_network_is_that_of_single_gradients():
    inputs = RNG.normal(size=(M, D))
    layers = torch.nn.Linear(D, H), torch.nn.ReLU(), torch.nn.Linear(H, C)
    net = torch.nn.Sequential(*layers).double()
    wanted, norms = per_example(net, inputs, LABELS)
    assert 0 < (norms > 1).float().mean() < 1
    own = {
        name: np.concatenate([part.weight.detach(), part.bias.detach()[:, None]], axis=1)
        for name, part in (("hidden", layers[0]), ("output", layers[2]))
    }
    made = one_hidden(own, with_one(inputs), np.eye(C)[LABELS], 1.0)
    for name, layer in (("hidden", "0"), ("output", "2")):
        assert made[name][:, :-1] == pytest.approx(wanted[f"{layer}.weight"])
        assert made[name][:, -1] == pytest.approx(wanted[f"{layer}.bias"])


@pytest.mark.parametrize("sums", [linear, one_hidden])
def test_one_example_adds_at_most_the_clip(sums):
    net = {
        "weights": RNG.normal(size=(C, D + 1)),
        "hidden": RNG.normal(size=(H, D + 1)),
        "output": RNG.normal(size=(C, H + 1)),
    }
    wild = with_one(1e6 * RNG.normal(size=(M, D)))
    for row, label in zip(wild, LABELS, strict=True):
        made = sums(net, row[None], np.eye(C)[[label]], 0.5)
        assert math.sqrt(sum(np.sum(part**2) for part in made.values())) <= 0.5 + 1e-12


@pytest.mark.parametrize("recipe", [FrozenLinear(), FrozenMlp(hidden=8)], ids=["linear", "mlp"])
def test_it_learns_where_noise_is_small(recipe):
    mechanism = DpGd(steps=60, learning_rate=1.0, **LOUD)
    fitted, _ = mechanism.fit(recipe, SHARD, np.random.default_rng(0))
    assert np.mean(fitted.predict(FEATURES).argmax(1) == LABELS) > 0.85


def test_without_noise_it_is_plain_descent_seen_through_the_public_directions():
    """By hand: two clipped steps on projected features, then the mean of the second half."""
    mechanism = DpGd(steps=2, clip=5.0, learning_rate=0.05, momentum=0.5, subspace=2, **LOUD)
    fitted, _ = mechanism.fit(FrozenLinear(), SHARD, np.random.default_rng(0))
    shared = SHARED.astype(np.float64)
    centre = shared.mean(0)
    _, _, rows = np.linalg.svd(shared - centre, full_matrices=False)
    norms = np.linalg.norm((shared - centre) @ rows[:2].T, axis=1)

    def seen(x):
        return with_one(10 * (x - centre) @ rows[:2].T / np.sqrt((norms**2).mean()))

    weights, pace = np.zeros((C, 3)), np.zeros((C, 3))
    for _ in range(2):
        grads = linear({"weights": weights}, seen(FEATURES), np.eye(C)[LABELS], 5.0)["weights"]
        pace = 0.5 * pace + grads / M
        weights = weights - 0.05 * pace
    scores = seen(SHARED) @ weights.T
    wanted = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    assert fitted.predict(SHARED) == pytest.approx(wanted, abs=1e-5)


def test_the_view_has_one_size_and_is_folded_back_exactly():
    """Whatever the encoder's scale: only public texts decide, and no private one moves it."""
    shared = SHARED.astype(np.float64)
    for times in (1e-3, 1.0, 1e4):
        view = View.of(times * shared, 4)
        seen = view.of_features(times * shared)
        assert np.sqrt((seen[:, :-1] ** 2).sum(1).mean()) == pytest.approx(10)
        assert np.all(seen[:, -1] == 1)
        weights = RNG.normal(size=(C, 5))
        folded = with_one(times * shared) @ view.folded(weights).T
        assert folded == pytest.approx(seen @ weights.T)


@pytest.mark.parametrize("recipe", [FrozenLinear(), FrozenMlp(hidden=8)], ids=["linear", "mlp"])
def test_noise_has_the_size_that_the_ledger_says(recipe, monkeypatch):
    """No example, one step: what moves is noise alone, of z clip eta / M per coordinate."""
    nobody = Holding(FEATURES[:0], LABELS[:0], C, SHARED)
    mechanism = DpGd(steps=1, learning_rate=1.0, clip=0.7, epsilon_target=2.0)
    drawn = []

    def normal(self, *shape):
        drawn.append(shape)
        return np.full(shape, 1.0)

    monkeypatch.setattr(SystemNoise, "normal", normal)
    fitted, spent = mechanism.fit(recipe, nobody, np.random.default_rng(0))
    monkeypatch.undo()
    assert spent is not None
    assert spent.private
    assert sum(map(np.prod, drawn)) == sum(map(np.size, fitted.tensors().values()))
    quiet, _ = DpGd(steps=1, learning_rate=1.0, **LOUD).fit(
        recipe, nobody, np.random.default_rng(0)
    )
    name = "output.bias" if isinstance(recipe, FrozenMlp) else "weights"
    moved = (fitted.tensors()[name] - quiet.tensors()[name]).reshape(C, -1)
    through = 1.0 if isinstance(recipe, FrozenMlp) else _folded_ones()
    assert moved == pytest.approx(-0.7 * spent.noise_multiplier * through, rel=1e-3, abs=1e-4)
    assert spent.noise_multiplier == pytest.approx(1.7, rel=0.5)


def _folded_ones():
    """What a row of ones over the directions and the bias is over the features."""
    shared = SHARED.astype(np.float64)
    view = View.of(shared, 128)
    return view.folded(np.ones((C, D + 1)))


def test_two_runs_differ_unless_the_noise_is_seeded():
    def trained(**settings):
        fitted, spent = DpGd(**settings).fit(FrozenLinear(), SHARD, np.random.default_rng(0))
        return fitted.tensors()["weights"], spent

    first, second = trained(), trained()
    assert not np.array_equal(first[0], second[0])
    assert first[1].private
    one, two = trained(noise_seed=5), trained(noise_seed=5)
    assert np.array_equal(one[0], two[0])
    assert not one[1].private


def test_the_ledger_says_what_was_asked_for():
    mechanism = DpGd(epsilon_target=3.0, delta=1e-6, steps=17)
    _, spent = mechanism.fit(FrozenLinear(), SHARD, np.random.default_rng(0))
    assert spent == Spending(pytest.approx(spent.noise_multiplier), 1.0, 17, True)
    assert mechanism.epsilon([spent]) == pytest.approx(3.0)
    assert mechanism.epsilon([spent, spent]) == pytest.approx(
        epsilon_of(math.sqrt(2 * 17) / spent.noise_multiplier, 1e-6)
    )
    assert 3.0 < mechanism.epsilon([spent, spent]) < 6.0
    assert mechanism.epsilon([]) == 0


def test_what_it_cannot_train_it_refuses():
    with pytest.raises(ConfigError, match="frozen_linear"):
        DpGd().check(Sklearn())
    with pytest.raises(ConfigError, match="relu"):
        DpGd().check(FrozenMlp(activation="gelu"))


def test_public_features_in_few_directions_are_enough():
    flat = Holding(FEATURES, LABELS, C, np.ones((4, D), dtype=np.float32))
    fitted, _ = DpGd().fit(FrozenLinear(), flat, np.random.default_rng(0))
    assert np.all(np.isfinite(fitted.predict(FEATURES)))
