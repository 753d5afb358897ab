"""R5, R10: what is damaged on disk is never used in silence; where nobody answers, nothing is."""

import shutil

import pytest

from clients.store import Store
from common.files import read_lines
from server.checkpoint import PARTS
from tests.reliability.commands import INLINE, SMALL, fedknot, hashes_of, summary_of
from tests.reliability.conftest import run
from tests.worlds import tallies

ROUNDS = "num_rounds = 2"


@pytest.fixture(scope="module")
def two_rounds(tmp_path_factory):
    """A run of two rounds to which nothing happened."""
    return run(tmp_path_factory.mktemp("two") / "run", ROUNDS)


@pytest.fixture
def second_round(two_rounds, tmp_path):
    """The same, cut short when its clients had answered the second round."""
    folder = shutil.copytree(two_rounds, tmp_path / "run")
    (folder / "summary.json").unlink()
    (folder / "checkpoint" / "server.json").unlink()
    shutil.rmtree(folder / "checkpoint" / "2")
    return folder


def flipped(data, place, bit=1):
    return data[:place] + bytes([data[place] ^ bit]) + data[place + 1 :]


DAMAGES = {
    "a bit of a code": (lambda d: flipped(d, -5, 4), "wrong_sum"),
    "a bit of the header": (lambda d: flipped(d, 30), "wrong_binding"),
    "cut": (lambda d: d[: len(d) // 2], "wrong_length"),
    "empty": (lambda d: b"", "wrong_length"),
    "more": (lambda d: d + b"\0", "too_large"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_r5_a_damaged_reply_is_quarantined_when_it_is_sent_again(call, second_round, damage):
    """The client took it for what it had said; the server's gate sees it."""
    act, reason = DAMAGES[damage]
    store = Store(second_round / "clients" / "1")
    store.keep_release(2, act(store.release(2)))
    shutil.rmtree(second_round / "releases" / "2")
    done = call("run", "--resume", second_round, "--quiet")
    assert (done.code, done.err) == (0, "")
    assert tallies(second_round)[1] == ("quarantined", reason)
    assert {tallies(second_round)[k] for k in (0, 2, 3)} == {("answered", "accepted")}
    assert not (second_round / "releases" / "2" / "1.bin").exists()
    log = read_lines(second_round / "audit" / "server.jsonl")
    assert [e["client"] for e in log if e["verdict"] == reason] == [1]


def test_r5_a_release_that_is_damaged_on_disk_is_not_sent_again(call, second_round):
    """The client has released, so it may not make a fresh one either: it is lost."""
    path = second_round / "clients" / "1" / "releases" / "2.bin"
    path.write_bytes(flipped(path.read_bytes(), 60))
    shutil.rmtree(second_round / "releases" / "2")
    done = call("run", "--resume", second_round, "--quiet")
    assert (done.code, done.err) == (0, "")
    assert tallies(second_round)[1] == ("lost", "client_error")
    assert {tallies(second_round)[k] for k in (0, 2, 3)} == {("answered", "accepted")}
    assert not (second_round / "releases" / "2" / "1.bin").exists()


@pytest.mark.parametrize("place", range(0, 56, 11))
def test_r5_the_reply_of_the_round_under_way_is_asked_for_again(
    call, second_round, two_rounds, place
):
    """The server's own copy is damaged, or half there: the client still has its bytes."""
    path = second_round / "releases" / "2" / "3.bin"
    path.write_bytes(flipped(path.read_bytes(), place)[: 200 if place % 2 else None])
    assert call("run", "--resume", second_round, "--quiet").code == 0
    assert hashes_of(second_round) == hashes_of(two_rounds)


@pytest.mark.slow
@pytest.mark.parametrize("part", [*PARTS, "manifest.json"])
@pytest.mark.parametrize("how", ["cut", "flip"])
def test_r5_a_damaged_checkpoint_is_one_line_and_the_one_before_is_used(
    second_round, two_rounds, part, how
):
    for name in ("server.json", "2"):
        source, home = two_rounds / "checkpoint" / name, second_round / "checkpoint" / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, home)
    path = second_round / "checkpoint" / "2" / part
    data = path.read_bytes()
    path.write_bytes(data[:-7] if how == "cut" else flipped(data, len(data) // 2))
    done = fedknot("run", "--resume", second_round, "--quiet")
    assert done.code == 0
    assert done.is_one_line(f"round 2 is not used ({part} is damaged)", "the end of round 1")
    assert hashes_of(second_round) == hashes_of(two_rounds)


# Texts of one word: every client takes them for probes.
PROBES = ("--set", "data.dataset.words_per_text = 1")


def nobody_answered(done, folder):
    assert (done.code, done.out) == (3, "")
    assert done.is_one_line("only 0 of 4 clients answered", "refused")
    assert summary_of(folder)["status"] == "failed"
    assert summary_of(folder)["hashes"] is None
    assert not (folder / "student").exists()
    assert not list(folder.glob("checkpoint/*/student.safetensors"))
    assert not list(folder.glob("releases/*/*.bin"))


def test_r10_all_clients_fail(call, tmp_path):
    """Here each for a reason of its own that nobody else is told."""
    done = call("run", *SMALL, *PROBES, *INLINE, "--out", tmp_path / "run")
    nobody_answered(done, tmp_path / "run")


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.filterwarnings("default")
def test_r10_all_clients_fail_on_ray(tmp_path):
    done = fedknot("run", *SMALL, *PROBES, "--quiet", "--out", tmp_path / "run")
    nobody_answered(done, tmp_path / "run")
