import hashlib
import json
import random
from collections import Counter

import pytest

from common.audit import START, AuditLog, released, verified
from common.failures import CheckFailed
from common.reasons import Reason

FIELDS = [
    "time",
    "direction",
    "client",
    "round",
    "schema",
    "bytes",
    "sha256",
    "verdict",
    "attempts",
    "previous",
]


@pytest.fixture
def path(tmp_path):
    """A log of five messages, the last of them refused."""
    made = tmp_path / "server.jsonl"
    log = AuditLog(made)
    for client in (0, 1):
        log.append("down", client, 1, b"question", schema=1)
    log.append("up", 0, 1, b"answer", schema=1)
    log.append("up", 1, 1, b"other", schema=1)
    log.append("up", 1, 1, b"bad", schema=1, verdict=Reason.wrong_sum)
    return made


def test_a_line_says_what_crossed_and_nothing_of_its_content(path):
    entries = verified(path)
    assert [list(entry) for entry in entries] == [FIELDS] * 5
    assert entries[2] | {"time": ""} == {
        "time": "",
        "direction": "up",
        "client": 0,
        "round": 1,
        "schema": 1,
        "bytes": 6,
        "sha256": hashlib.sha256(b"answer").hexdigest(),
        "verdict": "accepted",
        "attempts": 1,
        "previous": hashlib.sha256(path.read_bytes().splitlines()[1]).hexdigest(),
    }
    assert entries[0]["previous"] == START
    assert entries[4]["verdict"] == "wrong_sum"
    assert "answer" not in path.read_text()


def test_released_are_the_accepted_answers(path):
    sha = {name: hashlib.sha256(name).hexdigest() for name in (b"answer", b"other")}
    assert released(verified(path)) == {(1, 0, sha[b"answer"]), (1, 1, sha[b"other"])}


@pytest.mark.parametrize(
    ("tamper", "line"),
    [
        pytest.param(lambda ls: [ls[0].replace(b"down", b"up"), *ls[1:]], 2, id="edit first"),
        pytest.param(lambda ls: [*ls[:3], ls[3].replace(b"5", b"6"), *ls[4:]], 4, id="edit hash"),
        pytest.param(lambda ls: ls[1:], 1, id="drop first"),
        pytest.param(lambda ls: ls[:2] + ls[3:], 3, id="drop middle"),
        pytest.param(lambda ls: [ls[0], ls[2], ls[1], *ls[3:]], 2, id="swap"),
        pytest.param(lambda ls: ls[:3] + ls[4:2:-1], 4, id="swap last"),
        pytest.param(lambda ls: [*ls, ls[4]], 6, id="duplicate last"),
        pytest.param(lambda ls: [ls[0], *ls], 2, id="duplicate first"),
        pytest.param(lambda ls: [*ls[:2], b"", *ls[2:]], 3, id="empty line"),
        pytest.param(lambda ls: [*ls[:2], b"[1]", *ls[2:]], 3, id="not an entry"),
        pytest.param(lambda ls: [*ls[:4], ls[4][:-5]], 5, id="cut"),
        pytest.param(lambda ls: [b" " + ls[0], *ls[1:]], 2, id="white space"),
    ],
)
def test_whoever_touches_a_line_breaks_the_chain(path, tamper, line):
    path.write_bytes(b"\n".join(tamper(path.read_bytes().splitlines())) + b"\n")
    with pytest.raises(CheckFailed, match=rf"server\.jsonl is broken at line {line}$") as failure:
        verified(path)
    assert failure.value.exit_code == 7


def test_every_changed_byte_but_those_of_the_last_line_breaks_the_chain(path):
    whole = path.read_bytes()
    last = whole.rstrip(b"\n").rfind(b"\n")
    for place in range(0, last, 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(CheckFailed):
            verified(path)


def test_one_log_alone_cannot_show_that_its_end_is_missing(path):
    """Only the other side's log can, see the inspection of a run."""
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    assert len(verified(path)) == 4


def test_a_new_writer_carries_on(path):
    AuditLog(path).append("up", 0, 2, b"more", schema=1)
    entries = verified(path)
    assert len(entries) == 6
    assert entries[5]["round"] == 2


@pytest.mark.parametrize("left", [1, 40, -1])
def test_what_a_killed_writer_left_is_cut_off(path, left):
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:4]) + lines[4][:left])
    log = AuditLog(path)
    assert path.read_bytes() == b"".join(lines[:4])
    log.append("up", 1, 1, b"bad", schema=1, verdict=Reason.wrong_sum)
    assert len(verified(path)) == 5


def test_a_writer_killed_in_its_first_line_leaves_an_empty_log(tmp_path):
    path = tmp_path / "client-0.jsonl"
    path.write_bytes(b'{"time": "20')
    AuditLog(path).append("down", 0, 1, b"question", schema=1)
    assert verified(path)[0]["previous"] == START


def test_attempts_count_the_same_bytes_and_survive_a_restart(tmp_path):
    path = tmp_path / "client-0.jsonl"
    for attempt in (1, 2, 3):
        AuditLog(path).append("up", 0, 1, b"same", schema=1)
        assert verified(path)[-1]["attempts"] == attempt
    log = AuditLog(path)
    log.append("up", 0, 2, b"same", schema=1)
    log.append("up", 0, 1, b"other", schema=1)
    log.append("down", 0, 1, b"same", schema=1)
    log.append("up", 1, 1, b"same", schema=1)
    assert [entry["attempts"] for entry in verified(path)[3:]] == [1] * 4
    log.append("up", 0, 1, b"same", schema=1)
    assert verified(path)[-1]["attempts"] == 4


def test_a_line_is_on_disk_when_append_returns(tmp_path):
    path = tmp_path / "server.jsonl"
    log = AuditLog(path)
    assert not path.exists()
    for count in (1, 2):
        log.append("down", 0, count, b"", schema=1)
        assert path.read_bytes().count(b"\n") == count
        assert json.loads(path.read_bytes().splitlines()[-1])["bytes"] == 0


@pytest.mark.parametrize("seed", range(20))
def test_attempts_are_counted_however_late_and_by_whomever(tmp_path, seed):
    """Old rounds again, several openings: as a plain count of all messages says."""
    rng, log, counts = random.Random(seed), AuditLog(tmp_path / "log.jsonl"), Counter()
    for _ in range(80):
        if rng.random() < 0.1:
            log = AuditLog(tmp_path / "log.jsonl")
        message = (rng.choice(["up", "down"]), rng.randrange(3), rng.randrange(8), b"%d" % seed)
        log.append(message[0], message[1], message[2], message[3], schema=1, durable=False)
        counts[message] += 1
        newest = verified(tmp_path / "log.jsonl", log.head)[-1]
        assert newest["attempts"] == counts[message]
        assert log.mark.length == (tmp_path / "log.jsonl").stat().st_size


def test_lines_written_at_once_are_those_written_one_by_one(tmp_path):
    """Nothing is in the file before the end; the chain, counts and mark are the same."""
    logs = [AuditLog(tmp_path / name) for name in ("one.jsonl", "many.jsonl")]
    for client in range(3):
        logs[0].append("down", client, 1, b"question", schema=1, durable=False)
    with logs[1].at_once():
        for client in range(3):
            logs[1].append("down", client, 1, b"question", schema=1, durable=False)
        assert not (tmp_path / "many.jsonl").exists()
    for log in logs:
        log.append("down", 0, 1, b"question", schema=1)
    entries = [verified(tmp_path / f"{name}.jsonl") for name in ("one", "many")]
    told = [[{**e, "time": "", "previous": ""} for e in made] for made in entries]
    assert told[0] == told[1]
    assert entries[1][-1]["attempts"] == 2
    assert logs[1].mark == AuditLog(tmp_path / "many.jsonl").mark
    assert logs[1].mark.length == (tmp_path / "many.jsonl").stat().st_size


def test_every_line_is_what_json_makes_of_it(path):
    for line in path.read_bytes().splitlines():
        assert json.dumps(json.loads(line)).encode() == line


def test_a_log_that_is_kept_open_has_every_line_at_once(tmp_path):
    """A kill in between loses none; afterwards it is opened anew, also where it was moved."""
    path = tmp_path / "log.jsonl"
    log = AuditLog(path)
    with log.kept_open():
        for count in (1, 2, 3):
            log.append("up", count, 1, b"answer", schema=1, durable=count == 3)
            assert len(verified(path, log.head)) == count
    path.rename(tmp_path / "elsewhere.jsonl")
    log.append("up", 4, 1, b"answer", schema=1)
    assert len(path.read_bytes().splitlines()) == 1
    whole = [(tmp_path / name).read_bytes() for name in ("elsewhere.jsonl", "log.jsonl")]
    path.write_bytes(b"".join(whole))
    assert len(verified(path, log.head)) == 4


def test_a_log_that_was_kept_open_is_closed_after_an_error(tmp_path):
    log = AuditLog(tmp_path / "log.jsonl")

    def fail():
        with log.kept_open():
            log.append("up", 0, 1, b"answer", schema=1)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    log.append("up", 1, 1, b"answer", schema=1)
    assert len(verified(tmp_path / "log.jsonl", log.head)) == 2


def test_what_was_appended_before_an_error_is_kept(tmp_path):
    log = AuditLog(tmp_path / "log.jsonl")

    def fail():
        with log.at_once():
            log.append("down", 0, 1, b"question", schema=1, durable=False)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert len(verified(tmp_path / "log.jsonl")) == 1
