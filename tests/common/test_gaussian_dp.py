"""What Gaussian noise costs, against the definition, a library and known figures."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from common.gaussian_dp import (
    client_level_sigma,
    composed,
    delta_of,
    epsilon_of,
    mu_of,
    noise_multiplier,
    winner_survives,
)


@pytest.mark.parametrize(("mu", "epsilon"), [(0.1, 0.0), (0.5, 1.0), (1.0, 2.0), (3.0, 8.0)])
def test_delta_is_the_mass_by_which_the_odds_are_passed(mu: float, epsilon: float) -> None:
    """The definition: the integral of max(0, P - e^eps Q) for N(mu, 1) against N(0, 1)."""

    def excess(x: float) -> float:
        return max(0.0, stats.norm.pdf(x, mu) - math.exp(epsilon) * stats.norm.pdf(x))

    edge = epsilon / mu + mu / 2  # where both are equal
    wanted, _ = integrate.quad(excess, edge, edge + 40)
    assert delta_of(mu, epsilon) == pytest.approx(wanted, rel=1e-6)


@pytest.mark.parametrize(("epsilon", "z"), [(1, 20.2), (2, 11.0), (4, 6.1), (8, 3.43)])
def test_known_noise_of_forty_steps(epsilon: float, z: float) -> None:
    """Figures for 40 full-batch steps at delta = 1e-4, to their printed digits."""
    assert noise_multiplier(epsilon, 1e-4, 40) == pytest.approx(z, abs=0.06)


@pytest.mark.parametrize("steps", [1, 30])
@pytest.mark.parametrize("z", [0.7, 2.0, 8.0])
def test_an_accountant_agrees(z: float, steps: int) -> None:
    accounting = pytest.importorskip("dp_accounting")
    accountant = accounting.pld.PLDAccountant(value_discretization_interval=1e-4)
    accountant.compose(accounting.GaussianDpEvent(z), steps)
    wanted = accountant.get_epsilon(1e-5)
    assert epsilon_of(math.sqrt(steps) / z, 1e-5) == pytest.approx(wanted, rel=1e-3)


@given(st.floats(0.05, 20), st.floats(1e-9, 0.1))
def test_there_and_back(epsilon: float, delta: float) -> None:
    mu = mu_of(epsilon, delta)
    assert delta_of(mu, epsilon) <= delta
    assert epsilon_of(mu, delta) <= epsilon * (1 + 1e-9)
    assert epsilon_of(mu * 1.001, delta) > epsilon


@given(st.floats(0, 30), st.floats(0, 50))
def test_delta_is_a_probability_and_falls_with_epsilon(mu: float, epsilon: float) -> None:
    assert 0 <= delta_of(mu, epsilon + 1) <= delta_of(mu, epsilon) <= 1


def test_ends() -> None:
    assert epsilon_of(0.0, 1e-5) == 0
    assert math.isinf(epsilon_of(math.inf, 1e-5))
    assert delta_of(0.0, 0.0) == 0


def test_releases_add_up_by_their_squares() -> None:
    assert composed([3.0, 4.0]) == 5.0
    assert composed([]) == 0.0
    one = noise_multiplier(4.0, 1e-5, 1)
    assert composed([1 / noise_multiplier(4.0, 1e-5, 9)] * 9) == pytest.approx(1 / one)
    assert np.isclose(epsilon_of(1 / one, 1e-5), 4.0)


@pytest.mark.parametrize(
    ("clients", "sigma"), [(10, 2.15), (50, 0.43), (100, 0.215), (250, 0.086), (1000, 0.021)]
)
def test_known_noise_that_hides_a_client(clients: int, sigma: float) -> None:
    """Figures at epsilon = 8, delta = 1e-3, N = 1,000, to their printed digits."""
    assert client_level_sigma(8, 1e-3, 1000, clients) == pytest.approx(sigma, rel=0.03)


def test_the_mean_of_clients_moves_by_at_most_what_is_said() -> None:
    """One of K clients turns every row from one label to another: that is the worst."""
    rows, clients = 40, 5
    before = np.random.default_rng(0).dirichlet(np.ones(3), size=(clients, rows))
    before[0] = np.eye(3)[0]
    after = before.copy()
    after[0] = np.eye(3)[1]
    moved = np.linalg.norm(before.mean(axis=0) - after.mean(axis=0))
    assert moved == pytest.approx(math.sqrt(2 * rows) / clients)
    mu = moved / client_level_sigma(3, 1e-5, rows, clients)
    assert epsilon_of(mu, 1e-5) == pytest.approx(3)


def test_the_winner_survives_as_often_as_in_a_simulation() -> None:
    drawn = np.random.default_rng(0).normal(scale=2.0, size=(200_000, 2))
    wanted = np.mean(3.0 + drawn[:, 0] > drawn[:, 1])
    assert winner_survives(3.0, 2.0) == pytest.approx(wanted, abs=0.005)
    assert winner_survives(0.0, 1.0) == 0.5
