from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.quantise import BITS, pack, packed_length, to_codes, to_probs, unpack

bits_ = st.sampled_from(BITS)
weights = st.lists(st.integers(0, 10**6), min_size=2, max_size=12).filter(any)

float_rows = st.lists(st.floats(0, 1, width=32), min_size=2, max_size=40).filter(any)


def by_hand(row, bits):
    """Largest remainders in exact arithmetic, ties to the lower class; and the nearest tie."""
    levels, total = 2**bits - 1, sum(map(Fraction, row))
    shares = [Fraction(x) * levels / total for x in row]
    codes = [share.numerator // share.denominator for share in shares]
    rest = [share - code for share, code in zip(shares, codes, strict=True)]
    for c in sorted(range(len(row)), key=lambda c: (-rest[c], c))[: levels - sum(codes)]:
        codes[c] += 1
    apart = [abs(rest[a] - rest[b]) for a in range(len(row)) for b in range(a) if row[a] != row[b]]
    return codes, min((min(gap, 1 - gap) for gap in apart), default=1)


@given(row=weights, bits=bits_)
def test_largest_remainders_in_exact_arithmetic(row, bits):
    expected, gap = by_hand(row, bits)
    made = to_codes(np.array(row, dtype=np.float64), bits).tolist()
    if gap > 1e-9:  # float64 can tell unequal entries apart; equal ones tie exactly
        assert made == expected
    assert sum(made) == 2**bits - 1
    assert all(abs(a - b) <= 1 for a, b in zip(made, expected, strict=True))


@given(row=float_rows, bits=bits_)
def test_sums_are_exact_whatever_the_floats(row, bits):
    made = to_codes(np.array([row, row[::-1]], dtype=np.float32), bits)
    assert made.dtype == np.uint16
    assert made.sum(axis=1, dtype=np.int64).tolist() == [2**bits - 1] * 2


def test_equal_remainders_of_unequal_entries_tie_as_well():
    rng, ties = np.random.default_rng(0), 0
    for _ in range(600):
        row = rng.multinomial(rng.choice([510, 765, 1275]), np.ones(3) / 3)
        expected, gap = by_hand(row.tolist(), 8)
        ties += gap == 0
        assert to_codes(row.astype(np.float64), 8).tolist() == expected, row
    assert ties > 100


@given(value=st.floats(1e-6, 1e6), size=st.integers(2, 300), bits=bits_)
def test_ties_go_to_the_lower_class(value, size, bits):
    made = to_codes(np.full(size, value), bits)
    each, over = divmod(2**bits - 1, size)
    assert made.tolist() == [each + 1] * over + [each] * (size - over)


@pytest.mark.parametrize(
    ("row", "bits", "codes"),
    [
        ([1, 1, 1], 2, [1, 1, 1]),
        ([1, 1], 8, [128, 127]),
        ([1, 2, 1], 2, [1, 1, 1]),  # shares .75 1.5 .75: floors 0 1 0, then the two .75
        ([0.5, 0.25, 0.25], 4, [7, 4, 4]),  # shares 7.5 3.75 3.75
        ([0, 0, 1], 16, [0, 0, 65535]),
        ([1, 3, 506], 8, [1, 1, 253]),  # shares .5 1.5 253: the tie goes to class 0
    ],
)
def test_by_hand(row, bits, codes):
    assert to_codes(np.array(row, dtype=np.float64), bits).tolist() == codes


@given(row=float_rows)
def test_one_bit_is_the_argmax(row):
    made = to_codes(np.array(row, dtype=np.float32), 1)
    first = row.index(max(row))
    assert made.tolist() == [int(c == first) for c in range(len(row))]


@given(row=weights, bits=bits_)
def test_codes_are_their_own_codes(row, bits):
    codes = to_codes(np.array(row, dtype=np.float64), bits)
    probs = to_probs(codes, bits)
    assert probs.dtype == np.float32
    np.testing.assert_allclose(probs, codes / (2**bits - 1), rtol=1e-7)
    assert np.array_equal(to_codes(probs, bits), codes)


@pytest.mark.parametrize(
    "row", [[np.nan, 1], [np.inf, 1], [-1e-9, 1], [0, 0], [-1, -1], [1e308, 1e308]]
)
def test_what_is_no_distribution_up_to_scale_is_an_error(row):
    with pytest.raises(ValueError, match="finite, non-negative"):
        to_codes(np.array([[0.5, 0.5], row]), 8)


def slow_pack(codes, bits):
    """A string of binary digits, least significant first, cut into bytes."""
    digits = "".join(format(int(code), f"0{bits}b")[::-1] for code in codes)
    digits += "0" * (-len(digits) % 8)
    return bytes(int(digits[i : i + 8][::-1], 2) for i in range(0, len(digits), 8))


@given(data=st.data(), bits=bits_)
def test_packing_against_strings_of_digits(data, bits):
    codes = data.draw(st.lists(st.integers(0, 2**bits - 1), max_size=40))
    made = pack(np.array(codes, dtype=np.uint16), bits)
    assert made == slow_pack(codes, bits)
    assert len(made) == packed_length(len(codes), bits) == -(-len(codes) * bits // 8)
    back = unpack(made, len(codes), bits)
    assert back.dtype == np.uint16
    assert back.tolist() == codes


def test_packing_is_row_major():
    codes = np.array([[1, 2], [3, 0]], dtype=np.uint16)
    assert pack(codes, 2) == pack(np.asfortranarray(codes), 2) == bytes([0b00_11_10_01])
    assert pack(np.array([1, 258], dtype=np.uint16), 16) == b"\x01\x00\x02\x01"


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_every_bit_of_padding_must_be_zero(bits):
    count = 8 // bits + 1  # one code in the last byte
    good = bytes(packed_length(count, bits))
    assert not unpack(good, count, bits).any()
    for bit in range(8):
        bad = good[:-1] + bytes([1 << bit])
        if bit < bits:
            assert unpack(bad, count, bits)[-1] == 1 << bit
        else:
            with pytest.raises(ValueError, match="padding"):
                unpack(bad, count, bits)


@pytest.mark.parametrize("bits", BITS)
def test_a_length_that_does_not_fit_is_an_error(bits):
    good = bytes(packed_length(9, bits))
    for bad in (good[:-1], good + b"\0", b""):
        with pytest.raises(ValueError, match="length"):
            unpack(bad, 9, bits)
