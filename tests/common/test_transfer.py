import hashlib
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.failures import DataError
from common.files import read_lines, write_lines
from common.transfer import TransferSet

any_text = st.text(st.characters(exclude_categories=()), max_size=8)
SET = TransferSet(("one", "", "three\u2028", "one", "\ud800 \x00\n"))


def test_the_hash_by_hand():
    digest = hashlib.sha256(
        b"fedknot transfer set 1"
        b"\x00\x00\x00\x00"
        b"\x03\x00\x00\x00\x00\x00\x00\x00"
        b"one"
        b"\x01\x00\x00\x00"
        b"\x02\x00\x00\x00\x00\x00\x00\x00"
        b"\xc3\xa4"
    )
    assert TransferSet(("one", "ä")).sha256 == digest.hexdigest()


@given(one=st.lists(any_text, max_size=4), other=st.lists(any_text, max_size=4))
def test_equal_hashes_mean_equal_texts_in_equal_order(one, other):
    one, other = TransferSet(tuple(one)), TransferSet(tuple(other))
    assert (one.sha256 == other.sha256) == (one.texts == other.texts)


def test_borders_between_texts_count():
    made = [("ab", "c"), ("a", "bc"), ("abc",), ("abc", ""), ("", "abc")]
    assert len({TransferSet(texts).sha256 for texts in made}) == len(made)


def test_what_is_saved_is_read(tmp_path):
    SET.save(tmp_path / "transfer.jsonl")
    assert TransferSet.read(tmp_path / "transfer.jsonl", SET.sha256) == SET
    rows = read_lines(tmp_path / "transfer.jsonl")
    assert rows == [{"id": row, "text": text} for row, text in enumerate(SET.texts)]
    assert stat.S_IMODE((tmp_path / "transfer.jsonl").stat().st_mode) == 0o644


@pytest.mark.parametrize(
    "rows",
    [
        [],
        ["one", "", "three\u2028", "one"],
        ["one", "", "three\u2028", "one", "\ud800 \x00\n", ""],
        ["one", "", "three\u2028", "One", "\ud800 \x00\n"],
        ["", "one", "three\u2028", "one", "\ud800 \x00\n"],
    ],
)
def test_other_texts_are_refused(tmp_path, rows):
    write_lines(tmp_path / "transfer.jsonl", [{"id": n, "text": t} for n, t in enumerate(rows)])
    with pytest.raises(DataError, match="not the agreed transfer set"):
        TransferSet.read(tmp_path / "transfer.jsonl", SET.sha256)


@pytest.mark.parametrize(
    "content", [b'{"id": 0', b"[]\n", b'{"id": 0}\n', b'{"text": 3}\n', b"\xff"]
)
def test_a_damaged_file_is_refused_without_showing_what_is_in_it(tmp_path, content):
    (tmp_path / "transfer.jsonl").write_bytes(content)
    with pytest.raises(DataError) as failure:
        TransferSet.read(tmp_path / "transfer.jsonl", SET.sha256)
    assert str(failure.value) == "transfer.jsonl is not the agreed transfer set; start a new run"


def test_no_file_is_not_the_agreed_one_either(tmp_path):
    with pytest.raises(DataError):
        TransferSet.read(tmp_path / "transfer.jsonl", SET.sha256)
