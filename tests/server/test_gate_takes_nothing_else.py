"""Whatever comes, in whatever order: the gate holds the canonical messages and no others."""

import struct

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from common.quantise import BITS, to_codes, to_probs
from common.reasons import Reason, Refused
from common.records import HEADER, Flags, Layout, Record, decode, encode
from server.admission import Admission
from simulations.benches.canonical import blocks, fault

layouts = st.builds(
    Layout,
    rows=st.integers(1, 4),
    classes=st.integers(2, 5),
    bits=st.sampled_from(BITS),
    flags=st.sampled_from([Flags(value) for value in range(8)]),
    binding=st.binary(min_size=32, max_size=32),
)


def good(layout, server_round, client, seed):
    rng = np.random.default_rng(seed)
    rows = to_codes(rng.random((layout.rows + 1, layout.classes)), layout.bits)
    return encode(
        Record(
            server_round,
            client,
            rows[:-1],
            rows[-1] if layout.flags & Flags.bias else None,
            rng.integers(2**layout.bits, size=layout.rows) if layout.flags & Flags.scalar else None,
            seed if layout.flags & Flags.num_examples else None,
        ),
        layout,
    )


def verdict(data, layout, server_round, client):
    try:
        record = decode(data, layout, server_round, client)
    except Refused as refusal:
        return refusal.reason
    assert encode(record, layout) == data
    return Reason.accepted


@given(layouts, st.binary(max_size=200))
def test_any_bytes_are_judged(layout, data):
    assert verdict(data, layout, 1, 0) is not Reason.accepted or not fault(data, layout, 1, 0)


@settings(max_examples=300)
@given(layouts, st.data())
def test_any_body_under_a_good_header_is_taken_if_and_only_if_it_is_canonical(layout, data):
    """Bodies of few different bytes, so that some are canonical by chance."""
    size = layout.length - HEADER.size
    some = st.sampled_from([0, 1, 15, 85, 255]) | st.integers(0, 255)
    body = bytes(data.draw(st.lists(some, min_size=size, max_size=size)))
    message = good(layout, 1, 0, 0)[: HEADER.size] + body
    wrong = fault(message, layout, 1, 0)
    expected = {None: Reason.accepted, "padding": Reason.not_canonical, "sum": Reason.wrong_sum}
    made = verdict(message, layout, 1, 0)
    assert made is expected[wrong] or {made, wrong} == {Reason.not_canonical, "sum"}


@given(layouts, st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.data())
def test_any_other_header_is_refused(layout, server_round, client, data):
    message = good(layout, server_round, client, 1)
    place = data.draw(st.integers(0, HEADER.size - 1))
    bit = 1 << data.draw(st.integers(0, 7))
    bad = message[:place] + bytes([message[place] ^ bit]) + message[place + 1 :]
    assert verdict(message, layout, server_round, client) is Reason.accepted
    assert verdict(bad, layout, server_round, client) is not Reason.accepted


@given(layouts, st.integers(0, 50), st.data())
def test_every_padding_bit_counts(layout, seed, data):
    spare = [
        (start + count * layout.bits // 8, place)
        for start, count, _ in blocks(layout)
        for place in range(count * layout.bits % 8 or 8, 8)
    ]
    assume(spare)
    message = bytearray(good(layout, 1, 0, seed))
    at, place = data.draw(st.sampled_from(spare))
    message[at] ^= 1 << place
    assert verdict(bytes(message), layout, 1, 0) is Reason.not_canonical


@given(layouts, st.integers(0, 2**32 - 1), st.integers(0, 2**16 - 1), st.integers(0, 255))
def test_no_forged_shape_is_believed(layout, rows, classes, bits):
    message = good(layout, 1, 0, 2)
    forged = message[:6] + bytes([bits]) + message[7:16] + struct.pack("<IH", rows, classes)
    forged += message[22:]
    same = (rows, classes, bits) == (layout.rows, layout.classes, layout.bits)
    assert (verdict(forged, layout, 1, 0) is Reason.accepted) == same


deeds = st.lists(
    st.tuples(
        st.integers(0, 3),  # who sends
        st.integers(0, 3),  # whose message
        st.integers(0, 2),  # of which round
        st.integers(0, 2),  # which of several
        st.sampled_from([b"", b"\0", b"secret"]),
    ),
    max_size=20,
)


@given(layouts, deeds)
def test_a_round_holds_the_first_good_message_of_each_client(layout, deeds):
    """A model of the gate that knows nothing of bytes."""
    gate, held = Admission(layout, 1, {0, 1, 2}), {}
    for sender, owner, server_round, which, tail in deeds:
        data = good(layout, server_round, owner, which) + tail
        made = gate.admit(sender, data)
        fits = (owner, server_round, tail) == (sender, 1, b"") and sender < 3
        assert (made is Reason.accepted) == (fits and sender not in held)
        if fits:
            held.setdefault(sender, data)
    assert gate.admitted.keys() == held.keys()
    for client, data in held.items():
        codes = decode(data, layout, 1, client).codes
        assert np.array_equal(
            gate.admitted[client].predictions().probs, to_probs(codes, layout.bits)
        )
