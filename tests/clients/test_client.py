import dataclasses
import os

import numpy as np
import pytest

from clients.client import Client
from clients.store import Store
from clients.tasks import Outcome, here
from clients.teachers.frozen_mlp import FrozenMlp
from clients.voice import Voice
from common.audit import verified
from common.blanks import blanks
from common.encoders.hashing import Hashing
from common.files import read_lines, write_lines
from common.messages import Question
from common.quantise import to_codes
from common.reasons import Reason, Refused
from common.records import HEADER, decode
from tests.worlds import stocked, tiny_with


@pytest.fixture
def store(provisioned):
    return Store(provisioned / "clients" / "2")


@pytest.fixture
def trained(store):
    client = Client(store)
    client.encode()
    client.train()
    return client


def question(store, **changes):
    asked = Question(1, 1, store.terms().binding)
    return dataclasses.replace(asked, **changes)


def log(store):
    return verified(store.public() / "audit" / "client-2.jsonl")


def test_the_release_is_what_the_teacher_says(store, trained):
    """Encoder, teacher and quantiser put together here once more, by their own contracts."""
    answer = trained.answer(question(store))
    terms = store.terms()
    record = decode(answer.payload, terms.layout, 1, 2)
    teacher = FrozenMlp(hidden=4).restore(store.teacher(), 3)
    encoder = Hashing(dimensions=16)
    probs = teacher.predict(encoder.encode(store.transfer().texts))
    neutral = teacher.predict(encoder.encode(blanks(terms.blanks))).astype(np.float64)
    assert answer.client == record.client == 2
    assert np.array_equal(record.codes, to_codes(probs, 8))
    assert np.array_equal(record.bias, to_codes(neutral.mean(axis=0), 8))
    assert record.num_examples is None
    assert record.scalar is None


def test_the_bias_may_count_which_label_wins(tmp_path):
    folder = stocked(tiny_with("clients.bias = 'argmax'"), tmp_path / "run")
    store = Store(folder / "clients" / "2")
    client = Client(store)
    client.encode()
    client.train()
    terms = store.terms()
    record = decode(client.answer(question(store)).payload, terms.layout, 1, 2)
    teacher = FrozenMlp(hidden=4).restore(store.teacher(), 3)
    said = teacher.predict(Hashing(dimensions=16).encode(blanks(terms.blanks)))
    wins = [sum(row.argmax() == label for row in said) for label in range(3)]
    assert terms.bias == "argmax"
    assert np.array_equal(record.bias, to_codes(np.array(wins) + 1, 8))


def test_asking_twice_gives_the_same_bytes_and_one_more_attempt(store, trained):
    first = trained.answer(question(store))
    assert trained.answer(question(store)) == first
    (store.root / "teacher.safetensors").unlink()
    (store.root / "shard.jsonl").unlink()
    (store.public() / "transfer.jsonl").unlink()
    assert Client(store).answer(question(store)) == first  # nothing is computed anew
    entries = log(store)
    assert [(e["direction"], e["attempts"]) for e in entries] == [
        ("down", 1),
        ("up", 1),
        ("down", 2),
        ("up", 2),
        ("down", 3),
        ("up", 3),
    ]
    assert len({e["sha256"] for e in entries if e["direction"] == "up"}) == 1
    assert {e["bytes"] for e in entries if e["direction"] == "up"} == {len(first.payload)}


def test_an_answer_is_on_disk_and_a_draft_is_said_to_be_settled(store, trained, monkeypatch):
    flushed, fsync = [], os.fsync

    def seen(handle):
        flushed.append(os.fstat(handle).st_ino)
        fsync(handle)

    monkeypatch.setattr(os, "fsync", seen)
    draft, written = trained.draft(question(store))
    assert flushed == []
    assert trained.answer(question(store)) == draft
    assert flushed == [os.stat(path).st_ino for path in written]
    shelf, log = store.root / "releases", store.public() / "audit" / "client-2.jsonl"
    assert written == (str(shelf / "1.bin"), str(shelf), str(log))


def test_another_round_is_another_release_of_the_same_predictions(tmp_path):
    store = Store(stocked(tiny_with("num_rounds = 2"), tmp_path / "run") / "clients" / "2")
    client = Client(store)
    client.encode()
    client.train()
    one, two = (client.answer(question(store, round=r)).payload for r in (1, 2))
    assert one[HEADER.size :] == two[HEADER.size :]
    assert [i for i in range(len(one)) if one[i] != two[i]] == [8]


def test_every_question_is_answered_in_the_same_way_by_a_second_process(store, trained, tmp_path):
    """The same experiment, provisioned anew elsewhere: nothing depends on the place."""
    first = trained.answer(question(store))
    other = Store(stocked(tiny_with(), tmp_path / "elsewhere") / "clients" / "2")
    client = Client(other)
    client.encode()
    client.train()
    assert client.answer(question(other)) == first


@pytest.mark.parametrize(
    ("reason", "changes"),
    [
        (Reason.wrong_binding, {"binding": bytes(32)}),
        (Reason.wrong_binding, {"binding": b""}),
        (Reason.wrong_field, {"schema": 2}),
        (Reason.wrong_field, {"schema": 0}),
        (Reason.wrong_round, {"round": 0}),
        (Reason.wrong_round, {"round": 2}),
        (Reason.wrong_round, {"round": 2**32 - 1}),
    ],
)
def test_what_was_not_agreed_on_is_refused_and_logged(store, trained, reason, changes):
    with pytest.raises(Refused) as refusal:
        trained.answer(question(store, **changes))
    assert refusal.value.reason is reason
    assert [entry["direction"] for entry in log(store)] == ["down"]
    assert not list(store.root.glob("releases/*"))


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: [rows[0] | {"text": rows[0]["text"] + " "}, *rows[1:]],
        lambda rows: [rows[1], rows[0], *rows[2:]],
        lambda rows: rows[:-1],
        lambda rows: [*rows, {"id": len(rows), "text": "probe"}],
    ],
)
def test_no_other_texts_are_looked_at(store, trained, change):
    path = store.public() / "transfer.jsonl"
    write_lines(path, change(read_lines(path)))
    with pytest.raises(Refused) as refusal:
        trained.answer(question(store))
    assert refusal.value.reason is Reason.refused
    assert "not the agreed transfer set" in (store.root / "log.txt").read_text()
    assert [entry["direction"] for entry in log(store)] == ["down"]
    assert store.release(1) is None


def test_without_a_teacher_there_is_no_answer(store):
    client = Client(store)
    for act in (client.train, lambda: client.answer(question(store))):
        with pytest.raises(Refused) as refusal:
            act()
        assert refusal.value.reason is Reason.refused


def test_a_teacher_is_fitted_once(store, trained):
    was = (store.root / "teacher.safetensors").read_bytes()
    store.keep_features(store.features() * 2)
    again = Client(store)
    again.encode()
    again.train()
    assert (store.root / "teacher.safetensors").read_bytes() == was


def test_the_size_of_the_shard_crosses_only_if_disclosed(tmp_path, store, trained):
    open_ = Store(
        stocked(tiny_with("disclose = ['num_examples']"), tmp_path / "open") / "clients" / "2"
    )
    client = Client(open_)
    client.encode()
    client.train()
    payload = client.answer(question(open_)).payload
    assert decode(payload, open_.terms().layout, 1, 2).num_examples == len(open_.shard()[0]) > 0
    assert len(payload) == len(trained.answer(question(store)).payload) + 4


def test_a_client_knows_its_own_seed_only(store, tiny):
    about = (store.root / "client.json").read_text()
    assert f'"seed": {tiny.seed},' not in about
    assert store.about()["seed"] != Store(store.root.parent / "1").about()["seed"]
    assert set(store.about()) == {"client", "seed", "config", "public", "terms_sha256"}


BROKEN = {
    "one too many": lambda codes: codes + (np.arange(codes.shape[1]) == 0).astype(codes.dtype),
    "a second row of one text": lambda codes: np.repeat(codes, 2, axis=0),
    "nothing at all": np.zeros_like,
    "the first label only": lambda codes: codes[:, :1],
}


@pytest.mark.parametrize("broken", BROKEN)
def test_what_the_server_would_refuse_does_not_even_leave(store, trained, monkeypatch, broken):
    """A client whose voice is broken finds that out itself: no release, no line of one, a code."""
    speak = Voice.codes
    monkeypatch.setattr(Voice, "codes", lambda voice, *asked: BROKEN[broken](speak(voice, *asked)))
    asked = question(store)
    assert here(store.root, "predict", asked) == Outcome(Reason.client_error)
    assert store.release(1) is None
    assert [entry["direction"] for entry in log(store)] == ["down"]
    monkeypatch.undo()
    said = here(store.root, "predict", asked).said
    assert decode(said.payload, store.terms().layout, 1, 2).client == 2
