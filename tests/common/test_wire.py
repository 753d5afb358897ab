import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, MetricRecord, RecordDict
from flwr.common.serde import recorddict_from_proto, recorddict_to_proto

from common.messages import Answer, Consensus, Question
from common.reasons import SAID_BY_CLIENTS, Reason, Refused
from common.records import SUBCLASSES
from common.wire import (
    client_id,
    for_one,
    framed,
    pack_answers,
    pack_consensus,
    pack_hello,
    pack_question,
    pack_status,
    unpack_answers,
    unpack_asked,
    unpack_consensus,
    unpack_hello,
    unpack_question,
    unpack_refusal,
    unpack_status,
)

QUESTION = Question(3, 1, bytes(range(32)))
ANSWERS = [Answer(0, b"zero"), Answer(12, b"\x00\xff")]


def sent(record):
    """As Flower serialises it and reads it again."""
    return recorddict_from_proto(recorddict_to_proto(record))


def refusal(unpack, *args):
    with pytest.raises(Refused) as caught:
        unpack(*args)
    return caught.value.reason


@pytest.mark.parametrize("clients", [[0], [4, 0, 31], []])
def test_a_question_comes_back(clients):
    assert unpack_question(sent(pack_question(QUESTION, "abc", clients))) == (
        QUESTION,
        "abc",
        clients,
    )


def test_the_bytes_of_a_question_by_hand():
    assert (
        QUESTION.payload.hex() == "464b5131" + "0100" + "0000" + "03000000" + bytes(range(32)).hex()
    )


def test_answers_come_back():
    reply = sent(pack_answers(ANSWERS, 3))
    assert unpack_answers(reply, 3) == {"0": b"zero", "12": b"\x00\xff"}
    assert unpack_answers(sent(pack_answers([], 3)), 3) == {}


def test_a_reply_holds_one_array_record_two_integers_and_nothing_else():
    reply = pack_answers(ANSWERS, 3)
    assert set(reply) == {"pred", "meta"}
    assert dict(reply["meta"]) == {"schema": 1, "round": 3}
    assert [(a.dtype, a.shape) for a in reply["pred"].values()] == [
        ("uint8", (4,)),
        ("uint8", (2,)),
    ]


def test_a_reply_costs_what_flower_serialises():
    reply = pack_answers(ANSWERS, 3)
    assert sorted(framed(reply)) == sorted(recorddict_to_proto(reply).SerializeToString())
    assert len(framed(reply)) > 6


def test_status_and_hello_come_back():
    status = {0: Reason.accepted, 7: Reason.client_error}
    assert unpack_status(sent(pack_status(status))) == status
    assert unpack_hello(sent(pack_hello(5))) == 5


def reply_with(**changes):
    """A good reply of one client, with records replaced, added or, by None, left out."""
    records = dict(pack_answers([Answer(0, b"zero")], 3).items()) | changes
    return RecordDict({name: record for name, record in records.items() if record is not None})


def array(*fields):
    return ArrayRecord({"0": Array(*fields)})


RAW = pack_answers([Answer(0, b"zero")], 3)["pred"]["0"].stype


@pytest.mark.parametrize(
    ("reason", "changes"),
    [
        (Reason.wrong_field, {"pred": None}),
        (Reason.wrong_field, {"meta": None}),
        (Reason.wrong_field, {"extra": ArrayRecord()}),
        (Reason.wrong_field, {"extra": MetricRecord({"accuracy": 0.5})}),
        (Reason.wrong_field, {"extra": ConfigRecord({"text": "a private text"})}),
        (Reason.wrong_field, {"pred": MetricRecord({"0": 1})}),
        (Reason.wrong_field, {"pred": ConfigRecord({"0": b"zero"})}),
        (Reason.wrong_field, {"meta": ConfigRecord({"schema": 1, "round": 3})}),
        (Reason.wrong_field, {"meta": MetricRecord({"schema": 1, "round": 3, "rows": 9})}),
        (Reason.wrong_field, {"meta": MetricRecord({"schema": 1})}),
        (Reason.wrong_field, {"meta": MetricRecord({"schema": 1.0, "round": 3})}),
        (Reason.wrong_field, {"meta": MetricRecord({"schema": 1, "round": [3]})}),
        (Reason.wrong_field, {"meta": MetricRecord({"schema": 2, "round": 3})}),
        (Reason.wrong_field, {"meta": ConfigRecord({"schema": "1", "round": 3})}),
        (Reason.wrong_round, {"meta": MetricRecord({"schema": 1, "round": 2})}),
        (Reason.wrong_field, {"pred": array("int8", (4,), RAW, b"zero")}),
        (Reason.wrong_field, {"pred": array("float32", (1,), RAW, b"zero")}),
        (Reason.wrong_field, {"pred": array("object", (4,), RAW, b"zero")}),
        (Reason.wrong_field, {"pred": array("uint8", (4,), "numpy.ndarray", b"zero")}),
        (Reason.wrong_field, {"pred": array("uint8", (4,), "", b"zero")}),
        (Reason.wrong_length, {"pred": array("uint8", (5,), RAW, b"zero")}),
        (Reason.wrong_length, {"pred": array("uint8", (2, 2), RAW, b"zero")}),
        (Reason.wrong_length, {"pred": array("uint8", (), RAW, b"z")}),
        (Reason.wrong_length, {"pred": array("uint8", (2**31 - 1,), RAW, b"")}),
        (
            Reason.wrong_field,
            {"pred": ArrayRecord({"0": Array(np.frombuffer(b"zero", dtype=np.uint8))})},
        ),
    ],
)
def test_any_other_reply_is_refused(reason, changes):
    assert unpack_answers(sent(reply_with()), 3) == {"0": b"zero"}
    assert refusal(unpack_answers, sent(reply_with(**changes)), 3) is reason


def test_a_metric_that_is_text_cannot_even_be_made():
    with pytest.raises(TypeError):
        MetricRecord({"schema": "1", "round": 3})


def test_one_bad_array_refuses_the_reply_whole():
    arrays = {"0": Array("uint8", (4,), RAW, b"zero"), "1": Array("uint8", (1,), RAW, b"zero")}
    assert refusal(unpack_answers, reply_with(pred=ArrayRecord(arrays)), 3) is Reason.wrong_length


@pytest.mark.parametrize("name", ["0", "1", "10", "999999999"])
def test_ids_are_plain_decimals(name):
    assert client_id(name) == int(name)


@pytest.mark.parametrize(
    "name",
    [
        *("", "01", "00", "-1", "-0", "+1", " 1", "1 ", "1\n", "1\0", "1_0", "1.0", "0x1", "a"),
        *("\uff11", "\u0661", "\u00b2", "9" * 10, "9" * 5000),  # digits of other scripts; large
    ],
)
def test_other_names_are_refused(name):
    assert refusal(client_id, name) is Reason.wrong_field


@pytest.mark.parametrize(
    "record",
    [
        RecordDict(),
        RecordDict({"status": MetricRecord({"0": 0}), "more": MetricRecord()}),
        RecordDict({"status": ConfigRecord({"0": 0})}),
        RecordDict({"status": MetricRecord({"0": 0.0})}),
        RecordDict({"status": MetricRecord({"0": [0]})}),
        RecordDict({"status": MetricRecord({"0": 99})}),
        RecordDict({"status": MetricRecord({"0": -1})}),
        RecordDict({"status": MetricRecord({"00": 0})}),
        RecordDict({"status": MetricRecord({"accuracy": 0})}),
        RecordDict({"hello": MetricRecord({"partition": 0})}),
    ],
)
def test_any_other_status_is_refused(record):
    assert refusal(unpack_status, sent(record)) is Reason.wrong_field


@pytest.mark.parametrize("code", sorted(SAID_BY_CLIENTS))
def test_a_status_in_place_of_an_answer_holds_one_integer_a_client(code):
    reply = sent(pack_status({7: code}))
    assert {name: dict(record) for name, record in reply.items()} == {"status": {"7": code.value}}
    assert unpack_refusal(reply) == {7: code}


def test_what_is_no_status_is_left_to_others():
    for reply in (pack_answers(ANSWERS, 3), pack_hello(1), RecordDict()):
        assert unpack_refusal(reply) == {}


@pytest.mark.parametrize(
    "record",
    [
        RecordDict({"status": MetricRecord()}),
        RecordDict({"status": MetricRecord({"0": 13}), "pred": ArrayRecord()}),
        RecordDict({"status": MetricRecord({"0": 13}), "meta": MetricRecord({"round": 1})}),
        RecordDict({"status": MetricRecord({"0": 13.0})}),
        RecordDict({"status": MetricRecord({"0": [13, 13]})}),
        RecordDict({"status": ConfigRecord({"0": "a private text"})}),
        *(
            RecordDict({"status": MetricRecord({"0": 13, "1": int(code)})})
            for code in Reason
            if code not in SAID_BY_CLIENTS
        ),
        RecordDict({"status": MetricRecord({"0": 14})}),
    ],
)
def test_a_status_says_what_a_client_can_say_or_nothing(record):
    assert refusal(unpack_refusal, sent(record)) is Reason.wrong_field


@pytest.mark.parametrize(
    "record",
    [
        RecordDict(),
        RecordDict({"hello": MetricRecord({"partition": 0, "rows": 5})}),
        RecordDict({"hello": MetricRecord({"rows": 0})}),
        RecordDict({"hello": MetricRecord({"partition": 0.0})}),
        RecordDict({"hello": ConfigRecord({"partition": "0"})}),
        RecordDict({"hello": MetricRecord({"partition": 0}), "more": ArrayRecord()}),
    ],
)
def test_any_other_hello_is_refused(record):
    assert refusal(unpack_hello, sent(record)) is Reason.wrong_field


GOOD = {"schema": 1, "round": 3, "binding": bytes(32), "site": "abc", "clients": [0]}


@pytest.mark.parametrize(
    "changes",
    [
        {"schema": 1.0},
        {"schema": "1"},
        {"schema": True},
        {"round": "3"},
        {"round": [3]},
        {"binding": "text"},
        {"site": b"abc"},
        {"site": 1},
        {"clients": 0},
        {"clients": ["0"]},
        {"clients": [0.0]},
        {"clients": [True]},
        {"texts": ["one", "two"]},
    ],
)
def test_any_other_question_is_refused(changes):
    assert unpack_question(RecordDict({"question": ConfigRecord(dict(GOOD))}))[2] == [0]
    record = RecordDict({"question": ConfigRecord(GOOD | changes)})
    assert refusal(unpack_question, sent(record)) is Reason.wrong_field


def test_a_question_lacks_nothing_and_brings_nothing_along():
    for name in GOOD:
        less = {key: value for key, value in GOOD.items() if key != name}
        record = RecordDict({"question": ConfigRecord(less)})
        assert refusal(unpack_question, record) is Reason.wrong_field
    model = RecordDict({"question": ConfigRecord(dict(GOOD)), "arrays": ArrayRecord()})
    assert refusal(unpack_question, model) is Reason.wrong_field


CONSENSUS = Consensus(Question(3, 4, bytes(range(32))), b"what all say")


def consensus_with(**changes):
    """What goes down, with records replaced, added or, by None, left out."""
    records = dict(pack_consensus(CONSENSUS, "abc", [4, 0]).items()) | changes
    return RecordDict({name: record for name, record in records.items() if record is not None})


def test_a_consensus_comes_back_and_can_be_for_one_client():
    made = sent(consensus_with())
    assert unpack_consensus(made) == (CONSENSUS, "abc", [4, 0])
    assert unpack_asked(made) == (CONSENSUS.question, "abc", [4, 0])
    assert unpack_consensus(sent(for_one(made, 4))) == (CONSENSUS, "abc", [4])
    question = pack_question(QUESTION, "abc", [4, 0])
    assert unpack_asked(question) == unpack_question(question)
    assert unpack_question(for_one(question, 0)) == (QUESTION, "abc", [0])


def raw(data, dtype="uint8", stype="fedknot.record", shape=None):
    return Array(dtype, (len(data),) if shape is None else shape, stype, data)


@pytest.mark.parametrize(
    ("reason", "changes"),
    [
        (Reason.wrong_field, {"question": None}),
        (Reason.wrong_field, {"consensus": None}),
        (Reason.wrong_field, {"more": MetricRecord({"x": 1})}),
        (Reason.wrong_field, {"question": MetricRecord({"round": 1})}),
        (Reason.wrong_field, {"question": ConfigRecord({"round": 1})}),
        (Reason.wrong_field, {"consensus": ConfigRecord({"record": b"x"})}),
        (Reason.wrong_field, {"consensus": ArrayRecord({})}),
        (Reason.wrong_field, {"consensus": ArrayRecord({"text": raw(b"x")})}),
        (Reason.wrong_field, {"consensus": ArrayRecord({"record": raw(b"x"), "b": raw(b"x")})}),
        (Reason.wrong_field, {"consensus": ArrayRecord({"record": raw(b"x", "int8")})}),
        (Reason.wrong_field, {"consensus": ArrayRecord({"record": raw(b"x", stype="numpy")})}),
        (Reason.wrong_length, {"consensus": ArrayRecord({"record": raw(b"xy", shape=(1,))})}),
    ],
)
def test_a_consensus_of_any_other_form_is_refused(reason, changes):
    assert refusal(unpack_consensus, sent(consensus_with(**changes))) is reason


def test_neither_is_taken_for_the_other():
    assert refusal(unpack_question, consensus_with()) is Reason.wrong_field
    question = pack_question(QUESTION, "abc", [0])
    assert refusal(unpack_consensus, question) is Reason.wrong_field


def test_an_answer_of_another_schema_than_was_asked_for_is_refused():
    plain, split = pack_answers(ANSWERS, 3), pack_answers(ANSWERS, 3, SUBCLASSES)
    assert unpack_answers(sent(split), 3, SUBCLASSES) == unpack_answers(sent(plain), 3)
    assert refusal(unpack_answers, sent(split), 3) is Reason.wrong_field
    assert refusal(unpack_answers, sent(plain), 3, SUBCLASSES) is Reason.wrong_field
