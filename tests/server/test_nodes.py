import pytest

from common.failures import TooFewClients
from common.wire import ENCODE, HELLO, PREDICT, pack_hello
from tests.local_grid import failed
from tests.tampering import PHASE_ABUSES, at, replaced
from tests.worlds import hashes, tallies


def test_more_nodes_than_clients_are_no_harm(run, inline):
    folder, grid = run(6)
    assert hashes(folder) == hashes(inline())
    asked = {m.metadata.dst_node_id for m in grid.sent if m.metadata.message_type == PREDICT}
    assert asked == {1000, 1001, 1002, 1003}


@pytest.mark.parametrize("abuse", ["error", "no reply", "empty", "text", "unknown code"])
def test_a_node_that_does_not_say_hello_is_left_out(run, inline, abuse):
    folder, grid = run(3, tamper=at(HELLO, PHASE_ABUSES[abuse]))
    assert hashes(folder) == hashes(inline(gone=(1,)))
    assert tallies(folder)[1] == ("lost", "timeout")
    others = [m for m in grid.sent if m.metadata.message_type != HELLO]
    assert {m.metadata.dst_node_id for m in others} == {1000, 1002}


@pytest.mark.parametrize("partition", [-1, 3, 2**40])
def test_a_partition_that_cannot_be_is_left_out(run, inline, partition):
    lie = at(HELLO, lambda m, r: replaced(m, r, pack_hello(partition)))
    assert hashes(run(3, tamper=lie)[0]) == hashes(inline(gone=(1,)))


def test_without_nodes_that_say_hello_the_run_ends(run):
    with pytest.raises(TooFewClients, match="only 0 of 4 clients answered"):
        run(2, tamper=lambda message, reply: failed(message))


def late(kind):
    """Has the second node reply to a kind of message long after any phase would be over."""

    def hold(message):
        about = message.metadata
        return 1.0 if (about.message_type, about.dst_node_id) == (kind, 1001) else 0.0

    return hold


def test_a_slow_start_costs_no_phase_its_time(run, inline, monkeypatch):
    """The workers come up five times as late as a phase may take; the clocks start then."""
    monkeypatch.setattr("server.nodes._CONNECT_SECONDS", 600.0)
    folder, _ = run(2, hold=late(HELLO))
    assert hashes(folder) == hashes(inline())
    assert tallies(folder) == dict.fromkeys(range(4), ("answered", "accepted"))


def test_the_same_delay_within_a_phase_does_cost_it(run):
    """The positive control of the test before."""
    folder, _ = run(2, hold=late(ENCODE))
    kept, gone = ("answered", "accepted"), ("lost", "timeout")
    assert tallies(folder) == {0: kept, 1: gone, 2: kept, 3: gone}
