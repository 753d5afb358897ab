"""Predictions without a client's own label shares."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from clients.client import Client
from clients.priors import corrected, shares
from clients.store import Store
from clients.teachers.frozen_mlp import FrozenMlp
from common.blanks import blanks
from common.encoders.hashing import Hashing
from common.failures import ConfigError
from common.messages import Question
from common.quantise import to_codes
from common.records import decode
from tests.worlds import stocked, tiny_with


def test_by_hand():
    prior = shares(np.array([0, 0, 0, 1, 1]), 3)
    assert prior == pytest.approx([4 / 8, 3 / 8, 1 / 8])
    assert shares(np.empty(0, dtype=np.int64), 3) == pytest.approx([1 / 3] * 3)
    # (.4, .5, .1) over (4, 3, 1) is (.1, .1667, .1).
    made = corrected(np.array([[0.4, 0.5, 0.1]]), prior, 1.0)
    assert made == pytest.approx(np.array([[0.3, 0.5, 0.3]]) / 1.1)


@settings(max_examples=30)
@given(seed=st.integers(0, 1000), strength=st.floats(0.01, 4))
def test_it_subtracts_from_logits(seed, strength):
    rng = np.random.default_rng(seed)
    logits, prior = rng.normal(size=(6, 4)) * 3, rng.dirichlet(np.ones(4) * 2) * 0.99 + 0.0025
    expected = special.softmax(logits - strength * np.log(prior), axis=1)
    made = corrected(special.softmax(logits, axis=1), prior, strength)
    assert made == pytest.approx(expected)
    assert made.sum(axis=1) == pytest.approx(np.ones(6))


def test_who_answers_its_prior_answers_uniformly():
    prior = np.array([0.7, 0.2, 0.1])
    assert corrected(prior[None], prior, 1.0) == pytest.approx(np.full((1, 3), 1 / 3))


def test_the_client_corrects_all_it_says_and_not_its_teacher(tmp_path):
    made = tiny_with("clients.prior_correction = 1.0")
    store = Store(stocked(made, tmp_path / "run") / "clients" / "2")
    client = Client(store)
    client.encode()
    client.train()
    terms = store.terms()
    record = decode(client.answer(Question(1, 1, terms.binding)).payload, terms.layout, 1, 2)
    teacher, encoder = FrozenMlp(hidden=4).restore(store.teacher(), 3), Hashing(dimensions=16)
    prior = shares(store.shard()[1], 3)

    def said(texts):
        return corrected(teacher.predict(encoder.encode(texts)), prior, 1.0)

    assert np.array_equal(record.codes, to_codes(said(store.transfer().texts), 8))
    quiet = said(blanks(terms.blanks)).astype(np.float64).mean(axis=0)
    assert np.array_equal(record.bias, to_codes(quiet, 8))


def test_the_same_teacher_is_trained_with_and_without(tmp_path):
    stores = [
        Store(stocked(tiny_with(*overrides), tmp_path / name) / "clients" / "2")
        for name, overrides in (("plain", ()), ("corrected", ("clients.prior_correction = 0.5",)))
    ]
    for store in stores:
        client = Client(store)
        client.encode()
        client.train()
    one, other = (store.teacher() for store in stores)
    assert all(np.array_equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize("value", ["0.0", "-1.0", "5.0", "'tau'"])
def test_what_it_may_not_be_is_one_line(value):
    with pytest.raises(ConfigError, match="prior_correction"):
        tiny_with(f"clients.prior_correction = {value}")
