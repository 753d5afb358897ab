"""What every mechanism keeps, found by its family and never listed by hand."""

from dataclasses import fields

import numpy as np
import pytest

from clients.mechanisms import Holding, Mechanism
from clients.teachers import Teacher
from common.configure import dump, find, kind_of, kinds, load

C, D = 3, 5
RNG = np.random.default_rng(0)
FEATURES = RNG.normal(size=(40, D)).astype(np.float32)
LABELS = np.arange(40) % C
SHARED = RNG.normal(size=(25, D)).astype(np.float32)
EVERY = pytest.mark.parametrize("kind", kinds(Mechanism))
QUICK = {"hidden": 4, "min_steps": 4}


def recipes():
    """Everything that reads features, small and quick."""
    members = [find(Teacher, kind) for kind in kinds(Teacher)]
    for member in (m for m in members if m.reads == "features"):
        known = {field.name for field in fields(member)}
        yield member(**{key: value for key, value in QUICK.items() if key in known})


RECIPES = list(recipes())
RECIPE = pytest.mark.parametrize("recipe", RECIPES, ids=kind_of)


@pytest.fixture(autouse=True)
def extras():
    pytest.importorskip("opacus")
    pytest.importorskip("dp_accounting")


def made(kind, **settings):
    return load(Mechanism, {"kind": kind, **settings})


def said(mechanism, recipe=None, examples=40, seed=0):
    holding = Holding(FEATURES[:examples], LABELS[:examples], C, SHARED)
    rng = np.random.default_rng(seed)
    fitted, spent = mechanism.fit(recipe or RECIPES[0], holding, rng)
    return mechanism.release(fitted.predict(SHARED)), spent


@EVERY
def test_it_comes_back_from_its_table(kind):
    mechanism = made(kind)
    assert load(Mechanism, {"kind": kind, **dump(mechanism)}) == mechanism
    assert type(mechanism) is find(Mechanism, kind)


@EVERY
@RECIPE
@pytest.mark.parametrize("examples", [0, 40])
def test_what_is_said_are_distributions(kind, recipe, examples):
    probs, _ = said(made(kind), recipe, examples)
    assert probs.shape == (25, C)
    assert np.all(probs >= 0)
    assert probs.sum(axis=1) == pytest.approx(1, abs=1e-5)


@EVERY
def test_noise_repeats_only_where_it_is_seeded_and_then_it_is_not_private(kind):
    private, seeded = made(kind), made(kind, noise_seed=4)
    assert private.private
    assert not seeded.private
    assert not np.array_equal(said(private)[0], said(private)[0])
    assert np.array_equal(said(seeded)[0], said(seeded)[0])


@EVERY
def test_who_promises_accounts_and_who_does_not_says_so(kind):
    mechanism = made(kind)
    plan, (_, spent) = mechanism.plan(), said(mechanism)
    assert spent == plan
    if mechanism.unit == "none":
        assert plan is None
        assert mechanism.epsilon([]) == float("inf")
        assert mechanism.worst_case(100) > 0
    else:
        assert mechanism.trains
        assert 0 < mechanism.epsilon([plan]) <= mechanism.limit() * (1 + 1e-9)
        assert mechanism.epsilon([plan, plan]) > mechanism.epsilon([plan])
        assert mechanism.exceeds([plan, plan])
        assert mechanism.worst_case(100) is None


@EVERY
def test_a_smaller_promise_takes_more_noise(kind):
    if made(kind).unit == "none":
        pytest.skip("it promises nothing")
    strict, lax = made(kind, epsilon_target=1.0).plan(), made(kind, epsilon_target=8.0).plan()
    assert strict.noise_multiplier > lax.noise_multiplier
