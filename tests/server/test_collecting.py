import pytest

from common.audit import verified
from common.messages import Answer
from common.wire import PREDICT, pack_answers, unpack_answers
from server.app import serve
from simulations.events import silent
from tests.local_grid import LocalGrid, failed
from tests.tampering import clients_of, replaced
from tests.worlds import hashes, stocked, tallies, tiny_with


def test_who_does_not_answer_is_asked_once_more(run, inline):
    """Whatever went wrong the first time; on one node for all, the others are not."""
    seen = []

    def stumble(message, reply):
        if message.metadata.message_type != PREDICT or seen:
            return reply
        seen.append(message)
        answers = unpack_answers(reply.content, 1)
        kept = [Answer(c, answers[str(c)]) for c in (0, 1, 3)]
        return replaced(message, reply, pack_answers(kept, 1))

    folder, grid = run(1, tamper=stumble)
    assert hashes(folder) == hashes(inline())
    assert [clients_of(m) for m in grid.sent][-2:] == [[0, 1, 2, 3], [2]]
    assert tallies(folder) == dict.fromkeys(range(4), ("answered", "accepted"))


def said(folder):
    """The clients whose answers are in the server's log, in its order."""
    entries = verified(folder / "audit" / "server.jsonl")
    return [entry["client"] for entry in entries if entry["direction"] == "up"]


def test_who_has_answered_is_judged_while_others_are_waited_for(inline, tmp_path, hasty):
    """The last node's reply is there once the log has the answers of the nodes before."""

    class Patient(LocalGrid):
        def pull_messages(self, message_ids):
            last = [m.metadata.message_id for m in self.sent if self._is_last(m)]
            waiting = set(last) if len(said(folder)) < 3 else set()
            return super().pull_messages(set(message_ids) - waiting)

        def _is_last(self, message):
            return message.metadata.message_type == PREDICT and clients_of(message) == [2]

    folder = stocked(tiny_with("server.timeouts.predict = 20.0"), tmp_path / "waiting")
    serve(Patient(3), folder, silent)
    assert said(folder) == [0, 3, 1, 2]
    assert hashes(folder) == hashes(inline())


def breaks_with(client):
    def tamper(message, reply):
        guilty = message.metadata.message_type == PREDICT and client in clients_of(message)
        return failed(message) if guilty else reply

    return tamper


@pytest.mark.parametrize("slow", [0, 1])
@pytest.mark.parametrize("backwards", [False, True])
def test_all_are_judged_in_one_order_whoever_comes_first(run, slow, backwards):
    """Client 1 breaks the second of two nodes, so that its neighbour is asked alone."""

    def hold(message):
        is_slow = message.metadata.dst_node_id == 1000 + slow
        return 0.05 * (is_slow and message.metadata.message_type == PREDICT)

    patient = "server.timeouts.predict = 20.0"
    folder, _ = run(2, patient, tamper=breaks_with(1), backwards=backwards, hold=hold)
    assert said(folder) == [0, 2, 3]
    assert tallies(folder)[1] == ("quarantined", "crashed")
