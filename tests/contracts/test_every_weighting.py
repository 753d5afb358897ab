"""What every weighting must satisfy; members are enumerated, never named."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from common.arrays import Floats
from common.configure import dump, find, kinds, load
from common.failures import ConfigError
from common.predictions import UNKNOWN, Ensemble
from server.memory import pack_state, restore_state
from server.weightings import Weighting, normalised

every_weighting = pytest.mark.parametrize(
    "weighting", [pytest.param(find(Weighting, kind)(), id=kind) for kind in kinds(Weighting)]
)


GIVEN = {
    "bias": "bias",
    "num_examples": "num_examples",
    "familiarity": "scalar",
    "labels": "labels",
}
"""All that a weighting may ask for, and where an ensemble holds it."""


def ensemble(seed: int = 0, clients: int = 4, samples: int = 7) -> Ensemble:
    rng = np.random.default_rng(seed)
    return Ensemble(
        clients=np.arange(clients),
        probs=rng.dirichlet([0.5] * 3, size=(clients, samples)).astype(np.float32),
        bias=rng.dirichlet([2.0] * 3, size=clients).astype(np.float32),
        num_examples=rng.integers(1, 100, size=clients),
        scalar=rng.random((clients, samples)).astype(np.float32),
        labels=np.where(np.arange(samples) % 3, rng.integers(3, size=samples), UNKNOWN),
    )


def shuffled(given: Ensemble, order: list[int]) -> Ensemble:
    assert given.bias is not None
    assert given.num_examples is not None
    assert given.scalar is not None
    return replace(
        given,
        probs=given.probs[order],
        bias=given.bias[order],
        num_examples=given.num_examples[order],
        scalar=given.scalar[order],
    )


def alike(probs: Floats) -> Ensemble:
    """Teachers with these opinions (K, N, C), of whom everything else is the same."""
    clients, samples, num_labels = probs.shape
    return Ensemble(
        np.arange(clients),
        probs,
        probs[:, 0],
        np.ones(clients, dtype=np.int64),
        np.zeros((clients, samples), dtype=np.float32),
        np.arange(samples) % num_labels,
    )


@every_weighting
def test_weights_are_one_non_negative_double_per_teacher_and_sample(weighting: Weighting) -> None:
    weights = weighting.weigh(ensemble(), weighting.start(4))
    assert weights.shape == (4, 7)
    assert weights.dtype == np.float64
    assert np.all(np.isfinite(weights))
    assert np.all(weights >= 0)
    assert np.all(weights.sum(axis=0) > 0)


@every_weighting
def test_permuting_clients_permutes_weights(weighting: Weighting) -> None:
    given, order, state = ensemble(), [2, 0, 3, 1], weighting.start(4)
    before, after = weighting.weigh(given, state), weighting.weigh(shuffled(given, order), state)
    assert np.allclose(after, before[order], rtol=1e-12)


@every_weighting
def test_a_single_teacher_and_absent_ones_are_served(weighting: Weighting) -> None:
    state = weighting.start(10)
    assert weighting.weigh(ensemble(clients=1), state).shape == (1, 7)
    assert weighting.weigh(ensemble(clients=3), state).shape == (3, 7)


@every_weighting
def test_same_question_same_bits_and_nothing_is_written_to(weighting: Weighting) -> None:
    given, state = ensemble(), weighting.start(4)
    probs = given.probs.copy()
    first, second = weighting.weigh(given, state), weighting.weigh(given, state)
    assert first.tobytes() == second.tobytes()
    assert np.array_equal(given.probs, probs)


@every_weighting
def test_certain_teachers_are_weighed_without_trouble(weighting: Weighting) -> None:
    probs = np.eye(3, dtype=np.float32)[None].repeat(2, axis=0)
    assert np.all(np.isfinite(weighting.weigh(alike(probs), weighting.start(2))))


@every_weighting
def test_teachers_who_say_nothing_are_weighed_the_same(weighting: Weighting) -> None:
    probs = np.full((3, 2, 7), 1 / 7, dtype=np.float32)
    nobody = replace(alike(probs), num_examples=np.zeros(3, dtype=np.int64))
    weights = weighting.weigh(nobody, weighting.start(3))
    assert normalised(weights) == pytest.approx(np.full((3, 2), 1 / 3))


@every_weighting
def test_teachers_alike_in_all_are_weighed_the_same(weighting: Weighting) -> None:
    given, state = ensemble(), weighting.start(4)
    twins = shuffled(given, [0, 1, 1, 1])
    weights = weighting.weigh(twins, state)
    assert np.allclose(weights[2], weights[1], rtol=1e-12)
    assert np.allclose(weights[3], weights[1], rtol=1e-12)


@every_weighting
def test_the_order_of_labels_changes_nothing_but_rounding(weighting: Weighting) -> None:
    given, order, state = ensemble(), [2, 0, 1], weighting.start(4)
    assert given.bias is not None
    assert given.labels is not None
    names = np.where(given.labels == UNKNOWN, UNKNOWN, np.argsort(order)[given.labels])
    renamed = replace(
        given, probs=given.probs[:, :, order], bias=given.bias[:, order], labels=names
    )
    assert np.allclose(weighting.weigh(renamed, state), weighting.weigh(given, state))


@pytest.mark.parametrize("kind", kinds(Weighting))
def test_it_needs_what_it_declares_and_no_more(kind: str) -> None:
    weighting, full = find(Weighting, kind)(), ensemble()
    assert weighting.needs <= GIVEN.keys()
    least = replace(full, **{GIVEN[name]: None for name in GIVEN.keys() - weighting.needs})
    state = weighting.start(4)
    assert np.array_equal(weighting.weigh(least, state), weighting.weigh(full, state))
    assert load(Weighting, {"kind": kind, **dump(weighting)}) == weighting


@every_weighting
def test_what_is_needed_and_missing_is_said_with_what_to_write(weighting: Weighting) -> None:
    state = weighting.start(4)
    for name in sorted(weighting.needs) if not weighting.steers else ():
        with pytest.raises(ConfigError, match=r"; write [^\n]* = ") as refusal:
            weighting.weigh(replace(ensemble(), **{GIVEN[name]: None}), state)
        assert "\n" not in str(refusal.value)


@every_weighting
def test_what_is_remembered_of_a_round_is_new_and_survives_its_bytes(weighting: Weighting) -> None:
    state = weighting.start(10)
    before = pack_state(state)
    after = weighting.heard(ensemble(clients=3), state)
    assert pack_state(state) == before
    assert after.keys() == state.keys()
    restored = restore_state(pack_state(after))
    assert all(restored[name].tobytes() == after[name].tobytes() for name in after)
    assert weighting.weigh(ensemble(clients=2), restored).shape == (2, 7)


@settings(max_examples=50, deadline=None)
@given(arrays(np.float64, (3, 4), elements=st.floats(0, 1e6, allow_subnormal=False)))
def test_normalised_columns_sum_to_one_and_keep_proportions(weights: Floats) -> None:
    shares = normalised(weights)
    assert np.allclose(shares.sum(axis=0), 1)
    assert np.all(shares[:, weights.sum(axis=0) == 0] == pytest.approx(1 / 3))
    believed = weights.sum(axis=0) > 0
    assert np.allclose((shares * weights.sum(axis=0))[:, believed], weights[:, believed])
