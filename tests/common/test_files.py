import json
import os
import stat

import pytest

from common.files import read_json, read_lines, write_bytes, write_json, write_lines, write_text

TEXTS = ["", " ", "a\nb", "\r", "\x00", "\u2028", "\x85", "ä", "\U0001f600", "\ud800", "\\n", '"']


def test_a_file_is_replaced_whole(tmp_path):
    path = tmp_path / "file"
    for data in (b"first", b"", b"second"):
        write_bytes(path, data)
        assert path.read_bytes() == data
    assert [child.name for child in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_the_mode_is_the_one_asked_for(tmp_path, mode):
    for write, value in ((write_bytes, b""), (write_text, ""), (write_json, {}), (write_lines, [])):
        write(tmp_path / "file", value, mode)
        assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == mode


@pytest.mark.skipif(os.name == "nt", reason="there is no mask")
@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077, 0o177])
@pytest.mark.parametrize("mode", [0o600, 0o644, 0o666])
def test_the_users_mask_changes_nothing(tmp_path, mask, mode):
    before = os.umask(mask)
    try:
        write_bytes(tmp_path / "file", b"x", mode)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == mode


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file.json"
    write_json(path, {"old": 1})

    def rows():
        yield 1
        raise KeyboardInterrupt

    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(path, float("nan"))
    with pytest.raises(KeyboardInterrupt):
        write_lines(path, rows())
    with pytest.raises(TypeError):
        write_bytes(path, "text")
    assert read_json(path) == {"old": 1}
    assert [child.name for child in tmp_path.iterdir()] == ["file.json"]


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_bytes(path, b"old")

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert [child.name for child in tmp_path.iterdir()] == ["file"]


def test_any_text_survives(tmp_path):
    write_lines(tmp_path / "lines", [{"text": text} for text in TEXTS])
    assert [row["text"] for row in read_lines(tmp_path / "lines")] == TEXTS
    assert (tmp_path / "lines").read_bytes().count(b"\n") == len(TEXTS)
    assert (tmp_path / "lines").read_bytes().isascii()
    write_json(tmp_path / "json", TEXTS)
    assert read_json(tmp_path / "json") == TEXTS
    write_text(tmp_path / "text", "\ud800ä")
    assert (tmp_path / "text").read_bytes() == b"\xed\xa0\x80\xc3\xa4"


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_numbers_that_other_readers_refuse_are_not_written(tmp_path, number):
    for write, value in ((write_json, [number]), (write_lines, [number])):
        with pytest.raises(ValueError, match="JSON compliant"):
            write(tmp_path / "file", value)
    assert not list(tmp_path.iterdir())


def test_floats_come_back_bit_by_bit(tmp_path):
    values = [0.1, 1 / 3, 5e-324, 1e308, -0.0, 2.2000000000000001776]
    write_json(tmp_path / "json", values)
    assert [x.hex() for x in read_json(tmp_path / "json")] == [x.hex() for x in values]
    assert json.loads((tmp_path / "json").read_text()) == values


def test_a_full_disk_is_one_line_and_not_a_traceback():
    import errno

    from common.failures import FolderError
    from common.files import full_disk_is_a_failure

    with pytest.raises(FolderError, match="no space left"), full_disk_is_a_failure():
        raise OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(PermissionError), full_disk_is_a_failure():
        raise PermissionError(errno.EACCES, "no")
