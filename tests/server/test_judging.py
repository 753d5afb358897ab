import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Error, Message, MetricRecord, RecordDict
from flwr.common.constant import ErrorCode

from common.audit import verified
from common.messages import Answer
from common.reasons import Reason
from common.wire import (
    ENCODE,
    PREDICT,
    TEACHER,
    framed,
    pack_answers,
    pack_status,
    unpack_answers,
)
from server.app import serve
from simulations.events import silent
from tests.local_grid import LocalGrid, failed
from tests.tampering import NODE, asked_round, at, clients_of, replaced, with_record
from tests.worlds import hashes, outcome, stocked, tallies, tiny_with


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


def payload(message, reply, change):
    now = asked_round(message)
    (answer,) = unpack_answers(reply.content, now).values()
    return replaced(message, reply, pack_answers([Answer(1, change(answer))], now))


def other_round(message, reply):
    meta = MetricRecord({"schema": 1, "round": asked_round(message) + 1})
    return with_record(message, reply, "meta", meta)


def renamed(message, reply, name):
    (array,) = reply.content["pred"].values()
    return with_record(message, reply, "pred", ArrayRecord({name: array}))


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


def test_a_reply_that_comes_twice_counts_once(inline, tmp_path, hasty):
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
