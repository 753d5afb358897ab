"""Side by side means the same bits: the trainer of single networks is the oracle."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clients.teachers import Shard
from clients.teachers._one_cycle import cycle
from clients.teachers._stacked import Examples, train_stacked
from clients.teachers._training import train
from clients.teachers.frozen_mlp import FrozenMlp
from common.seeds import stream
from tests.clients.test_teachers import cycle as cycle_by_hand

RECIPES = st.builds(
    FrozenMlp,
    hidden=st.integers(1, 40),
    activation=st.sampled_from(["relu", "gelu"]),
    dropout=st.sampled_from([0.0, 0.2, 0.9]),
    learning_rate=st.sampled_from([1e-3, 0.1]),
    weight_decay=st.sampled_from([0.0, 0.01]),
    batch_size=st.integers(1, 20),
    epochs=st.integers(1, 3),
    min_steps=st.integers(1, 12),
)


def examples(size, width, labels, seed):
    rng = stream(seed, "examples")
    features = rng.normal(size=(size, width)).astype(np.float32)
    return Examples(features, rng.integers(labels, size=size), seed)


def alone(recipe, shard, labels):
    return train(recipe, shard.features, shard.labels, labels, shard.seed)


def assert_same(made, expected):
    assert len(made) == len(expected)
    for one, other in zip(made, expected, strict=True):
        assert list(one) == list(other)
        for name, value in other.items():
            assert one[name].dtype == value.dtype
            np.testing.assert_array_equal(one[name], value, err_msg=name)


@settings(max_examples=60)
@given(
    recipe=RECIPES,
    sizes=st.lists(st.tuples(st.integers(1, 50), st.sampled_from([1, 5, 16, 33])), max_size=6),
    labels=st.integers(1, 9),
    cache=st.sampled_from([0, 30_000, 1 << 20]),
)
def test_any_stack_gives_the_bits_of_one_by_one(recipe, sizes, labels, cache):
    shards = [examples(*size, labels, seed) for seed, size in enumerate(sizes)]
    made = train_stacked(recipe, shards, labels, cache)
    assert_same(made, [alone(recipe, shard, labels) for shard in shards])


@pytest.mark.parametrize("hidden", [16, 64])
def test_the_default_width_with_shards_of_all_sizes(hidden):
    recipe = FrozenMlp(hidden=hidden, epochs=2, min_steps=20)
    sizes = [250, 1, 64, 63, 100, 65, 100, 17, 128, 1300]
    shards = [examples(size, 384, 5, seed) for seed, size in enumerate(sizes)]
    expected = [alone(recipe, shard, 5) for shard in shards]
    assert_same(train_stacked(recipe, shards, 5), expected)


def test_neighbours_and_their_order_leave_no_trace():
    recipe = FrozenMlp(hidden=8, min_steps=20)
    shards = [examples(30 + 7 * seed, 16, 3, seed) for seed in range(6)]
    whole = train_stacked(recipe, shards, 3)
    turned = train_stacked(recipe, shards[::-1], 3)[::-1]
    assert_same(turned, whole)
    assert_same(train_stacked(recipe, [shards[4], shards[1]], 3), [whole[4], whole[1]])
    ill = shards[2]._replace(features=np.full_like(shards[2].features, np.nan))
    beside = train_stacked(recipe, [*shards[:2], ill, *shards[3:]], 3)
    assert np.isnan(beside[2]["hidden.weight"]).all()
    assert_same(beside[:2] + beside[3:], whole[:2] + whole[3:])


@pytest.mark.parametrize("label", [-100, -1, 3])
def test_a_label_that_is_none_is_refused(label):
    shard = examples(9, 4, 3, 0)
    with pytest.raises(RuntimeError):
        train_stacked(FrozenMlp(), [shard._replace(labels=np.full(9, label))], 3)


def test_the_cycle_is_that_of_the_paper():
    np.testing.assert_allclose(
        cycle(1e-3, 40), [cycle_by_hand(step, 41, 1e-3) for step in range(40)], rtol=1e-9
    )


def test_an_empty_shard_among_others():
    recipe = FrozenMlp(hidden=4, min_steps=5)
    shards = [examples(size, 4, 3, seed) for seed, size in enumerate([9, 0, 12])]

    def given_to_fit():
        return [Shard(*s[:2], stream(s.seed, "fit")) for s in shards]

    made = recipe.fit_together(given_to_fit(), 3)
    expected = [recipe.fit(s.inputs, s.labels, 3, s.rng) for s in given_to_fit()]
    assert_same([one.tensors() for one in made], [one.tensors() for one in expected])
    assert recipe.fit_together([], 3) == []
