"""Noise on answers: its shape, its size, its honest worth, and that it is drawn once."""

import math

import numpy as np
import pytest
from scipy import stats

from clients.client import Client
from clients.mechanisms import Holding, Mechanism
from clients.mechanisms.noisy_answers import NoisyAnswers
from clients.mechanisms.randomised_answers import RandomisedAnswers
from clients.noise import KeyedNoise
from clients.noise_key import noise_key
from clients.store import Store
from clients.teachers.frozen_linear import FrozenLinear
from common.configure import find, kinds
from common.records import decode
from simulations.events import silent
from simulations.guarantee import guarantee
from simulations.loop import federate
from tests.worlds import hashes, stocked, tiny_with

PROBS = np.random.default_rng(0).dirichlet(np.ones(5), size=4000).astype(np.float32)
ANSWERING = [kind for kind in kinds(Mechanism) if not find(Mechanism, kind).trains]
LINEAR = "clients.teacher = 'frozen_linear'"
ROUNDS = (
    "num_rounds = 2",
    "server.feedback = 'consensus'",
    "clients.refinement = 'digest_revisit'",
)


def test_the_worst_case_of_the_design_note():
    """Published beforehand: N = 1,000, sigma = 0.2, delta = 1e-5."""
    assert NoisyAnswers(sigma=0.2).worst_case(1000) == pytest.approx(25_953, abs=0.5)
    assert NoisyAnswers(sigma=26.8).worst_case(1000) == pytest.approx(8, abs=0.02)
    assert RandomisedAnswers(row_epsilon=0.1).worst_case(1000) == pytest.approx(20.17, abs=0.01)
    assert RandomisedAnswers(row_epsilon=0.1).worst_case(3) == pytest.approx(0.3)


def test_the_worst_case_is_that_of_another_accountant():
    accounting = pytest.importorskip("dp_accounting")
    from dp_accounting.pld import PLDAccountant

    accountant = PLDAccountant(accounting.NeighboringRelation.ADD_OR_REMOVE_ONE)
    accountant.compose(accounting.GaussianDpEvent(26.8 / math.sqrt(2 * 1000)))
    wanted = accountant.get_epsilon(1e-5)
    assert NoisyAnswers(sigma=26.8).worst_case(1000) == pytest.approx(wanted, rel=1e-3)


def test_two_simplex_rows_are_at_most_root_two_apart():
    assert np.linalg.norm(PROBS[:2000] - PROBS[2000:], axis=1).max() <= math.sqrt(2)
    assert np.linalg.norm(np.eye(5)[0] - np.eye(5)[1]) == pytest.approx(math.sqrt(2))


@pytest.mark.parametrize("kind", ANSWERING)
def test_what_is_said_are_distributions_and_drawn_anew(kind):
    mechanism = find(Mechanism, kind)()
    first, second = mechanism.release(PROBS), mechanism.release(PROBS)
    assert first.shape == PROBS.shape
    assert first.dtype == np.float32
    assert np.all(first >= 0)
    assert first.sum(axis=-1) == pytest.approx(1, abs=1e-5)
    assert not np.array_equal(first, second)
    key = b"k" * 32
    same = [mechanism.release(PROBS, KeyedNoise(key)) for _ in range(2)]
    assert np.array_equal(*same)
    stacked = mechanism.release(PROBS.reshape(4, 1000, 5), KeyedNoise(key))
    assert stacked.reshape(-1, 5) == pytest.approx(same[0])


@pytest.mark.parametrize("kind", ANSWERING)
def test_it_is_obfuscation_and_nothing_is_accounted_for(kind):
    mechanism = find(Mechanism, kind)()
    assert mechanism.unit == "none"
    assert mechanism.plan() is None
    assert mechanism.private
    assert not find(Mechanism, kind)(noise_seed=1).private
    assert mechanism.worst_case(2000) > mechanism.worst_case(1000)
    assert mechanism.worst_case(1000, times=2) == mechanism.worst_case(2000)


@pytest.mark.parametrize("kind", ANSWERING)
def test_the_teacher_is_trained_as_the_recipe_says(kind):
    rng = np.random.default_rng(0)
    features, labels = rng.normal(size=(30, 4)).astype(np.float32), np.arange(30) % 3
    holding = Holding(features, labels, 3, features)
    fitted, spent = find(Mechanism, kind)().fit(FrozenLinear(), holding, rng)
    plain = FrozenLinear().fit(features, labels, 3, rng)
    assert spent is None
    assert np.array_equal(fitted.tensors()["weights"], plain.tensors()["weights"])


def test_the_noise_has_the_size_that_is_said():
    """Far from the edges the raised values differ from the answers by the noise alone."""
    flat = np.full((20_000, 2), 0.5, dtype=np.float32)
    noised = NoisyAnswers(sigma=0.01).release(flat)
    moved = noised[:, 0] / noised[:, 1]  # (0.5 + a) / (0.5 + b), about 1 + 2 (a - b)
    assert np.std(moved - 1) == pytest.approx(0.02 * math.sqrt(2), rel=0.03)


def test_favourites_are_said_as_often_as_the_formula_says():
    mechanism = RandomisedAnswers(row_epsilon=1.5)
    probs = np.tile(np.float32([0.1, 0.6, 0.2, 0.1]), (20_000, 1))
    counts = mechanism.release(probs).sum(axis=0)
    odds = np.array([1, math.exp(1.5), 1, 1])
    assert stats.chisquare(counts, 20_000 * odds / odds.sum()).pvalue > 1e-6


def test_the_key_is_of_teacher_and_texts_and_stays(tmp_path):
    rng = np.random.default_rng(0)
    inputs, labels = rng.normal(size=(20, 3)).astype(np.float32), np.arange(20) % 2
    one, two = (
        FrozenLinear().fit(inputs, labels, 2, rng),
        FrozenLinear().fit(-inputs, labels, 2, rng),
    )
    key = noise_key(tmp_path, one, ("a", "b"))
    assert key == noise_key(tmp_path, one, ("a", "b"))
    others = [(two, ("a", "b")), (one, ("b", "a")), (one, ("ab",))]
    assert len({key, *(noise_key(tmp_path, *other) for other in others)}) == 4
    assert (tmp_path / "noise.key").stat().st_mode & 0o777 == 0o600
    (tmp_path / "noise.key").unlink()
    assert noise_key(tmp_path, one, ("a", "b")) != key


def codes(folder, client, server_round, experiment):
    store = Store(folder / "clients" / str(client))
    layout = store.terms().layout
    return decode(store.release(server_round), layout, server_round, client).codes


@pytest.mark.parametrize("kind", ANSWERING)
def test_r29_later_rounds_say_the_same_even_if_the_release_is_lost(kind, tmp_path):
    """Fresh noise in every round could be averaged away."""
    mechanism = f"clients.mechanism = '{kind}'"
    experiment = tiny_with(LINEAR, mechanism, "num_rounds = 3")
    folder = stocked(experiment, tmp_path / "run")
    federate(folder, silent)
    first, third = (codes(folder, 0, number, experiment) for number in (1, 3))
    assert np.array_equal(first, third)
    store = Store(folder / "clients" / "0")
    for number in (1, 2, 3):
        (store.root / "releases" / f"{number}.bin").unlink()
    again = Client(store)._speaker.record(2)
    assert np.array_equal(again.codes, first)
    (store.root / "noise.key").write_bytes(b"another" * 5)  # the control
    assert not np.array_equal(Client(store)._speaker.record(2).codes, first)


def test_a_refined_teacher_gets_noise_of_its_own_and_its_worth_is_told(tmp_path):
    sigma = "clients.mechanism = { kind = 'noisy_answers', sigma = 0.2 }"
    experiment = tiny_with(LINEAR, sigma, *ROUNDS)
    folder = stocked(experiment, tmp_path / "run")
    federate(folder, silent)
    store = Store(folder / "clients" / "0")
    assert store.teacher_rounds() == [1, 2]
    rows = store.terms().rows
    told = guarantee(folder, experiment)
    worst = experiment.clients.mechanism.worst_case(rows, 2)
    assert "bias" not in store.terms().disclosed or worst  # the rule of this world
    assert told["epsilon"] is None
    assert told["guarantee"].startswith(
        "none - obfuscation only; worst-case epsilon of the added noise: "
    )
    assert float(told["guarantee"].rsplit(" ", 1)[1].replace(",", "")) >= round(worst)


def test_seeded_noise_repeats_and_says_so(tmp_path):
    seeded = "clients.mechanism = { kind = 'noisy_answers', noise_seed = 3 }"
    runs = []
    for name in ("one", "two"):
        experiment = tiny_with(LINEAR, seeded)
        folder = stocked(experiment, tmp_path / name)
        federate(folder, silent)
        runs.append(hashes(folder))
    assert runs[0] == runs[1]
    told = guarantee(folder, experiment)["guarantee"]
    assert told == "none - obfuscation only, NOT PRIVATE (seeded noise)"


def test_what_is_said_past_the_noise_has_no_worth(tmp_path):
    """How near a text is to a client's own is no noised answer."""
    noisy = "clients.mechanism = 'noisy_answers'"
    experiment = tiny_with(LINEAR, noisy, "disclose = ['familiarity']")
    folder = stocked(experiment, tmp_path / "run")
    federate(folder, silent)
    assert guarantee(folder, experiment)["guarantee"] == "none - obfuscation only"


def test_blanks_are_answers_too(tmp_path):
    weighted = "server.weighting = { kind = 'knot', distance = 'l2' }"
    experiment = tiny_with(LINEAR, "clients.mechanism = 'noisy_answers'", weighted)
    folder = stocked(experiment, tmp_path / "run")
    federate(folder, silent)
    rows = Store(folder / "clients" / "0").terms().rows
    told = guarantee(folder, experiment)["guarantee"].rsplit(" ", 1)[1].replace(",", "")
    assert float(told) > experiment.clients.mechanism.worst_case(rows) + 1
