import struct
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.quantise import BITS, to_codes
from common.reasons import Reason, Refused
from common.records import HEADER, PREDICTIONS, Flags, Layout, Record, decode, encode

BINDING = bytes(range(32))
HEADER_8 = "464b4e31 0100 08 05 01000000 02010000 02000000 0300 0000" + BINDING.hex()
HEADER_4 = "464b4e31 0100 04 05 01000000 02010000 02000000 0300 0000" + BINDING.hex()


def ints(*rows):
    return np.array(rows, dtype=np.uint16)


def tiny(bits):
    """Two rows, three classes, round 1, client 258, bias and 1000 examples."""
    layout = Layout(2, 3, bits, Flags.bias | Flags.num_examples, BINDING)
    top = 2**bits - 1
    codes, bias = ints([top, 0, 0], [top // 3] * 3), ints(1, 2, top - 3)
    return Record(1, 258, codes, bias, num_examples=1000), layout


@pytest.mark.parametrize(
    ("bits", "expected"),
    [
        (8, HEADER_8 + "ff0000 555555" + "0102fc" + "e8030000"),
        (4, HEADER_4 + "0f5055" + "210c" + "e8030000"),
    ],
)
def test_the_bytes_by_hand(bits, expected):
    record, layout = tiny(bits)
    assert encode(record, layout).hex() == expected.replace(" ", "")
    assert layout.length == len(bytes.fromhex(expected))


def test_a_scalar_follows_the_bias_and_has_a_block_of_its_own():
    layout = Layout(3, 2, 2, Flags.bias | Flags.scalar, BINDING)
    record = Record(1, 0, ints([3, 0], [1, 2], [0, 3]), ints(2, 1), scalar=ints(1, 2, 3))
    body = encode(record, layout)[HEADER.size :]
    assert body == bytes([0b10_01_00_11, 0b00_00_11_00, 0b00_00_01_10, 0b00_11_10_01])


binary32 = st.binary(min_size=32, max_size=32)


@st.composite
def records(draw):
    """Any layout and any record of it."""
    rows, classes = draw(st.integers(1, 5)), draw(st.integers(2, 6))
    flags = Flags(draw(st.integers(0, 7)))
    layout = Layout(rows, classes, draw(st.sampled_from(BITS)), flags, draw(binary32))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    bias = to_codes(rng.random(classes), layout.bits) if flags & Flags.bias else None
    scalar = rng.integers(2**layout.bits, size=rows) if flags & Flags.scalar else None
    size = draw(st.integers(0, 2**32 - 1)) if flags & Flags.num_examples else None
    codes = to_codes(rng.random((rows, classes)), layout.bits)
    said = draw(st.integers(1, 2**32 - 1)), draw(st.integers(0, 2**32 - 1))
    return Record(*said, codes, bias, scalar, size), layout


@given(made=records())
def test_decoding_undoes_encoding(made):
    record, layout = made
    data = encode(record, layout)
    assert len(data) == layout.length
    back = decode(data, layout, record.round, record.client)
    assert (back.round, back.client, back.num_examples) == (
        record.round,
        record.client,
        record.num_examples,
    )
    for name in ("codes", "bias", "scalar"):
        was, now = getattr(record, name), getattr(back, name)
        assert (now is None) == (was is None)
        assert was is None or np.array_equal(was, now)
    assert encode(back, layout) == data


@settings(max_examples=300)
@given(made=records(), data=st.data())
def test_one_changed_byte_is_refused_or_another_canonical_record(made, data):
    record, layout = made
    good = encode(record, layout)
    place = data.draw(st.integers(0, len(good) - 1))
    value = data.draw(st.integers(0, 255).filter(lambda v: v != good[place]))
    bad = good[:place] + bytes([value]) + good[place + 1 :]
    free = layout.length - len(encode(*_bare(record, layout)))  # scalar and number of examples
    try:
        back = decode(bad, layout, record.round, record.client)
    except Refused:
        return
    assert encode(back, layout) == bad
    assert place >= HEADER.size
    assert np.all(back.codes.sum(axis=1) == 2**layout.bits - 1)
    # A whole byte holds one code or a part of one: its row's sum would change.
    assert layout.bits < 8 or place >= layout.length - free


def _bare(record, layout):
    """The same without what may be any number."""
    flags = layout.flags & Flags.bias
    return replace(record, scalar=None, num_examples=None), replace(layout, flags=flags)


def changed(data, place, new):
    return data[:place] + new + data[place + len(new) :]


@pytest.mark.parametrize(
    ("reason", "damage"),
    [
        (Reason.too_large, lambda d: d + b"\0"),
        (Reason.too_large, lambda d: d + d),
        (Reason.wrong_length, lambda d: d[:-1]),
        (Reason.wrong_length, lambda d: d[: HEADER.size - 1]),
        (Reason.wrong_length, lambda d: b""),
        (Reason.wrong_field, lambda d: changed(d, 0, b"FKN2")),
        (Reason.wrong_field, lambda d: changed(d, 4, struct.pack("<H", 2))),
        (Reason.wrong_field, lambda d: changed(d, 4, struct.pack(">H", 1))),
        (Reason.not_canonical, lambda d: changed(d, 6, b"\x08")),
        (Reason.not_canonical, lambda d: changed(d, 7, b"\x01")),
        (Reason.not_canonical, lambda d: changed(d, 7, b"\x0d")),
        (Reason.wrong_round, lambda d: changed(d, 8, struct.pack("<I", 2))),
        (Reason.wrong_round, lambda d: changed(d, 8, struct.pack("<I", 0))),
        (Reason.wrong_client, lambda d: changed(d, 12, struct.pack("<I", 257))),
        (Reason.not_canonical, lambda d: changed(d, 16, struct.pack("<I", 3))),
        (Reason.not_canonical, lambda d: changed(d, 16, struct.pack("<I", 2**32 - 1))),
        (Reason.not_canonical, lambda d: changed(d, 20, struct.pack("<H", 2))),
        (Reason.not_canonical, lambda d: changed(d, 22, b"\0\x01")),
        (Reason.wrong_binding, lambda d: changed(d, 24, b"\x01")),
        (Reason.wrong_binding, lambda d: changed(d, 55, b"\x00")),
        (Reason.wrong_sum, lambda d: changed(d, 56, b"\x0e")),
        (Reason.wrong_sum, lambda d: changed(d, 59, b"\x31")),
        (Reason.not_canonical, lambda d: changed(d, 60, b"\x1c")),
    ],
)
def test_every_damage_has_its_reason(reason, damage):
    record, layout = tiny(4)
    with pytest.raises(Refused) as refusal:
        decode(damage(encode(record, layout)), layout, 1, 258)
    assert refusal.value.reason is reason
    assert refusal.value.args == (reason.name,)


@pytest.mark.parametrize(
    ("reason", "layout", "server_round", "client"),
    [
        (Reason.wrong_round, {}, 2, 258),
        (Reason.wrong_client, {}, 1, 0),
        (Reason.wrong_binding, {"binding": bytes(32)}, 1, 258),
        (Reason.wrong_field, {"schema": 2}, 1, 258),
        (Reason.too_large, {"flags": Flags.bias}, 1, 258),
        (Reason.wrong_length, {"rows": 3}, 1, 258),
        (Reason.wrong_length, {"bits": 16}, 1, 258),
    ],
)
def test_what_was_not_asked_for_is_refused(reason, layout, server_round, client):
    record, agreed = tiny(8)
    with pytest.raises(Refused) as refusal:
        decode(encode(record, agreed), replace(agreed, **layout), server_round, client)
    assert refusal.value.reason is reason


def test_swapped_dimensions_of_the_same_length_are_refused():
    layout = Layout(2, 3, 8, Flags.none, BINDING)
    data = encode(Record(1, 0, ints([255, 0, 0], [0, 0, 255])), layout)
    with pytest.raises(Refused) as refusal:
        decode(data, replace(layout, rows=3, classes=2), 1, 0)
    assert refusal.value.reason is Reason.not_canonical


def test_forged_sizes_allocate_nothing():
    record, layout = tiny(8)
    good = encode(record, layout)
    forged = changed(good, 16, struct.pack("<IH", 2**32 - 1, 2**16 - 1))
    huge = good + bytes(20_000_000)
    tracemalloc.start()
    try:
        for message, reason in ((forged, Reason.not_canonical), (huge, Reason.too_large)):
            with pytest.raises(Refused) as refusal:
                decode(message, layout, 1, 258)
            assert refusal.value.reason is reason
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "part",
    [
        {"codes": ints([255, 0, 0])},
        {"codes": ints([255, 0], [255, 0])},
        {"bias": None},
        {"bias": ints(255, 0)},
        {"scalar": ints(1, 2)},
        {"num_examples": None},
    ],
)
def test_a_record_must_have_the_declared_parts(part):
    record, layout = tiny(8)
    with pytest.raises(ValueError, match=r"shape|declared"):
        encode(replace(record, **part), layout)


def test_a_layout_checks_itself():
    for bad in ({"bits": 3}, {"bits": 0}, {"binding": b"short"}):
        with pytest.raises(ValueError, match=r"bits|binding"):
            replace(tiny(8)[1], **bad)
    assert tiny(8)[1].schema == PREDICTIONS == 1


def test_the_length_is_what_the_layout_promises():
    """2000 texts, 5 classes, 8 bits: 56 + 10,000 + 5 bytes."""
    assert Layout(2000, 5, 8, Flags.bias, BINDING).length == 56 + 2000 * 5 + 5
    assert Layout(2000, 5, 1, Flags.none, BINDING).length == 56 + 1250
    assert Layout(3, 3, 4, Flags.num_examples, BINDING).length == 56 + 5 + 4
