"""The noise of a trusted server: how much, on what, and never drawn twice for one sum."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats

from common.failures import BudgetExceeded, FolderError
from common.predictions import Ensemble
from server.aggregators import Targets
from server.draws import KEY, LEDGER, Draws
from server.hidings.noisy_mean import NoisyMean, nearest_distributions
from server.hidings.noisy_votes import NoisyVotes
from server.noising import Noising, summed
from server.teaching import Aim

RNG = np.random.default_rng(0)
QUIET = 1e12  # an epsilon at which there is next to no noise


class Said:
    """Opinions (K, N, C) of the clients 0, 1, ..."""

    def __init__(self, probs):
        self.probs = np.asarray(probs, dtype=np.float32)
        self.clients = np.arange(len(self.probs))

    def rows(self, part):
        return Ensemble(self.clients, self.probs[:, part])


@pytest.fixture
def draws(tmp_path):
    (tmp_path / "checkpoint").mkdir()
    return Draws(tmp_path)


def aim_of(said):
    samples = said.probs.shape[1]
    targets = Targets(said.probs.mean(axis=0)[None], np.ones((1, samples), np.float32))
    return Aim(said.clients, np.ones(said.probs.shape[:2]), targets)


def hidden(hiding, draws, said, server_round=1):
    noising = Noising(hiding, draws)
    aim = noising.hide(server_round, aim_of(said), said)
    noising.settle()
    return aim.targets.probs[0]


def opinions(clients=7, samples=20, labels=3, seed=0):
    return Said(np.random.default_rng(seed).dirichlet(np.ones(labels), size=(clients, samples)))


def test_without_a_hiding_nothing_is_touched(draws):
    said = opinions()
    aim = aim_of(said)
    noising = Noising(None, draws)
    assert noising.hide(1, aim, said) is aim
    noising.settle()
    assert draws.read() == []


def test_votes_by_hand(draws):
    """Three clients, three texts; on the third the first of two tied labels is voted for."""
    first = [[0.9, 0.1, 0.0], [0.2, 0.5, 0.3], [0.4, 0.4, 0.2]]
    second = [[0.1, 0.8, 0.1], [0.1, 0.6, 0.3], [0.1, 0.1, 0.8]]
    third = [[0.6, 0.2, 0.2], [0.0, 0.1, 0.9], [0.5, 0.5, 0.0]]
    said, hiding = Said([first, second, third]), NoisyVotes(epsilon_target=QUIET)
    assert summed(hiding, said, 3).tolist() == [[2, 1, 0], [0, 2, 1], [2, 0, 1]]
    assert hidden(hiding, draws, said).tolist() == [[1, 0, 0], [0, 1, 0], [1, 0, 0]]


def test_the_mean_without_noise_is_the_mean(draws):
    said = opinions(samples=600)  # more than two blocks
    found = hidden(NoisyMean(epsilon_target=QUIET), draws, said)
    assert np.allclose(found, said.probs.mean(axis=0), atol=1e-4)


@pytest.mark.parametrize("seed", [None, 5])
def test_the_noise_is_normal_and_as_large_as_the_ledger_says(draws, monkeypatch, seed):
    """Seen before anything is projected; a seed, and a fixed secret, make the test the same."""
    monkeypatch.setattr("os.urandom", lambda count: b"\x17" * count)
    seen = []
    monkeypatch.setattr(NoisyMean, "target", lambda self, mean: seen.append(mean) or mean)
    hiding, said = NoisyMean(noise_seed=seed), opinions(clients=9, samples=2000, labels=5)
    hidden(hiding, draws, said)
    (entry,) = draws.read()
    noise = (seen[0] - said.probs.astype(float).mean(axis=0)) * 9
    assert entry.sigma == hiding.sigma(2000)
    assert stats.kstest(noise.ravel() / entry.sigma, "norm").pvalue > 1e-3


def test_the_same_sum_of_a_round_has_the_same_noise_and_is_paid_once(draws):
    """With real noise: a round done again is the same to the bit."""
    said = opinions()
    first, again = (hidden(NoisyMean(), draws, said) for _ in range(2))
    assert first.tobytes() == again.tobytes()
    assert len(draws.read()) == 1


def test_another_round_and_another_folder_have_noise_of_their_own(draws, tmp_path):
    said, hiding = opinions(), NoisyMean(budget=100.0)
    first, second = (hidden(hiding, draws, said, number) for number in (1, 2))
    assert not np.array_equal(first, second)
    (tmp_path / "other" / "checkpoint").mkdir(parents=True)
    assert not np.array_equal(first, hidden(hiding, Draws(tmp_path / "other"), said))


def test_other_answers_of_a_round_that_was_used_cost_once_more(draws):
    """As after a damaged checkpoint with somebody missing: refused, or paid for."""
    hidden(NoisyMean(), draws, opinions())
    with pytest.raises(BudgetExceeded, match=r"round 1 .* server.hiding.budget"):
        hidden(NoisyMean(), draws, opinions(clients=6))
    assert len(draws.read()) == 1
    hidden(NoisyMean(budget=20.0), draws, opinions(clients=6))
    assert [entry.clients for entry in draws.read()] == [7, 6]


def test_what_was_never_used_costs_nothing(draws):
    """Killed while the student learned: nothing left the server."""
    said = opinions()
    Noising(NoisyMean(), draws).hide(1, aim_of(said), said)
    assert draws.read() == []
    hidden(NoisyMean(), draws, opinions(clients=6))
    assert len(draws.read()) == 1


def test_a_lost_secret_does_not_make_noise_cheaper(draws, tmp_path):
    """Positive control: fresh noise on the same answers could be averaged away."""
    said = opinions()
    hidden(NoisyMean(), draws, said)
    (tmp_path / "checkpoint" / KEY).unlink()
    with pytest.raises(BudgetExceeded):
        hidden(NoisyMean(), draws, said)


def test_a_damaged_ledger_ends_the_run(draws, tmp_path):
    hidden(NoisyMean(), draws, opinions())
    (tmp_path / "checkpoint" / LEDGER).write_text("{}\n")
    with pytest.raises(FolderError, match="ledger of noise is damaged"):
        hidden(NoisyMean(), draws, opinions())


def test_the_noise_on_the_sum_does_not_depend_on_who_answers(draws):
    hiding = NoisyMean(budget=1e3)
    for clients in (3, 30):
        hidden(hiding, draws, opinions(clients=clients))
    few, many = draws.read()
    assert few.sigma == many.sigma
    assert few.mu == pytest.approx(many.mu)
    assert hiding.epsilon([few.mu]) == pytest.approx(hiding.epsilon_target)


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=5))
def test_the_projection_is_the_nearest_distribution(row):
    """Against a general solver, which finds the same point."""
    row = np.array(row)
    ours = nearest_distributions(row[None])[0]
    start = np.full(len(row), 1 / len(row))
    found = optimize.minimize(
        lambda x: np.sum((x - row) ** 2),
        start,
        jac=lambda x: 2 * (x - row),
        bounds=[(0, 1)] * len(row),
        constraints={"type": "eq", "fun": lambda x: x.sum() - 1},
        method="SLSQP",
        options={"ftol": 1e-12},
    )
    assert ours.min() >= 0
    assert ours.sum() == pytest.approx(1)
    assert np.sum((ours - row) ** 2) <= np.sum((found.x - row) ** 2) + 1e-6
