import numpy as np
import pytest

from common.masked import MaskedLayout, decode_masked, encode_masked
from common.reasons import Reason, Refused

LAYOUT = MaskedLayout(rows=2, classes=3, binding=bytes(range(32)), round=4)
WORDS = np.arange(10, dtype=np.uint32).reshape(2, 5) + np.uint32(2**32 - 5)
GOOD = encode_masked(WORDS, LAYOUT, 7)


def test_the_bytes_by_hand():
    head = b"FKN1\x03\0\x20\0\4\0\0\0\7\0\0\0\2\0\0\0\3\0\0\0" + bytes(range(32))
    assert head + WORDS.astype("<u4").tobytes() == GOOD
    assert len(GOOD) == LAYOUT.length == 56 + 40
    back = decode_masked(GOOD, LAYOUT, 7)
    assert np.array_equal(back, WORDS)
    assert back.dtype == np.uint32


def test_words_of_another_shape_are_not_sent():
    with pytest.raises(ValueError, match="shape"):
        encode_masked(WORDS[:1], LAYOUT, 7)


def changed(place, value):
    return GOOD[:place] + bytes([value]) + GOOD[place + 1 :]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (GOOD + b"0", Reason.too_large),
        (GOOD[:-1], Reason.wrong_length),
        (b"", Reason.wrong_length),
        (changed(0, 0), Reason.wrong_field),
        (changed(4, 1), Reason.wrong_field),
        (changed(6, 8), Reason.not_canonical),
        (changed(7, 1), Reason.not_canonical),
        (changed(8, 5), Reason.wrong_round),
        (changed(12, 8), Reason.wrong_client),
        (changed(16, 1), Reason.not_canonical),
        (changed(20, 4), Reason.not_canonical),
        (changed(22, 1), Reason.not_canonical),
        (changed(40, 255), Reason.wrong_binding),
    ],
)
def test_what_is_not_of_this_attempt_is_refused(data, reason):
    with pytest.raises(Refused) as refusal:
        decode_masked(data, LAYOUT, 7)
    assert refusal.value.reason is reason


def test_any_words_will_do():
    for byte in (0, 255):
        data = GOOD[:56] + bytes([byte]) * 40
        assert (decode_masked(data, LAYOUT, 7) == (2**32 - 1) * (byte > 0)).all()
