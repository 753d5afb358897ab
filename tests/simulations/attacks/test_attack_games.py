"""Attacks on games whose answer is known, and controls that a good attack must not miss."""

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest

from clients.mechanisms import Mechanism
from clients.mechanisms.dp_gd import DpGd
from clients.teachers.frozen_linear import FrozenLinear
from clients.teachers.frozen_mlp import FrozenMlp
from common.configure import find, kinds, load
from common.encoders.numbers import Numbers
from common.gaussian_dp import epsilon_of, mu_of
from simulations.attacks import Attack
from simulations.attacks._canaries import plant
from simulations.attacks._membership import Membership, Ranking, told
from simulations.attacks._release import Defence, defences, quantised
from simulations.attacks._scene import narrowed, set_up
from simulations.attacks._training import listen, rows_of, train
from simulations.attacks.adaptive import Adaptive
from simulations.attacks.audit import Audit
from simulations.attacks.extraction import Extraction
from simulations.attacks.inversion import Inversion
from simulations.attacks.label_distribution import LabelDistribution
from simulations.attacks.label_only import LabelOnly
from simulations.attacks.lira import Lira
from simulations.attacks.rmia import Rmia
from simulations.attacks.rmia_disjoint import RmiaDisjoint
from simulations.events import silent
from tests.simulations.attacks.scenes import SMALL, game, scene

MEMORY = FrozenLinear(penalty=1e-3)
MEMBERSHIP = [
    member
    for member in (find(Attack, kind) for kind in kinds(Attack))
    if issubclass(member, Membership)
]
DELTA = 1e-5
BARE = Defence("8 bits", "", quantised(8), 1 / 255)


@lru_cache(maxsize=1)
def memorising():
    return scene(MEMORY)


@lru_cache(maxsize=1)
def knowing_nothing():
    made = scene(FrozenLinear(penalty=1e15))  # too stiff to learn
    return narrowed(made, tuple(row for row in made.rows if row.mu is None))


def against(found, name):
    return next(f for f in found if f.defence == name)


@pytest.mark.parametrize("member", MEMBERSHIP)
def test_whoever_learns_by_heart_is_found_out(member):
    found = member().run(memorising())[0]
    assert found.figures["auc"] > (0.6 if member is LabelOnly else 0.85)
    assert found.figures["auc_interval"][0] > 0.5


@pytest.mark.parametrize("member", MEMBERSHIP)
def test_whoever_knows_nothing_gives_nothing_away(member):
    for found in member().run(knowing_nothing()):
        low, high = found.figures["auc_interval"]
        noised = found.defence.startswith("noise")
        assert found.figures["auc"] == pytest.approx(0.5, abs=0.1 if noised else 0.06)
        assert low - 0.1 <= 0.5 <= high + 0.1
        assert not found.fault


def test_a_transfer_set_without_the_candidates_protects_no_linear_head():
    own, other = (a.run(memorising())[0].figures["auc"] for a in (Lira(), Adaptive()))
    assert other == pytest.approx(own, abs=0.02)


def test_against_the_population_copies_do_nearly_as_well_as_the_linear_model_itself():
    own, copy = (a.run(memorising())[0].figures["auc"] for a in (Rmia(), RmiaDisjoint()))
    assert copy == pytest.approx(own, abs=0.05)


def test_a_tiny_epsilon_leaves_a_coin():
    made = game(FrozenLinear())
    inside, shadowed = made.halves(12, "t", False), made.halves(12, "s", True)
    mechanism = DpGd(epsilon_target=0.05, noise_seed=1)
    whole, pair = memorising(), []
    for masks, name in ((inside, "t"), (shadowed, "s")):
        trained = train(made, rows_of(masks), name, mechanism, lambda *_: None)
        defence = Defence("dp", "", quantised(8), 1 / 255, mechanism)
        pair.append((trained, listen(made, trained).released(defence, np.random.default_rng(0))))
    (trained, said), (_, shadows) = pair
    seen = replace(
        whole.rows[0],
        defence=defence,
        targets=said,
        shadows=shadows,
        trained=trained,
        mu=trained.mu,
    )
    quiet = replace(narrowed(whole, (seen,)), game=made, inside=inside, inside_shadows=shadowed)
    for attack in (Lira(), Adaptive()):
        (found,) = attack.run(quiet)
        assert found.figures["auc"] == pytest.approx(0.5, abs=0.06)
        assert not found.fault
        assert found.figures["bound"]["0.01"] < 0.02


def test_a_broken_promise_about_members_is_a_fault():
    row = memorising().rows[0]
    broken = narrowed(memorising(), (replace(row, mu=0.01),))
    (found,) = Lira().run(broken)
    assert "than the guarantee of" in found.fault


def ranked(found_first, decisions=720):
    """A few members above all else, then everybody by chance: no promise of 1 % is broken so."""
    inside = np.tile([True, False], (12, decisions // 24))
    scores = np.random.default_rng(0).normal(size=inside.shape)
    scores[:, 0 : 2 * found_first : 2] += 100.0
    return Ranking(scores, inside)


def test_of_few_outsiders_nothing_is_known_at_a_rate_that_accuses_none_of_them():
    """Of 360, 0.1 % is none: that a member stands above all of them says nothing of that rate."""
    kept = replace(memorising().rows[0], mu=1.0)
    found = told("lira", kept, "overlap", ranked(2), np.random.default_rng(1))
    assert found.figures["negatives"] == 360
    assert found.figures["tpr_interval"]["0.001"][0] > found.figures["bound"]["0.001"]
    assert not found.fault
    found = told("lira", kept, "overlap", ranked(2, 24_000), np.random.default_rng(1))
    assert found.figures["negatives"] == 12_000
    assert not found.fault
    found = told("lira", kept, "overlap", ranked(200, 24_000), np.random.default_rng(1))
    assert "at 1.0% false alarms, more than the guarantee" in found.fault
    few = told("lira", kept, "overlap", ranked(25), np.random.default_rng(1))
    assert "by" in few.fault
    assert "of them at the least" in few.fault


def test_a_guarantee_over_samples_is_held_against_its_epsilon_and_delta():
    pytest.importorskip("opacus")
    made = game(FrozenLinear())
    wanted = {"kind": "dp_sgd", "epsilon_target": 2.0, "steps": 5, "delta": DELTA, "noise_seed": 1}
    rows = rows_of(made.halves(2, "t", False))
    trained = train(made, rows, "t", load(Mechanism, wanted), lambda *_: None)
    assert trained.mu is None
    assert trained.claim == (pytest.approx(2.0, rel=0.01), DELTA)
    row = replace(memorising().rows[0], claim=(0.01, DELTA))
    (found,) = Lira().run(narrowed(memorising(), (row,)))
    assert found.figures["bound"]["0.01"] == pytest.approx(0.01 * np.exp(0.01) + DELTA)
    assert "than the guarantee of" in found.fault


def test_guarantees_and_hard_labels_give_less_away_than_nothing_at_all():
    found = Lira().run(memorising())
    bare = against(found, "float32").figures["auc"]
    assert against(found, "hard label").figures["auc"] < bare
    assert against(found, "DP, epsilon 8").figures["auc"] < bare - 0.1


def test_a_head_is_solved_from_floats_and_less_so_from_favourites():
    found = Extraction().run(memorising())
    bare, hard = (against(found, name).figures for name in ("float32", "hard label"))
    assert bare["weight_error"] < 1e-3
    assert bare["agreement"] > 0.99
    assert hard["score_error"] > 100 * bare["score_error"]


def test_labels_of_skewed_clients_are_told_better_than_blindly():
    made = scene(FrozenLinear(penalty=1.0), signal=3.0, features=8)
    for found in LabelDistribution().run(made):
        if found.defence != "DP, epsilon 8":  # with 15 examples it says little of anything
            assert found.figures["tv"] < found.figures["tv_blind"]
            assert found.figures["absent_auc"] is None or found.figures["absent_auc"] > 0.6


def test_label_shares_are_read_from_what_leaves_and_not_from_what_was_thought():
    """Positive control: the same clients, whose answers are noised, drawn by lot, or silent."""
    made = game(FrozenLinear(penalty=1.0), signal=3.0, features=8)
    lots = load(Mechanism, {"kind": "randomised_answers", "row_epsilon": 1e-9})
    mute = Defence("mute", "", lambda probs, _: np.full(probs.shape, 1 / 3), 1.0)
    rows = [BARE, replace(BARE, name="lots", mechanism=lots), mute]
    rows += [replace(BARE, name=f"DP {e:g}", mechanism=seeded(e)) for e in (1e-3, 1e6)]
    found = LabelDistribution().run(set_up(made, silent, tuple(rows)))
    assert [f.defence for f in found] == [row.name for row in rows]
    tv, blind = [f.figures["tv"] for f in found], found[0].figures["tv_blind"]
    bare, by_lot, silenced, hidden, clipped = tv
    assert bare < blind - 0.1
    assert clipped < blind - 0.04
    assert min(by_lot, silenced, hidden) > blind - 0.05
    assert by_lot == LabelDistribution().run(set_up(made, silent, tuple(rows)))[1].figures["tv"]


def seeded(epsilon):
    return DpGd(epsilon_target=epsilon, noise_seed=1, delta=DELTA)


def test_of_a_guarantee_without_noise_clipping_is_left_and_gives_more_away():
    """The baseline of the guarantee: what is between the two rows is what noise does."""
    found = Lira().run(memorising())
    loose, kept = (against(found, name).figures for name in ("clipping alone", "DP, epsilon 8"))
    assert loose["auc"] > kept["auc"] + 0.05
    assert loose["bound"]["0.01"] == pytest.approx(1.0)


def test_the_baseline_is_clipped_as_the_experiment_is():
    own = DpGd(epsilon_target=2.0, budget=4.0, clip=3.0, steps=7)
    mechanism = {d.name: d.mechanism for d in defences(8, own, 5, 100)}["clipping alone"]
    assert (mechanism.clip, mechanism.steps, mechanism.noise_seed) == (3.0, 7, 5)
    assert mechanism.plan().noise_multiplier < 0.01 < own.plan().noise_multiplier


def test_pictures_are_drawn_from_a_teacher_that_learned_and_not_from_one_that_did_not():
    """Positive control: random features that labels follow stand for pictures of the classes."""

    def drawn(recipe):
        made = replace(game(recipe, signal=3.0, features=16), encoder=Numbers(16))
        (found,) = Inversion().run(set_up(made, silent, (BARE,)))
        return found.figures

    learned, nothing = drawn(FrozenLinear(penalty=0.1)), drawn(FrozenLinear(penalty=1e15))
    assert learned["correlation"] > learned["correlation_prior"] + 0.4
    assert learned["named"] > 0.9
    assert nothing["correlation"] < nothing["correlation_prior"] + 0.1
    assert nothing["named"] < 0.5


def test_pictures_are_for_pictures():
    assert Inversion().obstacle(memorising()) == "it draws pictures, and these are texts"


@pytest.mark.parametrize("recipe", [FrozenLinear(), FrozenMlp(hidden=8, min_steps=20)])
def test_everything_follows_from_the_seed(recipe):
    def figures(seed):
        made = scene(recipe, seed=seed, features=8, size=replace(SMALL, targets=4, shadows=8))
        return [f.figures for a in (Lira(), Adaptive()) for f in a.run(made)]

    assert figures(3) == figures(3)
    assert figures(3) != figures(4)


class Broken(Mechanism):
    """Says one thing and does another."""

    def __init__(self, claimed, truth):
        self.claimed, self.truth = claimed, truth

    def fit(self, recipe, holding, rng):
        fitted, _ = self.truth.fit(recipe, holding, rng)
        return fitted, self.claimed.plan()

    def epsilon(self, spent):
        return self.claimed.epsilon(spent)

    def failure_probability(self):
        return DELTA


def audited(mechanism, replayed=False, recipe=None, runs=24):
    made = game(FrozenLinear(), size=replace(SMALL, audits=runs))
    canaries = plant(
        made.shared.view, (made.pool.view, made.pool.labels), 3, np.random.default_rng(0)
    )
    how = recipe or made.recipe
    return Audit().bounds(mechanism, how, canaries, made, replayed, silent)


SLOW = {"learning_rate": 0.01, "momentum": 0.0, "delta": DELTA}
HONEST = DpGd(epsilon_target=4.0, noise_seed=7, **SLOW)


@pytest.mark.parametrize("recipe", [FrozenLinear(), FrozenMlp(hidden=8)])
@pytest.mark.parametrize("epsilon", [1.0, 4.0, 8.0])
def test_an_honest_mechanism_passes_and_is_not_far_from_its_claim(epsilon, recipe):
    found = audited(DpGd(epsilon_target=epsilon, noise_seed=7, delta=DELTA), recipe=recipe, runs=12)
    assert found["epsilon_lower"] <= found["epsilon_claimed"]
    if epsilon > 1 and recipe == FrozenLinear():
        assert found["epsilon_lower"] > 0.3 * min(epsilon, 5)


def test_half_the_noise_is_flagged():
    twice = epsilon_of(2 * mu_of(4.0, DELTA), DELTA)
    found = audited(Broken(HONEST, DpGd(epsilon_target=twice, noise_seed=7, **SLOW)))
    assert found["epsilon_lower"] > found["epsilon_claimed"] == pytest.approx(4.0)


def test_no_clipping_is_flagged():
    wide = 20.0
    loose = epsilon_of(wide * mu_of(4.0, DELTA), DELTA)
    truth = DpGd(epsilon_target=loose, clip=wide * HONEST.clip, noise_seed=7, **SLOW)
    noises = [made.plan().noise_multiplier * made.clip for made in (HONEST, truth)]
    assert noises[0] == pytest.approx(noises[1], rel=1e-6)  # nothing but the clip differs
    found = audited(Broken(HONEST, truth))
    assert found["epsilon_lower"] > found["epsilon_claimed"]


def sampled(epsilon, sampling):
    pytest.importorskip("opacus")
    pytest.importorskip("dp_accounting")
    wanted = {"kind": "dp_sgd", "epsilon_target": epsilon, "sampling": sampling, "steps": 5}
    return load(Mechanism, {**wanted, **SLOW, "noise_seed": 7})


def test_an_honest_training_by_opacus_passes_and_half_its_noise_is_flagged():
    """Positive control, with every example in every step, where the claim is Gaussian."""
    honest, twice = sampled(4.0, 1.0), epsilon_of(2 * mu_of(4.0, DELTA), DELTA)
    found = audited(honest, runs=12)
    assert 0.5 < found["epsilon_lower"] <= found["epsilon_claimed"] == pytest.approx(4.0)
    found = audited(Broken(honest, sampled(twice, 1.0)), runs=12)
    assert found["epsilon_lower"] > found["epsilon_claimed"]


def test_steps_on_samples_are_held_against_the_bound_of_one_run_alone():
    """Positive control: no noise to speak of. What is found of mu is no epsilon of theirs."""
    honest = sampled(1.0, 0.5)
    found = audited(honest, runs=2)
    assert found["gaussian"] is None
    assert found["epsilon_lower"] == found["one_run"] <= found["epsilon_claimed"]
    found = audited(Broken(honest, sampled(1e4, 0.5)), runs=4)
    assert found["one_run"] > found["epsilon_claimed"] == pytest.approx(1.0, rel=0.01)


def test_seeded_noise_is_flagged_by_whoever_knows_the_seed():
    assert not audited(HONEST)["epsilon_lower"] > 4.0
    found = audited(HONEST, replayed=True)
    assert found["epsilon_lower"] > found["epsilon_claimed"]
