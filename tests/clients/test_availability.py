import numpy as np
import pytest

from clients.availability import Availability, is_there
from clients.availability.departures import Departures
from clients.availability.on_off import OnOff
from clients.availability.random_dropout import RandomDropout
from common.configure import find, kinds
from server.app import serve
from simulations.events import silent
from simulations.loop import federate
from tests.local_grid import LocalGrid
from tests.worlds import hashes, outcome, stocked, tallies, tiny_with

CLIENTS, ROUNDS = 400, 50


def drawn(policy, rounds=ROUNDS):
    """Shape (CLIENTS, rounds)."""
    rngs = [np.random.default_rng(client) for client in range(CLIENTS)]
    return np.stack([policy.draw(rng, rounds) for rng in rngs])


@pytest.mark.parametrize("kind", kinds(Availability))
def test_a_longer_run_begins_like_a_shorter_one(kind):
    policy = find(Availability, kind)()
    long, short = drawn(policy), drawn(policy, 7)
    assert long.shape == (CLIENTS, ROUNDS)
    assert long.dtype == np.bool_
    np.testing.assert_array_equal(long[:, :7], short)


@pytest.mark.parametrize("kind", kinds(Availability))
def test_one_round_at_a_time_says_the_same(kind):
    policy = find(Availability, kind)()
    at_once = policy.draw(_availability_stream(5), 9)
    assert [is_there(policy, 5, number) for number in range(1, 10)] == at_once.tolist()


def _availability_stream(seed):
    from common.seeds import stream

    return stream(seed, "availability")


def test_random_dropout_misses_its_share_of_every_round():
    there = drawn(RandomDropout(rate=0.3))
    assert abs(there.mean() - 0.7) < 4 * np.sqrt(0.21 / there.size)
    again = (~there[:, 1:] & ~there[:, :-1]).mean()
    assert abs(again - 0.09) < 0.01  # independent: the square


def test_who_departs_does_not_come_back():
    there = drawn(Departures(rate=0.1))
    assert not (there[:, 1:] & ~there[:, :-1]).any()
    expected = 0.9 ** np.arange(1, ROUNDS + 1)
    assert np.abs(there.mean(axis=0) - expected).max() < 0.1


def test_bursts_have_their_lengths_and_the_share_is_the_same_from_the_start():
    there = drawn(OnOff(on=6.0, off=3.0))
    assert abs(there[:, 0].mean() - 2 / 3) < 0.1
    assert abs(there.mean() - 2 / 3) < 0.03
    leaving = (there[:, :-1] & ~there[:, 1:]).sum() / there[:, :-1].sum()
    coming = (~there[:, :-1] & there[:, 1:]).sum() / (~there[:, :-1]).sum()
    assert abs(leaving - 1 / 6) < 0.02
    assert abs(coming - 1 / 3) < 0.03


@pytest.mark.parametrize(("rate", "seed"), [(0.1, 3), (0.3, 3), (0.5, 3), (0.9, 5)])
def test_r9_the_rest_goes_on_and_the_tallies_say_who(tmp_path, rate, seed):
    """Who is absent is lost by time-out; the same on every grouping of clients to nodes."""
    overrides = (
        "data.num_clients = 12; num_rounds = 3; data.dataset.size = 300",
        f"clients.availability = {{ kind = 'random_dropout', rate = {rate} }}",
        f"seed = {seed}",
    )
    alone = stocked(tiny_with(*overrides), tmp_path / "alone")
    expected = [
        {c for c in range(12) if is_there(RandomDropout(rate=rate), _seed(alone, c), number)}
        for number in (1, 2, 3)
    ]
    assert all(expected), "a seed with a round without anybody: that is R10"
    federate(alone, silent)
    for number, there in enumerate(expected, start=1):
        found = {int(p.stem) for p in (alone / "releases" / str(number)).iterdir()}
        assert found == there
    for client, (status, reason) in tallies(alone).items():
        fate = ("answered", "accepted") if client in expected[-1] else ("lost", "timeout")
        assert (status, reason) == fate
    for nodes in (1, 5, 12):
        folder = stocked(tiny_with(*overrides), tmp_path / f"nodes {nodes}")
        serve(LocalGrid(nodes), folder, silent)
        assert hashes(folder) == hashes(alone)
        assert tallies(folder) == tallies(alone)
        for name in ("clients", "bytes_up", "bytes_down", "messages", "rejected"):
            assert outcome(folder)[name] == outcome(alone)[name]


def _seed(folder, client):
    from clients.store import Store

    return int(Store(folder / "clients" / str(client)).about()["seed"])
