"""The messages of secure sums in Flower's records: these fields, and no others."""

import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, MetricRecord, RecordDict
from flwr.common.serde import recorddict_from_proto, recorddict_to_proto

from common.messages import Question
from common.reasons import Reason, Refused
from common.rosters import KEYS, MASKED, Roster
from common.wire import (
    for_one,
    pack_keys,
    pack_question,
    pack_roster,
    unpack_asked,
    unpack_keys,
    unpack_roster,
)

ROSTER = Roster(3, 2, bytes(range(32)), ((0, b"\1" * 32), (5, b"\2" * 32)))
KEYS_OF = {0: b"\1" * 32, 12: b"\2" * 32}


def sent(record):
    """As Flower serialises it and reads it again."""
    return recorddict_from_proto(recorddict_to_proto(record))


def refusal(unpack, *args):
    with pytest.raises(Refused) as caught:
        unpack(*args)
    return caught.value.reason


@pytest.mark.parametrize("roster", [ROSTER, ROSTER.invitation], ids=["list", "invitation"])
def test_a_roster_arrives_as_it_was_sent(roster):
    record = sent(pack_roster(roster, "site", [5, 7]))
    assert unpack_roster(record) == (roster, "site", [5, 7])
    assert unpack_asked(record) == (Question(3, MASKED, roster.binding), "site", [5, 7])
    assert unpack_roster(for_one(record, 7)) == (roster, "site", [7])


def test_keys_arrive_as_they_were_sent():
    named = unpack_keys(sent(pack_keys(KEYS_OF, 3, 2)), 3, 2)
    assert named == {"0": b"\1" * 32, "12": b"\2" * 32}


def test_exactly_these_fields_cross():
    asked = pack_roster(ROSTER, "site", [0])
    assert {n: list(r) for n, r in asked.items()} == {
        "question": ["schema", "round", "binding", "site", "clients"],
        "roster": ["record"],
    }
    keys = pack_keys({0: bytes(32)}, 3, 2)
    assert {n: list(r) for n, r in keys.items()} == {
        "keys": ["0"],
        "meta": ["schema", "round", "attempt"],
    }
    assert keys["meta"] == MetricRecord({"schema": KEYS, "round": 3, "attempt": 2})


def changed(record, **parts):
    return RecordDict({name: parts.get(name, old) for name, old in record.items()} | parts)


def array(data, size=None):
    return Array("uint8", (len(data) if size is None else size,), "fedknot.record", data)


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ({"extra": MetricRecord({"size": 1})}, Reason.wrong_field),
        ({"roster": MetricRecord({"record": 1})}, Reason.wrong_field),
        ({"roster": ArrayRecord({"other": array(ROSTER.payload)})}, Reason.wrong_field),
        ({"roster": ArrayRecord({"record": array(ROSTER.payload, 3)})}, Reason.wrong_length),
        ({"roster": ArrayRecord({"record": array(b"short")})}, Reason.wrong_length),
        ({"question": ConfigRecord({"schema": 3})}, Reason.wrong_field),
        (dict(pack_question(Question(4, 3, ROSTER.binding), "site", [0])), Reason.wrong_field),
        (dict(pack_question(Question(3, 1, ROSTER.binding), "site", [0])), Reason.wrong_field),
        (dict(pack_question(Question(3, 3, bytes(32)), "site", [0])), Reason.wrong_field),
    ],
)
def test_any_other_roster_is_refused(parts, reason):
    record = changed(pack_roster(ROSTER, "site", [0]), **parts)
    assert refusal(unpack_roster, record) is reason


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ({"extra": MetricRecord({"size": 1})}, Reason.wrong_field),
        ({"keys": MetricRecord({"0": 1})}, Reason.wrong_field),
        ({"keys": ArrayRecord({"0": array(bytes(32), 31)})}, Reason.wrong_length),
        ({"meta": MetricRecord({"schema": KEYS, "round": 3})}, Reason.wrong_field),
        ({"meta": MetricRecord({"schema": 3, "round": 3, "attempt": 2})}, Reason.wrong_field),
        ({"meta": MetricRecord({"schema": KEYS, "round": 2, "attempt": 2})}, Reason.wrong_round),
        ({"meta": MetricRecord({"schema": KEYS, "round": 3, "attempt": 1})}, Reason.wrong_round),
        ({"meta": MetricRecord({"schema": KEYS, "round": 3, "attempt": 2.0})}, Reason.wrong_field),
        (
            {"meta": MetricRecord({"schema": KEYS, "round": 3, "attempt": 2, "size": 9})},
            Reason.wrong_field,
        ),
    ],
)
def test_any_other_keys_are_refused(parts, reason):
    record = changed(pack_keys(KEYS_OF, 3, 2), **parts)
    assert refusal(unpack_keys, record, 3, 2) is reason


def test_a_status_is_no_keys():
    assert refusal(unpack_keys, RecordDict({"status": MetricRecord({"0": 13})}), 3, 2) is (
        Reason.wrong_field
    )
