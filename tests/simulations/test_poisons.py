"""Each lie by hand on a small case; who lies, what is declared, and what the server hears."""

import itertools

import numpy as np
import pytest

from common.labels import LabelGeometry
from common.predictions import Ensemble
from common.quantise import to_codes, to_probs
from common.records import Flags, Layout
from server.weightings.familiarity import Familiarity
from server.weightings.knot import Knot
from server.weightings.size import Size
from simulations.poisoning.boasts import MOST_EXAMPLES, boastful_bias
from simulations.poisoning.lies import Federation, attackers, heard
from simulations.poisons import Scene
from simulations.poisons.copy import Copy
from simulations.poisons.cpa import Cpa
from simulations.poisons.label_flip import LabelFlip
from simulations.poisons.lma import Lma
from simulations.poisons.scale_reversal import ScaleReversal
from simulations.poisons.sybil import Sybil
from simulations.poisons.uniform import Uniform

LINE = LabelGeometry.ordinal(["bad", "fair", "good"])
HONEST = np.array(
    [
        [[0.8, 0.2, 0.0], [0.1, 0.3, 0.6]],
        [[0.6, 0.1, 0.3], [0.3, 0.1, 0.6]],
    ]
)  # mean: .7 .15 .15 and .2 .2 .6
OWN = np.array([[[0.7, 0.2, 0.1], [0.0, 0.4, 0.6]]])


def scene(honest=HONEST, own=OWN, seed=0):
    return Scene(honest, own, LINE, np.random.default_rng(seed))


def one_hot(*labels):
    return np.eye(3)[list(labels)]


def test_loss_maximisation_is_certain_of_the_least_likely_and_of_the_first_of_equals():
    honest = np.array([[[0.5, 0.2, 0.3], [0.25, 0.5, 0.25]]])
    assert np.array_equal(Lma().say(scene(honest))[0], one_hot(1, 0))


@pytest.mark.parametrize("seed", range(5))
def test_loss_maximisation_has_the_largest_cross_entropy_of_all_distributions(seed):
    """Brute force: every distribution in steps of a tenth."""
    rng = np.random.default_rng(seed)
    honest = rng.dirichlet([0.7] * 3, size=(3, 4))
    logs = np.log(honest.mean(axis=0))
    steps = [t for t in itertools.product(range(11), repeat=3) if sum(t) == 10]
    losses = -(np.array(steps) / 10) @ logs.T  # (steps, N)
    said = Lma().say(scene(honest, honest[:1]))[0]
    assert np.allclose(-(said * logs).sum(axis=1), losses.max(axis=0))


def test_class_prior_lies_about_all_texts_of_a_label_alike():
    """Means .9 .1 0, .1 .9 0, 0 .4 .6: the covariances are numpy's, the least of each column."""
    honest = np.array([[[0.9, 0.1, 0.0], [0.1, 0.9, 0.0], [0.0, 0.4, 0.6], [0.8, 0.1, 0.1]]])
    least = np.cov(honest[0].T).argmin(axis=0)
    assert least.tolist() == [1, 0, 0]
    assert np.array_equal(Cpa().say(scene(honest))[0], one_hot(1, 0, 0, 1))


def test_class_prior_by_cost_goes_to_the_far_end():
    honest = np.array([[[0.9, 0.1, 0.0], [0.1, 0.9, 0.0], [0.0, 0.4, 0.6]]])
    assert np.array_equal(Cpa("cost").say(scene(honest))[0], one_hot(2, 0, 0))


def test_the_scale_is_turned_round():
    assert np.array_equal(ScaleReversal().say(scene()), [[[0.1, 0.2, 0.7], [0.6, 0.4, 0.0]]])


def test_labels_are_flipped_into_the_next():
    assert np.array_equal(LabelFlip().say(scene()), [[[0.1, 0.7, 0.2], [0.6, 0.0, 0.4]]])
    assert np.array_equal(LabelFlip(3).say(scene()), OWN)


def test_uniform_is_uniform():
    assert np.array_equal(Uniform().say(scene()), np.full((1, 2, 3), 1 / 3))


def test_a_free_rider_repeats_somebody_or_all():
    said = [Copy().say(scene(seed=seed))[0] for seed in range(20)]
    assert {tuple(map(tuple, rows)) for rows in said} == {tuple(map(tuple, k)) for k in HONEST}
    assert np.allclose(Copy("mean").say(scene())[0], [[0.7, 0.15, 0.15], [0.2, 0.2, 0.6]])


def test_clones_say_what_their_attacker_says():
    own = np.concatenate([OWN, OWN[:, ::-1]])
    said = Sybil(2, ScaleReversal()).say(scene(own=own))
    lies = ScaleReversal().say(scene(own=own))
    assert np.array_equal(said, lies[[0, 0, 1, 1]])
    assert Sybil(2, Sybil(3)).voices == 6


def test_a_larger_group_holds_the_smaller_one():
    few, many = attackers(10, 2, seed=3), attackers(10, 5, seed=3)
    assert len(few) == 2
    assert set(few) < set(many)
    assert attackers(10, 0, seed=3).size == 0
    assert {tuple(attackers(10, 2, seed)) for seed in range(9)} != {tuple(few)}


@pytest.mark.parametrize("bits", [2, 8])
def test_the_bias_is_the_farthest_of_all(bits):
    """Brute force over all distributions in steps of a tenth."""
    rng = np.random.default_rng(bits)
    codes = to_codes(rng.dirichlet([0.5] * 3, size=20), bits)
    probs = to_probs(codes, bits)
    steps = [t for t in itertools.product(range(11), repeat=3) if sum(t) == 10]
    away = [np.linalg.norm(probs - np.array(t) / 10, axis=1).sum() for t in steps]
    bias = to_probs(boastful_bias(codes, bits), bits)
    assert np.linalg.norm(probs - bias, axis=1).sum() == pytest.approx(max(away), rel=1e-6)


SAID = Ensemble(
    clients=np.arange(4),
    probs=to_probs(to_codes(np.random.default_rng(0).dirichlet([1.0] * 3, (4, 5)), 8), 8),
    bias=np.full((4, 3), 1 / 3, dtype=np.float32),
    num_examples=np.array([10, 20, 30, 40]),
    scalar=np.full((4, 5), 0.5, dtype=np.float32),
)
LAYOUT = Layout(5, 3, 8, Flags.bias | Flags.scalar | Flags.num_examples, bytes(32))
RUN = Federation(LAYOUT, LINE, 4, 0)


def test_who_is_honest_is_heard_as_before():
    found = heard(SAID, Lma(), np.array([1]), RUN)
    assert found.liars.tolist() == [1]
    for name in ("probs", "bias", "num_examples", "scalar"):
        before, after = getattr(SAID, name), getattr(found.ensemble, name)
        assert np.array_equal(np.delete(before, 1, axis=0), np.delete(after, 1, axis=0)), name
    least = np.delete(SAID.probs, 1, axis=0).mean(axis=0).argmin(axis=1)
    assert np.array_equal(found.ensemble.probs[1], np.eye(3, dtype=np.float32)[least])


def test_clones_are_clients_of_their_own():
    found = heard(SAID, Sybil(3), np.array([0, 2]), RUN)
    assert found.liars.tolist() == [0, 2, 4, 5, 6, 7]
    assert found.ensemble.clients.tolist() == list(range(8))
    assert found.num_clients == 8


def test_clones_take_no_name_of_an_absent_client():
    said = Ensemble(SAID.clients[:3], SAID.probs[:3], *(
        getattr(SAID, name)[:3] for name in ("bias", "num_examples", "scalar")
    ))  # fmt: skip
    found = heard(said, Sybil(2), np.array([2]), RUN)
    assert found.ensemble.clients.tolist() == [0, 1, 2, 4]


def test_what_cannot_be_checked_buys_weight():
    """One liar of four: nearly all under declared sizes and distances, more than its share by bias.

    Sizes: (2^32 - 1) / (2^32 - 1 + 80). Distances: 1 / (1 + 3 exp(-.5 / .05)).
    """
    found = heard(SAID, Lma(), np.array([1]), RUN).ensemble
    size, near, bias = (w.weigh(found, {})[1] for w in (Size(), Familiarity(), Knot()))
    assert np.allclose(size, MOST_EXAMPLES / (MOST_EXAMPLES + 80), atol=1e-12)
    assert np.allclose(near, 1 / (1 + 3 * np.exp(-0.5 / 0.05)))
    assert bias.mean() > Knot().weigh(SAID, {})[1].mean()
    assert bias.mean() > 0.25
