import json

import pytest

from common.audit import AuditLog
from server.checkpoint import KEPT, MANIFEST, PARTS, Checkpoint, commit, newest, rounds

RUN = "ab" * 16


def checkpoint(folder, number):
    mark = AuditLog(folder / "audit" / "server.jsonl").mark
    record = {"audit": {"length": mark.length, "head": mark.head}, "round": number}
    parts = {name: f"{name} of round {number}".encode() for name in PARTS}
    return Checkpoint(number, parts | {"record.json": json.dumps(record).encode()})


@pytest.fixture
def folder(tmp_path):
    """Three rounds, each with a release of one client, of which two checkpoints are kept."""
    for name in ("checkpoint", "audit", "releases"):
        (tmp_path / name).mkdir()
    for number in (1, 2, 3):
        payload = b"payload" * number
        (tmp_path / "releases" / str(number)).mkdir()
        (tmp_path / "releases" / str(number) / "0.bin").write_bytes(payload)
        AuditLog(tmp_path / "audit" / "server.jsonl").append("up", 0, number, payload, schema=1)
        commit(tmp_path, RUN, checkpoint(tmp_path, number))
    return tmp_path


def test_the_newest_is_found_and_two_are_kept(folder):
    found, passed = newest(folder, RUN)
    assert (found.round, passed) == (3, [])
    assert found.parts["student.safetensors"] == b"student.safetensors of round 3"
    assert rounds(folder) == [3, 2]
    assert KEPT == 2


def test_nothing_is_found_where_nothing_is(tmp_path):
    assert newest(tmp_path, RUN) == (None, [])


@pytest.mark.parametrize("name", [*PARTS, MANIFEST])
def test_a_damaged_part_is_found_by_its_hash_and_the_one_before_is_used(folder, name):
    path = folder / "checkpoint" / "3" / name
    good = path.read_bytes()
    damages = [good[:-1], b"", good + b" ", None]
    damages += [good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :] for at in range(len(good))]
    for damage in damages:
        path.unlink(missing_ok=True)
        if damage is not None:
            path.write_bytes(damage)
        found, passed = newest(folder, RUN)
        assert found.round == 2
        assert len(passed) == 1
        assert "round 3" in passed[0]
    path.write_bytes(good)
    assert newest(folder, RUN)[0].round == 3


def test_with_both_damaged_the_run_begins_anew(folder):
    for number in (2, 3):
        (folder / "checkpoint" / str(number) / "record.json").write_bytes(b"{}")
    found, passed = newest(folder, RUN)
    assert found is None
    assert len(passed) == 2


def test_of_another_run_none_is_used(folder):
    assert newest(folder, "cd" * 16)[0] is None


@pytest.mark.parametrize(("number", "expected"), [(3, 2), (2, None), (1, None)])
def test_a_checkpoint_needs_its_releases(folder, number, expected):
    path = folder / "releases" / str(number) / "0.bin"
    path.write_bytes(path.read_bytes()[:-1])
    found, passed = newest(folder, RUN)
    assert (found and found.round) == expected
    assert f"releases/{number}/0.bin" in passed[0]


def test_a_checkpoint_needs_its_log(folder):
    path = folder / "audit" / "server.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:2]))
    assert newest(folder, RUN)[0].round == 2
    path.write_bytes(lines[0] + lines[1].replace(b'"round": 2', b'"round": 9') + lines[2])
    assert newest(folder, RUN)[0] is None


def test_what_the_log_has_beyond_does_no_harm(folder):
    AuditLog(folder / "audit" / "server.jsonl").append("up", 0, 4, b"more", schema=1)
    assert newest(folder, RUN)[0].round == 3


def test_a_round_that_is_done_again_replaces_its_checkpoint(folder):
    (folder / "checkpoint" / "3" / "record.json").write_bytes(b"")
    commit(folder, RUN, checkpoint(folder, 3))
    assert newest(folder, RUN)[0].round == 3
    assert rounds(folder) == [3, 2]


def test_other_folders_are_left_alone(folder):
    (folder / "checkpoint" / "private").mkdir()
    commit(folder, RUN, checkpoint(folder, 4))
    assert (folder / "checkpoint" / "private").is_dir()
    assert rounds(folder) == [4, 3]
