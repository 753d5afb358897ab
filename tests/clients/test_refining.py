"""A client and what the server says back: taken only in the one form agreed on, and once."""

import dataclasses
import shutil

import numpy as np
import pytest

from clients.client import Client
from clients.store import Store
from common.audit import verified
from common.messages import Consensus, Question
from common.quantise import to_codes
from common.reasons import Reason, Refused
from common.records import CONSENSUS, SERVER, Record, decode, encode
from common.seeds import stream
from tests.worlds import stocked, tiny_with

FEEDBACK = (
    "num_rounds = 4",
    "server.feedback = 'consensus'",
    "clients.refinement = { kind = 'digest_revisit', digest_epochs = 4 }",
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = stocked(tiny_with(*FEEDBACK), tmp_path_factory.mktemp("trained") / "run")
    client = Client(Store(folder / "clients" / "2"))
    client.encode()
    client.train()
    return folder


@pytest.fixture
def store(trained, tmp_path):
    """A client of a run with a feedback, which has its first teacher, to be played with."""
    folder = shutil.copytree(trained, tmp_path / "run")
    made = Store(folder / "clients" / "2")
    made.move_public(folder)
    return Store(folder / "clients" / "2")


def said(store, server_round=2, seed=0, **changes):
    layout = dataclasses.replace(store.terms().layout_down, **changes)
    probs = stream(seed, "said").dirichlet(np.ones(layout.classes), layout.rows)
    payload = encode(Record(server_round, SERVER, to_codes(probs, layout.bits)), layout)
    return Consensus(Question(server_round, CONSENSUS, layout.binding), payload)


def answer(store, server_round):
    terms = store.terms()
    payload = Client(store).answer(Question(server_round, 1, terms.binding)).payload
    return decode(payload, terms.layout, server_round, 2).codes


def log(store):
    return verified(store.public() / "audit" / "client-2.jsonl")


def test_a_round_has_a_teacher_of_its_own_and_the_first_one_stays(store):
    first = (store.root / "teacher.safetensors").read_bytes()
    before = answer(store, 1)
    Client(store).refine(said(store, 2))
    assert store.teacher_rounds() == [1, 2]
    assert (store.root / "teacher.safetensors").read_bytes() == first
    assert not np.array_equal(answer(store, 2), before)
    assert np.array_equal(answer(store, 1), before)  # asked again: the same release
    assert (store.root / "teacher-2.safetensors").stat().st_mode & 0o777 == 0o600


def test_it_is_done_once_and_logged_each_time(store):
    Client(store).refine(said(store))
    path = store.root / "teacher-2.safetensors"
    before = path.stat().st_mtime_ns, path.read_bytes()
    Client(store).refine(said(store))
    Client(store).refine(said(store, seed=1))  # whatever else is said in that round
    assert (path.stat().st_mtime_ns, path.read_bytes()) == before
    entries = log(store)
    assert [(e["direction"], e["schema"], e["round"], e["verdict"]) for e in entries] == [
        ("down", 4, 2, "accepted")
    ] * 3
    assert [e["attempts"] for e in entries] == [1, 2, 1]
    assert entries[0]["bytes"] == len(said(store).payload)


def test_what_follows_depends_on_what_was_said_and_nothing_else(store, tmp_path):
    copies = [Store(shutil.copytree(store.root, tmp_path / name)) for name in "ab"]
    for copy, seed in zip(copies, (0, 1), strict=True):
        Client(copy).refine(said(copy, seed=seed))
    Client(store).refine(said(store))
    mine, same, other = (s.teacher(2) for s in (store, *copies))
    assert all(mine[name].tobytes() == same[name].tobytes() for name in mine)
    assert any(mine[name].tobytes() != other[name].tobytes() for name in mine)


def test_a_round_that_was_missed_is_skipped(store):
    Client(store).refine(said(store, 2))
    held = answer(store, 3)  # nothing was heard before the third round
    Client(store).refine(said(store, 4))
    assert store.teacher_rounds() == [1, 2, 4]
    assert np.array_equal(held, answer(store, 2))
    assert not np.array_equal(held, answer(store, 4))


def test_a_damaged_teacher_is_passed_over_and_noted(store):
    Client(store).refine(said(store, 2))
    Client(store).refine(said(store, 3))
    expected = answer(store, 2)
    path = store.root / "teacher-3.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\0\1")
    assert np.array_equal(answer(store, 3), expected)
    assert "round 3 is damaged" in (store.root / "log.txt").read_text()
    again = Client(store)
    again.refine(said(store, 3))  # told once more, it is made anew
    assert store.teacher(3) is not None


def spoilt(store, change):
    made = said(store)
    return dataclasses.replace(made, payload=change(made.payload))


BAD = {
    "another run": (
        Reason.wrong_binding,
        lambda s: Consensus(Question(2, 4, bytes(32)), said(s).payload),
    ),
    "bound to another run inside": (
        Reason.wrong_binding,
        lambda s: Consensus(said(s).question, said(s, binding=bytes(32)).payload),
    ),
    "a question": (
        Reason.wrong_field,
        lambda s: Consensus(Question(2, 1, s.terms().binding), said(s).payload),
    ),
    "predictions of a client": (
        Reason.wrong_field,
        lambda s: Consensus(said(s).question, said(s, schema=1).payload),
    ),
    "before the first round": (Reason.wrong_round, lambda s: said(s, 1)),
    "after the last round": (Reason.wrong_round, lambda s: said(s, 5)),
    "of another round inside": (
        Reason.wrong_round,
        lambda s: Consensus(said(s, 2).question, said(s, 3).payload),
    ),
    "in a client's name": (
        Reason.wrong_client,
        lambda s: spoilt(s, lambda data: data[:12] + b"\1\0\0\0" + data[16:]),
    ),
    "nothing": (Reason.wrong_length, lambda s: spoilt(s, lambda data: b"")),
    "cut": (Reason.wrong_length, lambda s: spoilt(s, lambda data: data[:-1])),
    "a text behind": (Reason.too_large, lambda s: spoilt(s, lambda data: data + b"text")),
    "spare bytes": (
        Reason.not_canonical,
        lambda s: spoilt(s, lambda data: data[:22] + b"hi" + data[24:]),
    ),
    "other codes": (Reason.not_canonical, lambda s: Consensus(said(s).question, flagged(s))),
    "a row of another sum": (
        Reason.wrong_sum,
        lambda s: spoilt(s, lambda data: data[:-1] + bytes([data[-1] ^ 1])),
    ),
}


def flagged(store):
    data = bytearray(said(store).payload)
    data[7] = 1  # a bias, which nothing that goes down has
    return bytes(data)


@pytest.mark.parametrize("what", BAD)
def test_what_was_not_agreed_on_is_refused_and_logged(store, what):
    reason, make = BAD[what]
    with pytest.raises(Refused) as refusal:
        Client(store).refine(make(store))
    assert refusal.value.reason is reason
    assert [(e["direction"], e["verdict"]) for e in log(store)] == [("down", reason.name)]
    assert store.teacher_rounds() == [1]


def test_a_client_of_a_run_without_feedback_takes_nothing(tmp_path):
    made = Store(stocked(tiny_with("num_rounds = 2"), tmp_path / "run") / "clients" / "2")
    client = Client(made)
    client.encode()
    client.train()
    layout = dataclasses.replace(made.terms().layout, flags=0, schema=CONSENSUS)
    codes = to_codes(np.ones((layout.rows, layout.classes)), layout.bits)
    consensus = Consensus(
        Question(2, CONSENSUS, layout.binding), encode(Record(2, SERVER, codes), layout)
    )
    with pytest.raises(Refused) as refusal:
        client.refine(consensus)
    assert refusal.value.reason is Reason.wrong_field


def test_without_a_teacher_there_is_nothing_to_go_on_from(store):
    (store.root / "teacher.safetensors").unlink()
    with pytest.raises(Refused) as refusal:
        Client(store).refine(said(store))
    assert refusal.value.reason is Reason.refused


def test_who_is_not_there_hears_nothing(tmp_path):
    gone = "clients.availability = { kind = 'random_dropout', rate = 0.99 }"
    folder = stocked(tiny_with(*FEEDBACK, gone), tmp_path / "run")
    made = Store(folder / "clients" / "2")
    client = Client(made)
    client.encode()
    client.train()
    with pytest.raises(Refused) as refusal:
        client.refine(said(made))
    assert refusal.value.reason is Reason.timeout
    assert not (made.public() / "audit" / "client-2.jsonl").exists()
    assert made.teacher_rounds() == [1]
