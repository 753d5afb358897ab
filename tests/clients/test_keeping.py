"""A client that is asked about a part of the texts, and keeps what it was told of others."""

import dataclasses
import shutil

import numpy as np
import pytest

from clients.client import Client
from clients.keeping import heard
from clients.store import Store
from common.messages import Consensus, Question
from common.quantise import to_codes, to_probs
from common.reasons import Reason, Refused
from common.records import CONSENSUS, SERVER, Record, decode, encode
from common.seeds import stream
from tests.worlds import stocked, tiny_with

CACHED = (
    "num_rounds = 6",
    "server.feedback = 'consensus'",
    "clients.refinement = { kind = 'digest_revisit', digest_epochs = 4 }",
    "server.aggregator = 'mean'",
    "server.cache = { kind = 'soft_labels', share = 0.5, duration = 2 }",
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = stocked(tiny_with(*CACHED), tmp_path_factory.mktemp("trained") / "run")
    client = Client(Store(folder / "clients" / "2"))
    client.encode()
    client.train()
    return folder


@pytest.fixture
def store(trained, tmp_path):
    folder = shutil.copytree(trained, tmp_path / "run")
    Store(folder / "clients" / "2").move_public(folder)
    return Store(folder / "clients" / "2")


def said(store, server_round, seed=0, **changes):
    layout = dataclasses.replace(store.terms().layout_down_of(server_round), **changes)
    probs = stream(seed, "said", server_round).dirichlet(np.ones(layout.classes), layout.rows)
    record = Record(server_round, SERVER, to_codes(probs, layout.bits))
    return Consensus(Question(server_round, CONSENSUS, layout.binding), encode(record, layout))


def spoken(store, server_round):
    """What :func:`said` says, by text."""
    terms = store.terms()
    payload, layout = said(store, server_round).payload, terms.layout_down_of(server_round)
    record = decode(payload, layout, server_round, SERVER)
    rows = terms.asked(server_round - 1).tolist()
    return dict(zip(rows, to_probs(record.codes, layout.bits).tolist(), strict=True))


def test_what_it_knows_is_the_newest_word_on_every_text_of_the_draw(store):
    """Against a dictionary that is updated round by round."""
    terms, cache = store.terms(), {}
    for server_round in range(2, 7):
        store.keep_consensus(server_round, said(store, server_round).payload)
        cache |= spoken(store, server_round)
        rows, probs = heard(store, terms, terms.asking, server_round)
        drawn = terms.asking.drawn(server_round - 1)
        assert rows.tolist() == drawn.tolist()
        assert probs.tolist() == [cache[row] for row in drawn.tolist()]
    assert len(terms.asked(4)) < len(drawn)  # so something was kept


def test_who_missed_a_word_learns_without_it_and_not_from_an_older_one(store):
    terms = store.terms()
    missed = 4  # in which texts of rounds before are said anew
    for server_round in {2, 3, 5, 6}:
        store.keep_consensus(server_round, said(store, server_round).payload)
    rows, _ = heard(store, terms, terms.asking, 6)
    last = terms.asking.last(5)
    drawn = terms.asking.drawn(5)
    assert rows.tolist() == [row for row in drawn.tolist() if last[row] != missed - 1]
    assert len(rows) < len(drawn)


def test_a_lesson_is_about_all_that_was_drawn_as_far_as_it_was_heard(store):
    client = Client(store)
    for server_round in (2, 3):
        client.refine(said(store, server_round))
    assert store.teacher_rounds() == [1, 2, 3]
    assert sorted(p.name for p in (store.root / "consensus").iterdir()) == ["2.bin", "3.bin"]
    assert (store.root / "consensus" / "2.bin").stat().st_mode & 0o777 == 0o600


def test_the_first_word_of_a_round_stays(store):
    Client(store).refine(said(store, 2))
    Client(store).refine(said(store, 2, seed=1))
    assert store.consensus(2) == said(store, 2).payload != said(store, 2, seed=1).payload


def test_a_damaged_word_counts_as_missed(store):
    Client(store).refine(said(store, 2))
    path = store.root / "consensus" / "2.bin"
    path.write_bytes(b"?" + path.read_bytes()[1:])
    assert store.consensus(2) is None
    Client(store).refine(said(store, 2))  # said once more, it is kept
    assert store.consensus(2) == said(store, 2).payload


def test_who_knows_nothing_of_a_draw_keeps_its_teacher(store, tmp_path):
    whole = (*CACHED, "server.cache = { kind = 'soft_labels', share = 1.0, duration = 50 }")
    folder = stocked(tiny_with(*whole), tmp_path / "other")
    client = Client(Store(folder / "clients" / "2"))
    client.encode()
    client.train()
    made = Store(folder / "clients" / "2")
    assert len(made.terms().asked(2)) == 0
    client.refine(said(made, 3))  # about nothing new, and what was said first was missed
    assert made.teacher_rounds() == [1]


def answer(store, server_round):
    terms = store.terms()
    payload = Client(store).answer(Question(server_round, 1, terms.binding)).payload
    return decode(payload, terms.layout_of(server_round), server_round, 2)


def test_it_answers_about_what_is_asked_and_nothing_else(store):
    terms = store.terms()
    first, second = (answer(store, number).codes for number in (1, 2))
    assert [len(first), len(second)] == [len(terms.asked(number)) for number in (1, 2)]
    assert len(first) == terms.rows // 2 > len(second) > 0


@pytest.mark.parametrize("noise", [(), ("clients.mechanism = { kind = 'noisy_answers' }",)])
def test_the_answer_is_the_same_part_of_what_it_would_say_of_all(tmp_path, noise):
    """Also where noise is put on it: asked about fewer texts, it does not draw other noise."""
    part, every = (
        Store(stocked(tiny_with(*CACHED, *noise, *more), tmp_path / name) / "clients" / "2")
        for name, more in (("part", ()), ("all", ("server.cache = 'none'",)))
    )
    Client(part).encode()
    Client(part).train()
    answer(part, 1)  # by when there is a key of the noise, if there is any
    for path in part.root.glob("*"):
        if path.name in ("noise.key", "teacher.safetensors"):
            shutil.copy(path, every.root / path.name)
    for number in (1, 2, 3):
        some, everything = answer(part, number), answer(every, number)
        asked = part.terms().asked(number)
        assert np.array_equal(some.codes, everything.codes[asked])
        assert np.array_equal(some.bias, everything.bias)


BAD = {
    "about all texts": lambda s: {"rows": s.terms().rows},
    "about one text less": lambda s: {"rows": len(s.terms().asked(2)) - 1},
    "about none": lambda s: {"rows": 0},
}


@pytest.mark.parametrize("what", BAD)
def test_a_word_about_other_texts_than_asked_is_refused(store, what):
    with pytest.raises(Refused) as refusal:
        Client(store).refine(said(store, 3, **BAD[what](store)))
    assert refusal.value.reason in (Reason.wrong_length, Reason.too_large)
    assert store.teacher_rounds() == [1]
    assert store.consensus(3) is None
