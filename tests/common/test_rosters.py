import contextlib
import itertools
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.reasons import Reason, Refused
from common.rosters import Roster, choose, hidden

BINDING = bytes(range(32))


def key(n):
    return bytes([n]) * 32


ROSTER = Roster(2, 1, BINDING, ((0, key(7)), (3, key(9))))


def test_the_bytes_by_hand():
    assert ROSTER.payload == (
        b"FKR1\x03\0\0\0\2\0\0\0\1\0\0\0\2\0\0\0"
        + BINDING
        + b"\0\0\0\0"
        + key(7)
        + b"\3\0\0\0"
        + key(9)
    )
    assert Roster.read(ROSTER.payload) == ROSTER
    assert Roster.read(ROSTER.invitation.payload) == ROSTER.invitation
    assert ROSTER.clients == {0, 3}
    assert ROSTER.keys == {0: key(7), 3: key(9)}


def test_anything_else_has_another_context():
    others = [
        Roster(1, 1, BINDING, ROSTER.members),
        Roster(2, 2, BINDING, ROSTER.members),
        Roster(2, 1, bytes(32), ROSTER.members),
        Roster(2, 1, BINDING, ROSTER.members[:1]),
        Roster(2, 1, BINDING, ((0, key(7)), (2, key(9)))),
        Roster(2, 1, BINDING, ((0, key(9)), (3, key(7)))),
    ]
    assert len({other.context for other in [ROSTER, *others]}) == 1 + len(others)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", Reason.wrong_length),
        (ROSTER.payload[:-1], Reason.wrong_length),
        (ROSTER.payload + b"0", Reason.wrong_length),
        (b"FKN1" + ROSTER.payload[4:], Reason.wrong_field),
        (b"FKR1\1" + ROSTER.payload[5:], Reason.wrong_field),
        (ROSTER.payload[:-36], Reason.not_canonical),
        (ROSTER.payload[:6] + b"\1" + ROSTER.payload[7:], Reason.not_canonical),
        (Roster(2, 1, BINDING, ROSTER.members[::-1]).payload, Reason.not_canonical),
        (Roster(2, 1, BINDING, ((0, key(7)), (0, key(9)))).payload, Reason.not_canonical),
        (Roster(2, 1, BINDING, ((0, key(7)), (3, key(7)))).payload, Reason.not_canonical),
    ],
)
def test_what_is_not_canonical_is_refused(data, reason):
    with pytest.raises(Refused) as refusal:
        Roster.read(data)
    assert refusal.value.reason is reason


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data):
    made = None
    with contextlib.suppress(Refused):
        made = Roster.read(data)
    assert made is None or made.payload == data


def test_two_sums_must_not_differ_by_one_victim():
    everybody = range(6)
    assert hidden([everybody], 2)
    assert hidden([everybody, everybody], 2)
    assert not hidden([everybody, [0, 1, 2, 3, 4]], 2)
    assert hidden([everybody, [0, 1, 2, 3]], 2)
    assert not hidden([everybody, [0, 1, 2, 3]], 3)
    assert not hidden([everybody, [0]], 2)
    assert hidden([], 2)


def test_pairs_that_look_safe_one_by_one_are_found_together():
    """({1,2} + {1,3} - {2,3}) / 2 is client 1, though any two of them differ by two."""
    assert not hidden([[1, 2], [1, 3], [2, 3]], 2)


lists = st.lists(st.frozensets(st.integers(0, 5), min_size=1), min_size=1, max_size=4)


@given(lists, st.integers(1, 3))
def test_no_combination_of_hidden_sums_is_about_few(listed, crowd):
    """All combinations with small factors, by brute force."""
    if not hidden(listed, crowd):
        return
    rows = np.array([[c in clients for c in range(6)] for clients in listed], dtype=int)
    for factors in itertools.product((-2, -1, 0, 1, 2), repeat=len(rows)):
        about = np.count_nonzero(np.array(factors) @ rows)
        assert about == 0 or about >= crowd


@given(st.frozensets(st.integers(0, 9)), lists, st.integers(1, 3))
def test_what_is_chosen_may_be_added(willing, earlier, crowd):
    if not hidden(earlier, crowd):
        return
    chosen = choose(willing, earlier, crowd)
    assert chosen <= willing
    assert hidden([*earlier, chosen], crowd)
    if hidden([*earlier, willing], crowd):
        assert chosen == willing


def test_one_drop_out_takes_another_with_it():
    assert choose(range(5), [], 2) == set(range(5))
    assert choose([0, 1, 3, 4], [range(5)], 2) == {0, 1, 3}
    assert choose([0, 1, 4], [range(5)], 2) == {0, 1, 4}
    assert choose([0, 1, 3, 4], [range(5)], 3) == set()


def test_struct_sizes():
    assert len(ROSTER.payload) == 52 + 2 * struct.calcsize("<I32s")
