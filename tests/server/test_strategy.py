import time

import pytest
from flwr.app import ConfigRecord, MetricRecord, RecordDict

from common.failures import ConfigError, TooFewClients
from common.terms import Terms
from common.wire import ENCODE, HELLO, PREDICT, TEACHER, framed, unpack_question
from tests.local_grid import failed
from tests.tampering import at
from tests.worlds import hashes, outcome, tallies, tiny_with


@pytest.mark.parametrize("nodes", [1, 2, 3])
@pytest.mark.parametrize("backwards", [False, True])
def test_the_same_bits_as_the_loop_however_many_nodes(run, inline, nodes, backwards):
    expected = inline("num_rounds = 2")
    folder, _ = run(nodes, "num_rounds = 2", backwards=backwards)
    assert hashes(folder) == hashes(expected)
    same = ("clients", "bytes_up", "bytes_down", "messages", "rejected", "parameters")
    assert {k: outcome(folder)[k] for k in same} == {k: outcome(expected)[k] for k in same}
    assert outcome(folder)["isolated"] is True
    assert tallies(folder) == tallies(expected)


def test_a_node_is_asked_once_a_phase_for_all_its_clients(run):
    _, grid = run(2, "num_rounds = 2")
    kinds = [(m.metadata.message_type, m.metadata.dst_node_id) for m in grid.sent]
    assert kinds == [
        (kind, node) for kind in (HELLO, ENCODE, TEACHER, PREDICT, PREDICT) for node in (1000, 1001)
    ]
    clients = [unpack_question(m.content)[2] for m in grid.sent]
    assert clients == [[], [], *[[0, 2], [1, 3]] * 4]


def test_only_questions_go_down(run):
    """No model, no prediction, no text: five fields that are the same for everybody."""
    folder, grid = run(3, "num_rounds = 2")
    terms = Terms.read(folder / "terms.json")
    assert len(grid.sent) == 5 * 3
    for message in grid.sent:
        assert list(message.content) == ["question"]
        fields = message.content["question"]
        assert isinstance(fields, ConfigRecord)
        assert set(fields) == {"schema", "round", "binding", "site", "clients"}
        if message.metadata.message_type != HELLO:
            assert fields["site"] == terms.site
            assert fields["binding"] == terms.binding
        assert len(framed(message.content)) < 300


def test_only_answers_codes_and_partitions_come_up(run):
    _, grid = run(3)
    assert len(grid.received) == 4 * 3
    held = {HELLO: {"hello"}, ENCODE: {"status"}, TEACHER: {"status"}, PREDICT: {"pred", "meta"}}
    for reply in grid.received:
        kind = reply.metadata.message_type
        assert set(reply.content) == held[kind]
        for name, record in reply.content.items():
            if name == "pred":
                assert {(a.dtype, a.shape) for a in record.values()} == {("uint8", (179,))}
            else:
                assert isinstance(record, MetricRecord)
                assert all(type(value) is int for value in record.values())
    for context in grid.contexts.values():
        assert context.state == RecordDict()


def test_too_few_answers_end_the_run(run):
    with pytest.raises(TooFewClients, match=r"only 3 of 4 .* \(reasons: crashed\)") as failure:
        run(3, "k_min = 4", tamper=at(PREDICT, lambda m, r: failed(m)))
    assert failure.value.exit_code == 3


def test_r23_a_clock_that_is_set_does_not_end_a_phase(run, inline, monkeypatch):
    """Every look at the wall clock is an hour earlier, or later, than the one before."""
    now = iter(range(10**9))
    monkeypatch.setattr(time, "time", lambda: 1.7e9 + 3600.0 * next(now) * (-1) ** next(now))
    folder, _ = run(2, "num_rounds = 2")
    assert hashes(folder) == hashes(inline("num_rounds = 2"))


def test_silence_must_be_longer_than_what_is_waited_for():
    with pytest.raises(ConfigError, match="silence = 5 would end a phase that may take 2"):
        tiny_with("server.timeouts = { encode = 9.0, teachers = 1.0, silence = 5.0 }")
