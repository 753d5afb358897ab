"""DP-SGD of networks that read texts: clipped sums, sensitivity, ledger, each by another way."""

import copy
import os

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional
from torch.nn.utils import clip_grad_norm_

pytest.importorskip("opacus")
pytest.importorskip("dp_accounting")

from clients.budget import spent
from clients.client import Client
from clients.mechanisms import Holding, Spending
from clients.mechanisms._texts import Descent, clipped_sum
from clients.mechanisms.dp_sgd import DpSgd
from clients.store import Store
from clients.teachers._network import started
from clients.teachers.fine_tuned import FineTuned
from clients.teachers.frozen_linear import FrozenLinear
from clients.teachers.lora import Lora
from clients.teachers.sequence_classifier import SequenceClassifier
from clients.teachers.sklearn import Sklearn
from clients.teachers.tiny_transformer import TinyTransformer
from common.encoders._pretrained import padded
from common.failures import ConfigError
from simulations.events import silent
from simulations.guarantee import guarantee
from simulations.loop import federate
from tests.common.tiny_bert import save_tiny_bert
from tests.worlds import stocked, tiny_with

C = 3
TEXTS = ["good film", "", "a bad phone is bad", "the film was not very good .", "b " * 30, "good"]
LABELS = np.array([0, 1, 2, 0, 1, 2])
TINY = TinyTransformer(layers=1, width=8, buckets=32, max_tokens=12)
SHARED = ("the good film", "the bad phone", "a phone")
# No accountant is asked where the noise is this small, so these are quick.
LOUD = {"epsilon_target": 1e9, "sampling": 0.5, "steps": 2}
DP = "kind = 'dp_sgd', epsilon_target = 4.0, steps = 3, sampling = 1.0"
EXPERIMENT = (
    "clients.teacher = { kind = 'tiny_transformer', layers = 1, width = 8, buckets = 32 }",
    f"clients.mechanism = {{ {DP} }}",
)


class Everybody:
    """No noise, and all are in every step."""

    private = False

    def uniform(self, *shape):
        return np.zeros(shape)

    def normal(self, *shape):
        return np.zeros(shape)


class Nobody(Everybody):
    """Noise of ones, and nobody is in any step."""

    def uniform(self, *shape):
        return np.ones(shape)

    def normal(self, *shape):
        return np.ones(shape)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(save_tiny_bert(tmp_path_factory.mktemp("model")))


def recipes(model):
    return {
        "tiny_transformer": TINY,
        "fine_tuned": FineTuned(model=model, layers="all", max_tokens=12),
        "lora": Lora(model=model, max_tokens=12, rank=2),
        "sequence_classifier": SequenceClassifier(model=model, max_tokens=12),
    }


KINDS = ["tiny_transformer", "fine_tuned", "lora", "sequence_classifier"]


def built(recipe, seed=0):
    network = recipe._network(C)
    own = started(network, torch.Generator().manual_seed(seed))
    with torch.no_grad():  # else what is zero at first lets no gradient through
        for part in own.values():
            part += 0.05 * torch.randn(
                part.shape, generator=torch.Generator().manual_seed(seed + 1)
            )
    return network, own


def one_by_one(network, own, rows, labels, clip):
    """Plain ``backward`` and torch's own clipping, example by example, padded to the most."""
    module = copy.deepcopy(network.module).eval()
    known = dict(module.named_parameters())
    with torch.no_grad():
        for name, part in own.items():
            known[name].copy_(part)
    trained = [known[name].requires_grad_() for name in own]
    total, norms = [torch.zeros_like(part) for part in trained], []
    for row, label in zip(rows, labels, strict=True):
        module.zero_grad()
        more = 12 - len(row.ids)
        ids, mask, segments = (functional.pad(p, (0, more)) for p in padded([row], network.pad))
        functional.cross_entropy(module(ids, mask, segments), torch.tensor([label])).backward()
        norms.append(float(clip_grad_norm_(trained, clip)))
        for summed, part in zip(total, trained, strict=True):
            summed += 0 if part.grad is None else part.grad
    return total, np.array(norms)


def whole(parts):
    return torch.cat([part.flatten() for part in parts]).double()


def summed(network, own, texts, labels, clip):
    targets = torch.eye(C)[torch.as_tensor(labels, dtype=torch.int64)]
    return clipped_sum(network, own, network.rows(texts), targets, clip)


@pytest.mark.parametrize("kind", KINDS)
def test_the_sum_is_that_of_single_clipped_gradients(kind, model):
    pytest.importorskip("peft")
    network, own = built(recipes(model)[kind])
    rows = network.rows(TEXTS)
    _, norms = one_by_one(network, own, rows, LABELS, 1e9)
    clip = float(np.median(norms))
    assert norms.min() < clip < norms.max()
    wanted, _ = one_by_one(network, own, rows, LABELS, clip)
    found = summed(network, own, TEXTS, LABELS, clip)
    for part, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(part, other, atol=1e-5, rtol=1e-4)


@settings(max_examples=12, deadline=None)
@given(
    text=st.text(max_size=60),
    label=st.integers(0, C - 1),
    clip=st.floats(1e-3, 10),
    size=st.sampled_from([1e-3, 1.0, 30.0, 1e25]),
)
def test_one_example_moves_the_sum_by_no_more_than_the_clip(text, label, clip, size):
    """Whatever it says, and however wild the network has become."""
    network, own = built(TINY)
    own = {name: (size * part).detach().requires_grad_() for name, part in own.items()}
    without = whole(summed(network, own, TEXTS, LABELS, clip))
    texts, labels = [*TEXTS[:3], text, *TEXTS[3:]], np.insert(LABELS, 3, label)
    moved = whole(summed(network, own, texts, labels, clip)) - without
    assert torch.all(torch.isfinite(moved))
    assert float(moved.norm()) <= clip * (1 + 1e-5)


def test_the_norm_is_over_all_parameters_together():
    network, own = built(TINY)
    for text, label in zip(TEXTS, LABELS, strict=True):
        cut = whole(summed(network, own, [text], [label], 1e-2))
        assert float(cut.norm()) == pytest.approx(1e-2, rel=1e-4)


def test_an_empty_batch_is_noised_as_any_other():
    """Noise of z clip on every parameter, over the expected number and not the one drawn."""
    network, own = built(TINY)
    plan, targets = Spending(2.0, 0.5, 1, True), torch.eye(C)[torch.as_tensor(LABELS)]
    descent = Descent(network, TINY, 0.7, Nobody())
    for part in descent.noised_mean(own, network.rows(TEXTS), targets, plan):
        np.testing.assert_allclose(part.numpy(), 2.0 * 0.7 / (0.5 * len(TEXTS)), rtol=1e-6)
    for part in descent.noised_mean(own, [], targets[:0], plan):
        np.testing.assert_allclose(part.numpy(), 2.0 * 0.7, rtol=1e-6)


def test_without_noise_a_step_is_the_mean_of_the_sum():
    network, own = built(TINY)
    plan, targets = Spending(0.0, 1.0, 1, False), torch.eye(C)[torch.as_tensor(LABELS)]
    descent = Descent(network, TINY, 0.7, Everybody())
    found = descent.noised_mean(own, network.rows(TEXTS), targets, plan)
    wanted = whole(summed(network, own, TEXTS, LABELS, 0.7)) / len(TEXTS)
    torch.testing.assert_close(whole(found), wanted)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("examples", [0, 6])
def test_a_teacher_comes_back_from_its_tensors(kind, examples, model):
    pytest.importorskip("peft")
    recipe = recipes(model)[kind]
    holding = Holding(TEXTS[:examples], LABELS[:examples], C, SHARED)
    fitted, plan = DpSgd(noise_seed=3, **LOUD).fit(recipe, holding, np.random.default_rng(0))
    again, _ = DpSgd(noise_seed=3, **LOUD).fit(recipe, holding, np.random.default_rng(0))
    said = fitted.predict(TEXTS)
    assert said.shape == (6, C)
    assert said.sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert np.array_equal(said, again.predict(TEXTS))
    assert np.array_equal(said, recipe.restore(fitted.tensors(), C).predict(TEXTS))
    assert not plan.private


def test_it_learns_where_noise_is_small():
    words = (("good", 0), ("bad", 1), ("phone", 2))
    texts, labels = zip(*[(f"{w} {'a ' * i}", c) for w, c in words for i in range(5)], strict=True)
    recipe = TinyTransformer(layers=1, width=16, buckets=64, max_tokens=8, learning_rate=0.02)
    holding = Holding(texts, np.array(labels), C, SHARED)
    mechanism = DpSgd(epsilon_target=1e12, sampling=0.9, steps=25)
    fitted, _ = mechanism.fit(recipe, holding, np.random.default_rng(0))
    assert np.mean(fitted.predict(texts).argmax(1) == np.array(labels)) > 0.9


def test_a_consensus_is_where_it_sets_out_from_and_it_costs_nothing():
    """With seeded noise: AdamW makes full steps of the least noise, and some lead astray."""
    said = np.eye(C)[[0, 1, 2]]
    recipe = TinyTransformer(layers=1, width=16, buckets=64, max_tokens=8, learning_rate=0.05)
    mechanism = DpSgd(epsilon_target=1e12, sampling=1.0, steps=20, noise_seed=4)
    nobody = Holding([], LABELS[:0], C, SHARED, said)
    fitted, plan = mechanism.fit(recipe, nobody, np.random.default_rng(0))
    assert plan == mechanism.plan()
    assert list(fitted.predict(SHARED).argmax(1)) == [0, 1, 2]


def test_the_promise_is_that_of_the_heads():
    """Who is trained is not in the account: only samples, noise and steps are."""
    shape = {"epsilon_target": 3.0, "sampling": 1.0, "steps": 4}
    mechanism = DpSgd(**shape)
    _, ours = mechanism.fit(TINY, Holding(TEXTS, LABELS, C, SHARED), np.random.default_rng(0))
    features = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    heads = Holding(features, LABELS, C, features)
    _, theirs = mechanism.fit(FrozenLinear(), heads, np.random.default_rng(0))
    assert ours == theirs
    assert mechanism.epsilon([ours]) == mechanism.epsilon([theirs]) == pytest.approx(3.0)


def test_noise_and_samples_come_from_the_operating_system(monkeypatch):
    holding = Holding(TEXTS, LABELS, C, SHARED)
    quiet, drawn = {"epsilon_target": 1e3, "sampling": 1.0, "steps": 2}, []
    genuine = os.urandom
    monkeypatch.setattr(os, "urandom", lambda n: drawn.append(n) or genuine(n))
    one, plan = DpSgd(**quiet).fit(TINY, holding, np.random.default_rng(0))
    monkeypatch.undo()
    other, _ = DpSgd(**quiet).fit(TINY, holding, np.random.default_rng(0))
    trained = sum(part.size for name, part in one.tensors().items() if "sha256" not in name)
    assert sum(drawn) == 8 * 2 * (len(TEXTS) + trained)
    assert plan.private
    assert not np.array_equal(one.predict(TEXTS), other.predict(TEXTS))


def test_what_it_cannot_train_it_says(model):
    with pytest.raises(ConfigError, match="'tiny_transformer'"):
        DpSgd().check(Sklearn())
    with pytest.raises(ConfigError, match="fine_tune = true"):
        DpSgd().check(SequenceClassifier(model=model, fine_tune=False))
    for recipe in recipes(model).values():
        DpSgd().check(recipe)


def test_a_run_has_one_entry_for_one_training_however_often_it_is_begun(tmp_path):
    experiment = tiny_with(*EXPERIMENT)
    folder = stocked(experiment, tmp_path / "run")
    store = Store(folder / "clients" / "0")
    client = Client(store)
    client.encode()
    client.train()
    before, tensors = spent(store), store.teacher()
    assert before == [experiment.clients.mechanism.plan()]
    Client(Store(folder / "clients" / "0")).train()
    federate(folder, silent)
    after = Store(folder / "clients" / "0")
    assert spent(after) == before
    assert all(np.array_equal(part, after.teacher()[name]) for name, part in tensors.items())
    found = guarantee(folder, experiment)
    assert found["guarantee"] == "dp_sgd"
    assert found["epsilon"] == pytest.approx(4.0)
