"""What a client refuses to be asked about, and what it lets pass."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.client import Client
from clients.store import Store
from clients.vetting import Vetting, vet
from common.configure import dump
from common.files import read_json, write_json
from common.reasons import Reason, Refused
from common.transfer import TransferSet
from simulations.datasets.synthetic import Synthetic
from simulations.experiment_file import read
from simulations.provision import divide
from tests.offers import offer

HONEST = Synthetic(size=1000, vocabulary=4000).load(np.random.default_rng(3)).texts
WORDS = sorted({word for text in HONEST for word in text.split()})
MINE = Synthetic(size=400, vocabulary=4000).load(np.random.default_rng(4)).texts


def objection(texts, private=MINE, **settings):
    return Vetting(**settings).objection(TransferSet(tuple(texts)), private)


def among(probes):
    """Probes in place of the last honest texts."""
    return [*HONEST[: 1000 - len(probes)], *probes]


ATTACKS = {
    "a vocabulary, word by word": ("one-word", ["", *WORDS[:80]]),
    "words in disguise": ("one-word", [f" \u200b{w.upper()} !  {w}. {w}" for w in WORDS[:80]]),
    "blank texts and marks": ("copies", [" " * n + "?!" * n for n in range(200)]),
    "one text again and again": ("copies", [HONEST[0]] * 200),
    "one text in many spellings": ("copies", [HONEST[0].replace(" ", "-" * n) for n in range(200)]),
    "a template": ("template", [f"the people of {word} are bad" for word in WORDS[:12]]),
    "a template of two words": ("template", [f"the {word}" for word in WORDS[:12]]),
    "a word at every place": (
        "template",
        [" ".join([*HONEST[0].split()[:n], "secret", *HONEST[0].split()[n:]]) for n in range(12)],
    ),
    "with and without a word": ("alike", [f"{text} secret" for text in HONEST[:200]]),
    "a word left out": ("alike", [" ".join(text.split()[1:]) for text in HONEST[:200]]),
    "a word replaced": ("alike", [f"secret {' '.join(t.split()[1:])}" for t in HONEST[:200]]),
    "words moved": ("alike", [" ".join([*t.split()[1:], t.split()[0]]) for t in HONEST[:200]]),
    "the client's own texts": ("my own", MINE[:50]),
    "its own texts in disguise": ("my own", [f"{t.upper()}\u200b!!" for t in MINE[:50]]),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_probes_are_refused(attack):
    mark, probes = ATTACKS[attack]
    found = objection(among(probes))
    assert mark in found
    assert not set(found.split()) & {*WORDS, "secret", "people"}


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_client_may_bear_with_all_of_it(attack):
    shares = dict.fromkeys(dump(Vetting()), 1.0)
    assert objection(among(ATTACKS[attack][1]), **shares) is None


@pytest.mark.parametrize("attack", ATTACKS)
def test_the_order_of_the_rows_changes_nothing(attack):
    texts = among(ATTACKS[attack][1])
    mixed = np.random.default_rng(0).permutation(len(texts))
    assert objection([texts[row] for row in mixed], MINE[::-1]) == objection(texts)


@given(st.lists(st.text("ab "), max_size=30), st.randoms(use_true_random=False))
def test_no_order_changes_anything(texts, random):
    mixed = random.sample(texts, len(texts))
    assert objection(mixed, ["a", "b a"]) == objection(texts, ["b a", "a"])


@pytest.mark.parametrize(
    ("name", "probes"),
    [
        ("max_probes", WORDS[:30]),
        ("max_copies", HONEST[:30]),
        ("max_alike", [f"{text} secret" for text in HONEST[:15]]),
        ("max_family", [f"the people of {word} are bad" for word in WORDS[:30]]),
    ],
)
def test_a_share_is_borne_with_and_no_row_more(name, probes):
    """30 of 1000 rows are 3 %; of 15 pairs, all 30 texts are alike."""
    bearing = dict.fromkeys(dump(Vetting()), 1.0)
    texts = among(probes)
    assert objection(texts, **bearing | {name: 0.030001}) is None
    assert objection(texts, **bearing | {name: 0.0289}) is not None


def test_the_overlap_is_a_share_of_whichever_is_fewer():
    assert objection(among(MINE[:4]), MINE[:40]) is None
    assert objection(among(MINE[:5]), MINE[:40]) == "5 texts of my own, at most 4"
    few = [*HONEST[:8], *MINE[:2]]
    assert objection(few, MINE) == "2 texts of my own, at most 1"
    assert objection(few, []) is None


def conversation(rng, size):
    """Like MELD: a tenth one word, some two, many of them said before."""
    common = [f"{a}{b}" for a in ("oh", "hey", "no", "yeah", "wow") for b in ("", "o", "a", "h")]
    odds = 1 / np.arange(1, 21)
    one = rng.choice(common, size=size // 10, p=odds / odds.sum()).tolist()
    two = [f"{a} {b}!" for a, b in zip(*rng.choice(common, size=(2, size // 20)), strict=True)]
    rest = size - len(one) - len(two)
    return one + two + [" ".join(rng.choice(WORDS, size=3 + row % 9)) for row in range(rest)]


def by_rule(rng, size):
    """Like SICK: pairs of sentences of one grammar, where one is often the other but a word."""
    nouns, verbs, things = WORDS[:60], WORDS[60:100], WORDS[100:180]

    def sentence():
        parts = [rng.choice(part) for part in (nouns, verbs, things)]
        return "a {} is {} the {} in the park".format(*parts)

    def changed(text):
        words = text.split()
        words[1] = str(rng.choice(nouns))
        return " ".join(words)

    pairs = []
    for row in range(size):
        one = sentence()
        pairs.append(f"{one} [SEP] {changed(one) if row % 2 else sentence()}")
    return pairs


@pytest.mark.parametrize("size", [300, 2000])
@pytest.mark.parametrize("kind", [conversation, by_rule])
def test_texts_of_other_kinds_pass(kind, size):
    """Shared and private texts are of one kind, so some stand on both sides."""
    rng = np.random.default_rng(size)
    assert objection(kind(rng, size), kind(rng, 1000)) is None


@pytest.mark.parametrize("seed", range(3))
def test_the_synthetic_world_passes(seed):
    corpus, parts = divide(read("synthetic", seed=seed))
    passes(corpus, parts)


@pytest.mark.data
@pytest.mark.parametrize("seed", [7, 0, 1])
def test_quickstart_passes(seed):
    corpus, parts = divide(read("quickstart", seed=seed))
    passes(corpus, parts)


def passes(corpus, parts):
    shared = [corpus.texts[row] for row in parts.transfer]
    for rows in parts.clients:
        assert objection(shared, [corpus.texts[row] for row in rows]) is None


def test_odd_texts_are_counted_and_break_nothing():
    odd = ["\ud800", "\0", "\U0001f600", "\u202e", "\u6211\u5f88", "a" * 10**6, "b " * 10**6]
    assert objection(odd * 2) is not None
    assert objection(among(odd)) is None
    assert objection([]) is None


@pytest.fixture
def store(provisioned):
    return Store(provisioned / "clients" / "1")


def refuses(act):
    with pytest.raises(Refused) as refusal:
        act()
    return refusal.value.reason is Reason.refused and refusal.value.args == ("refused",)


def log(store):
    path = store.root / "log.txt"
    return path.read_text() if path.exists() else ""


def test_a_client_looks_before_it_does_anything(provisioned, store):
    offer(provisioned, WORDS[:40])
    for act in (Client(store).encode, Client(store).train):
        assert refuses(act)
    assert log(store).count("40 one-word texts, at most 2") == 2
    assert {path.name for path in store.root.iterdir()} == {
        *("client.json", "shard.jsonl", "log.txt", "vetting.json")
    }
    assert (store.root / "vetting.json").stat().st_mode & 0o777 == 0o600


def test_a_client_looks_once(provisioned, store):
    """What it found is remembered under the hash of the texts."""
    vet(store, Vetting())
    assert store.verdict() == {"sha256": store.terms().transfer_sha256, "objection": None}
    (store.public() / "transfer.jsonl").unlink()
    (store.root / "shard.jsonl").unlink()
    vet(store, Vetting(max_overlap=0))
    assert log(store) == ""


@pytest.mark.parametrize("damage", [b"", b'{"sha256": 1', b"[]", b'{"sha256": "", "x": null}'])
def test_a_damaged_memory_is_made_anew(store, damage):
    vet(store, Vetting())
    good = store.verdict()
    (store.root / "vetting.json").write_bytes(damage)
    vet(store, Vetting())
    assert store.verdict() == good


def test_an_objection_stands(provisioned, store):
    offer(provisioned, WORDS[:40])
    assert refuses(lambda: vet(store, Vetting()))
    assert refuses(lambda: vet(store, Vetting(max_probes=1, max_overlap=1)))


@pytest.mark.parametrize("first", [HONEST[:40], WORDS[:40]])
def test_a_second_set_in_the_same_run_is_refused_however_good(provisioned, store, first):
    offer(provisioned, first)
    if first == HONEST[:40]:
        vet(Store(store.root), Vetting())
    else:
        assert refuses(lambda: vet(Store(store.root), Vetting()))
    offer(provisioned, HONEST[40:80])
    assert refuses(lambda: vet(Store(store.root), Vetting()))
    assert "a second transfer set in the same run" in log(store)
    offer(provisioned, first)
    if first == HONEST[:40]:
        vet(Store(store.root), Vetting())


def test_texts_that_were_not_agreed_on_are_refused_before_training(provisioned, store):
    TransferSet(HONEST[:40]).save(provisioned / "transfer.jsonl")
    assert refuses(Client(store).encode)
    assert "not the agreed transfer set" in log(store)
    assert store.verdict() is None


def test_the_blanks_are_exempt(provisioned, store):
    """One word each, many alike; but they are public, fixed and nobody's choice."""
    about = read_json(store.root / "client.json")
    about["config"]["blanks"] = "content_free"
    write_json(store.root / "client.json", about)
    client = Client(store)
    client.encode()
    client.train()
