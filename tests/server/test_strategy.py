import shutil
import time
from functools import cache

import pytest
from flwr.app import (
    Array,
    ArrayRecord,
    ConfigRecord,
    Error,
    Message,
    MetricRecord,
    RecordDict,
)
from flwr.common.constant import ErrorCode

from common.audit import verified
from common.failures import ConfigError, TooFewClients
from common.messages import Answer
from common.reasons import Reason
from common.terms import Terms
from common.wire import (
    ENCODE,
    HELLO,
    PREDICT,
    TEACHER,
    framed,
    pack_answers,
    pack_hello,
    pack_status,
    unpack_answers,
    unpack_question,
)
from server.app import serve
from simulations.events import silent
from simulations.loop import federate
from tests.local_grid import LocalGrid, failed
from tests.worlds import hashes, outcome, stocked, tallies, tiny_with

# The local grid has every reply ready when it is asked first: only the silent are waited for.
HASTE = "server.timeouts = { encode = 0.2, teachers = 0.2, predict = 0.2 }"


@pytest.fixture
def run(tmp_path):
    """Serves the tiny experiment to so many nodes; gives run folder and grid."""
    count = iter(range(100))

    def made(nodes, *overrides, before=lambda folder: None, **grid):
        folder = stocked(tiny_with(HASTE, *overrides), tmp_path / f"served {next(count)}")
        before(folder)
        nodes = LocalGrid(nodes, **grid)
        serve(nodes, folder, silent)
        return folder, nodes

    return made


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    monkeypatch.setattr("server.patience._POLL_SECONDS", 0.001)
    monkeypatch.setattr("server.strategy._CONNECT_SECONDS", 0.5)


@pytest.fixture(scope="module")
def inline(tmp_path_factory):
    """The same by the loop, without clients 'gone'; made once and only to be read."""

    @cache
    def made(*overrides, gone=()):
        folder = stocked(tiny_with(*overrides), tmp_path_factory.mktemp("inline") / "run")
        for client in gone:
            shutil.rmtree(folder / "clients" / str(client))
        federate(folder, silent)
        return folder

    return made


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


def test_more_nodes_than_clients_are_no_harm(run, inline):
    folder, grid = run(6)
    assert hashes(folder) == hashes(inline())
    asked = {m.metadata.dst_node_id for m in grid.sent if m.metadata.message_type == PREDICT}
    assert asked == {1000, 1001, 1002, 1003}


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


def test_what_flower_adds_is_counted(run):
    folder, grid = run(2)
    replies = [r.content for r in grid.received if r.metadata.message_type == PREDICT]
    payloads = sum(len(p) for r in replies for p in unpack_answers(r, 1).values())
    assert outcome(folder)["bytes_up"] == payloads
    assert (
        outcome(folder)["envelope_up"]
        == sum(len(framed(reply)) for reply in replies) - payloads
        > 0
    )


def replaced(message, reply, content):
    return Message(content, reply_to=message)


def with_record(message, reply, name, record):
    return replaced(message, reply, RecordDict(dict(reply.content.items()) | {name: record}))


def renamed(message, reply, name):
    (array,) = reply.content["pred"].values()
    return with_record(message, reply, "pred", ArrayRecord({name: array}))


def asked_round(message):
    return unpack_question(message.content)[0].round


def payload(message, reply, change):
    now = asked_round(message)
    (answer,) = unpack_answers(reply.content, now).values()
    return replaced(message, reply, pack_answers([Answer(1, change(answer))], now))


def other_round(message, reply):
    meta = MetricRecord({"schema": 1, "round": asked_round(message) + 1})
    return with_record(message, reply, "meta", meta)


PREDICT_ABUSES = {
    "error": ("crashed", lambda m, r: failed(m)),
    "no reply": ("timeout", lambda m, r: None),
    "empty": ("wrong_field", lambda m, r: replaced(m, r, RecordDict())),
    "status": ("wrong_field", lambda m, r: replaced(m, r, pack_status({1: Reason.accepted}))),
    "failure": ("client_error", lambda m, r: replaced(m, r, pack_status({1: Reason(12)}))),
    "refusal": ("refused", lambda m, r: replaced(m, r, pack_status({1: Reason.refused}))),
    "crash of its own": ("wrong_field", lambda m, r: replaced(m, r, pack_status({1: Reason(11)}))),
    "refusal of others": (
        "client_error",
        lambda m, r: replaced(m, r, pack_status(dict.fromkeys([0, 2, 77], Reason.refused))),
    ),
    "answer and status": (
        "wrong_field",
        lambda m, r: with_record(m, r, "status", MetricRecord({"1": 13})),
    ),
    "no answer": ("client_error", lambda m, r: replaced(m, r, pack_answers([], asked_round(m)))),
    "extra record": ("wrong_field", lambda m, r: with_record(m, r, "model", ArrayRecord())),
    "text": ("wrong_field", lambda m, r: with_record(m, r, "log", ConfigRecord({"text": "x"}))),
    "extra metric": (
        "wrong_field",
        lambda m, r: with_record(m, r, "meta", MetricRecord({"schema": 1, "round": 1, "loss": 1})),
    ),
    "float metric": (
        "wrong_field",
        lambda m, r: with_record(m, r, "meta", MetricRecord({"schema": 1, "round": 1.0})),
    ),
    "other round": ("wrong_round", other_round),
    "array file": (
        "wrong_field",
        lambda m, r: with_record(
            m, r, "pred", ArrayRecord({"1": Array("float32", (1,), "numpy.ndarray", b"1234")})
        ),
    ),
    "odd name": ("wrong_field", lambda m, r: renamed(m, r, "01")),
    "another's name": ("client_error", lambda m, r: renamed(m, r, "0")),
    "nobody's name": ("client_error", lambda m, r: renamed(m, r, "77")),
    "trailing": ("too_large", lambda m, r: payload(m, r, lambda p: p + b"secret")),
    "cut": ("wrong_length", lambda m, r: payload(m, r, lambda p: p[:-1])),
    "sum": ("wrong_sum", lambda m, r: payload(m, r, lambda p: p[:-1] + bytes([p[-1] ^ 1]))),
    "id": ("wrong_client", lambda m, r: payload(m, r, lambda p: p[:12] + b"\2" + p[13:])),
}
NODE = 1001  # of three; client 1 lives there alone


def at(kind, abuse, node=NODE):
    def tamper(message, reply):
        here = message.metadata.message_type == kind and message.metadata.dst_node_id == node
        return abuse(message, reply) if here else reply

    return tamper


@pytest.mark.parametrize("abuse", PREDICT_ABUSES)
def test_a_node_that_answers_badly_is_left_out(run, inline, abuse):
    reason, tamper = PREDICT_ABUSES[abuse]
    folder, _ = run(3, tamper=at(PREDICT, tamper))
    assert hashes(folder) == hashes(inline(gone=(1,)))
    lost = reason in ("timeout", "client_error", "refused")
    assert tallies(folder) == {
        0: ("answered", "accepted"),
        1: ("lost" if lost else "quarantined", reason),
        2: ("answered", "accepted"),
        3: ("answered", "accepted"),
    }
    text = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert b"secret" not in text
    assert b"must not read" not in text


@pytest.mark.parametrize("abuse", PREDICT_ABUSES)
def test_a_node_may_go_bad_in_the_second_round(run, abuse):
    """What it said in the first round stands; in the second the others go on."""
    reason, tamper = PREDICT_ABUSES[abuse]

    def late(message, reply):
        return tamper(message, reply) if asked_round(message) == 2 else reply

    folder, _ = run(3, "num_rounds = 2", tamper=at(PREDICT, late))
    assert (folder / "releases" / "1" / "1.bin").exists()
    assert {p.name for p in (folder / "releases" / "2").iterdir()} == {"0.bin", "2.bin", "3.bin"}
    assert tallies(folder)[1][1] == reason
    assert outcome(folder)["messages"] == 7


PHASE_ABUSES = {
    "error": lambda m, r: failed(m),
    "no reply": lambda m, r: None,
    "empty": lambda m, r: replaced(m, r, RecordDict()),
    "hello": lambda m, r: replaced(m, r, pack_hello(1)),
    "unknown code": lambda m, r: replaced(m, r, RecordDict({"status": MetricRecord({"1": 99})})),
    "text": lambda m, r: with_record(m, r, "log", ConfigRecord({"text": "x"})),
    "failure": lambda m, r: replaced(m, r, pack_status({1: Reason.client_error})),
    "failure of others": lambda m, r: replaced(
        m, r, pack_status(dict.fromkeys([0, 2, 3, 77], Reason.client_error))
    ),
    "success of others": lambda m, r: replaced(
        m, r, pack_status(dict.fromkeys([0, 2, 3, 77], Reason.accepted))
    ),
}


@pytest.mark.parametrize("abuse", PHASE_ABUSES)
@pytest.mark.parametrize("kind", [ENCODE, TEACHER])
def test_a_node_that_does_not_do_its_task_is_left_out(run, inline, kind, abuse):
    folder, grid = run(3, tamper=at(kind, PHASE_ABUSES[abuse]))
    assert hashes(folder) == hashes(inline(gone=(1,)))
    fates = {"error": ("quarantined", "crashed"), "no reply": ("lost", "timeout")}
    assert tallies(folder)[1] == fates.get(abuse, ("lost", "client_error"))
    assert outcome(folder)["clients"]["answered"] == 3
    asked = [m.metadata.dst_node_id for m in grid.sent if m.metadata.message_type == PREDICT]
    assert asked == [1000, 1002]


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


def test_without_teachers_the_run_ends(run):
    def tamper(message, reply):
        return failed(message) if message.metadata.message_type == TEACHER else reply

    with pytest.raises(TooFewClients, match="only 0 of 4 clients answered"):
        run(2, tamper=tamper)


def test_too_few_answers_end_the_run(run):
    with pytest.raises(TooFewClients, match=r"only 3 of 4 .* \(reasons: crashed\)") as failure:
        run(3, "k_min = 4", tamper=at(PREDICT, lambda m, r: failed(m)))
    assert failure.value.exit_code == 3


def test_who_could_not_train_is_never_asked(run, inline):
    def break_shard(folder):
        (folder / "clients" / "2" / "shard.jsonl").write_text("{}\n")

    folder, grid = run(2, "num_rounds = 2", before=break_shard)
    assert hashes(folder) == hashes(inline("num_rounds = 2", gone=(2,)))
    assert tallies(folder)[2] == ("lost", "client_error")
    named = [unpack_question(m.content)[2] for m in grid.sent if m.metadata.message_type == PREDICT]
    assert named == [[0], [1, 3]] * 2


def test_a_node_does_not_speak_for_anothers_client(run, inline):
    """It even sends what would be a good answer; the owner's own one counts."""

    def steal(message, reply):
        mine = unpack_answers(reply.content, 1)
        forged = mine["1"][:12] + b"\0" + mine["1"][13:]
        return replaced(message, reply, pack_answers([Answer(0, forged), Answer(1, mine["1"])], 1))

    folder, _ = run(3, tamper=at(PREDICT, steal), backwards=True)
    assert hashes(folder) == hashes(inline())
    assert outcome(folder)["rejected"] == 1
    assert tallies(folder) == dict.fromkeys(range(4), ("answered", "accepted"))


@pytest.mark.parametrize("strays", [1, 2, 10_000])
def test_answers_for_others_do_not_make_the_log_grow_at_will(run, inline, strays):
    """One line each for as many as were asked; of more, one for the whole reply. Nobody is hurt."""

    def flood(message, reply):
        arrays = dict(reply.content["pred"].items())
        arrays |= {str(77 + n): Array("uint8", (1,), "fedknot.record", b"x") for n in range(strays)}
        return with_record(message, reply, "pred", ArrayRecord(arrays))

    folder, grid = run(3, tamper=at(PREDICT, flood))
    assert hashes(folder) == hashes(inline())
    assert tallies(folder) == dict.fromkeys(range(4), ("answered", "accepted"))
    lines = [e for e in verified(folder / "audit" / "server.jsonl") if e["direction"] == "up"]
    refused = [e for e in lines if e["verdict"] != "accepted"]
    assert {e["verdict"] for e in refused} == {"wrong_client"}
    (whole,) = [
        framed(reply.content) for reply in grid.received if "77" in reply.content.get("pred", {})
    ]
    expected = [(77, 1), (1, len(whole))]
    assert [(e["client"], e["bytes"]) for e in refused] == expected[: min(strays, 2)]
    assert outcome(folder)["rejected"] == min(strays, 2)


def test_a_reply_that_comes_twice_counts_once(inline, tmp_path):
    class Stutter(LocalGrid):
        def pull_messages(self, message_ids):
            replies = list(super().pull_messages(message_ids))
            return replies + replies

    folder = stocked(tiny_with(), tmp_path / "twice")
    serve(Stutter(2), folder, silent)
    assert hashes(folder) == hashes(inline())
    assert outcome(folder)["rejected"] == 4
    verdicts = [e["verdict"] for e in verified(folder / "audit" / "server.jsonl")[4:]]
    assert sorted(verdicts) == ["accepted"] * 4 + ["duplicate"] * 4


def test_phases_are_told_as_they_go(tmp_path):
    told = []
    folder = stocked(tiny_with(), tmp_path / "run")
    serve(LocalGrid(2), folder, lambda *step: told.append(step))
    for phase in ("encode", "teachers", "predict"):
        steps = [(done, total) for name, done, total in told if name == phase]
        assert steps[0] == (0, 4)
        assert steps[-1] == (4, 4)
    assert set(outcome(folder)["seconds"]) == {
        "encode",
        "teachers",
        "predict",
        "aggregate",
        "distil",
    }


def clients_of(message):
    return unpack_question(message.content)[2]


def breaks_with(client, kind):
    """Every message of a kind that names the client breaks the node."""

    def tamper(message, reply):
        guilty = message.metadata.message_type == kind and client in clients_of(message)
        return failed(message) if guilty else reply

    return tamper


@pytest.mark.parametrize("kind", [ENCODE, TEACHER, PREDICT])
@pytest.mark.parametrize("nodes", [1, 2, 4])
def test_r2_a_client_that_breaks_its_node_is_found_and_left_out(run, inline, nodes, kind):
    """Its neighbours on the node are asked again one by one; it is asked no more."""
    folder, grid = run(nodes, "num_rounds = 3", tamper=breaks_with(2, kind))
    assert hashes(folder) == hashes(inline("num_rounds = 3", gone=(2,)))
    assert tallies(folder) == {
        0: ("answered", "accepted"),
        1: ("answered", "accepted"),
        2: ("quarantined", "crashed"),
        3: ("answered", "accepted"),
    }
    asked = [m for m in grid.sent if m.metadata.message_type == kind and 2 in clients_of(m)]
    assert len(asked) == (1 if nodes == 4 else 2)


def test_a_node_that_cannot_be_reached_is_no_poison(run):
    """It is left out of the round, and asked again in the next."""

    def tamper(message, reply):
        unreached = message.metadata.message_type == PREDICT and asked_round(message) == 1
        if not unreached or message.metadata.dst_node_id != NODE:
            return reply
        return Message(Error(ErrorCode.NODE_UNAVAILABLE, "gone"), reply_to=message)

    folder, _ = run(3, "num_rounds = 2", tamper=tamper)
    assert not (folder / "releases" / "1" / "1.bin").exists()
    assert (folder / "releases" / "2" / "1.bin").exists()
    assert outcome(folder)["clients"] == {"asked": 4, "answered": 4, "lost": 1, "quarantined": 0}


def test_r8_a_straggler_is_not_waited_for_and_its_answer_is_discarded_and_logged(run):
    def hold(message):
        slow = message.metadata.message_type == PREDICT and asked_round(message) == 1
        return 0.5 if slow and message.metadata.dst_node_id == NODE else 0.0

    slowly = "server.schedule.steps = 3000"  # so that the second round finds what was late
    folder, _ = run(3, "num_rounds = 2", slowly, hold=hold)
    entries = verified(folder / "audit" / "server.jsonl")
    up = [(e["round"], e["client"], e["verdict"]) for e in entries if e["direction"] == "up"]
    assert (1, 1, "timeout") in up
    assert (1, 1, "accepted") not in up
    assert (2, 1, "accepted") in up
    assert outcome(folder)["messages"] == 7
    assert outcome(folder)["rejected"] == 1
    assert outcome(folder)["clients"] == {"asked": 4, "answered": 4, "lost": 1, "quarantined": 0}
    assert not (folder / "releases" / "1" / "1.bin").exists()


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


def test_r23_a_clock_that_is_set_does_not_end_a_phase(run, inline, monkeypatch):
    """Every look at the wall clock is an hour earlier, or later, than the one before."""
    now = iter(range(10**9))
    monkeypatch.setattr(time, "time", lambda: 1.7e9 + 3600.0 * next(now) * (-1) ** next(now))
    folder, _ = run(2, "num_rounds = 2")
    assert hashes(folder) == hashes(inline("num_rounds = 2"))


def late(kind):
    """Has the second node reply to a kind of message long after any phase would be over."""

    def hold(message):
        about = message.metadata
        return 1.0 if (about.message_type, about.dst_node_id) == (kind, 1001) else 0.0

    return hold


def test_a_slow_start_costs_no_phase_its_time(run, inline, monkeypatch):
    """The workers come up five times as late as a phase may take; the clocks start then."""
    monkeypatch.setattr("server.strategy._CONNECT_SECONDS", 600.0)
    folder, _ = run(2, hold=late(HELLO))
    assert hashes(folder) == hashes(inline())
    assert tallies(folder) == dict.fromkeys(range(4), ("answered", "accepted"))


def test_the_same_delay_within_a_phase_does_cost_it(run):
    """The positive control of the test before."""
    folder, _ = run(2, hold=late(ENCODE))
    kept, gone = ("answered", "accepted"), ("lost", "timeout")
    assert tallies(folder) == {0: kept, 1: gone, 2: kept, 3: gone}


def test_silence_must_be_longer_than_what_is_waited_for():
    with pytest.raises(ConfigError, match="silence = 5 would end a phase that may take 2"):
        tiny_with("server.timeouts = { encode = 9.0, teachers = 1.0, silence = 5.0 }")
