import json
import re
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from clients.store import Store
from common.configure import find, kinds
from common.failures import ConfigError
from common.files import read_json, read_lines
from common.labels import LabelGeometry
from simulations.corruptions import Corruption, Shard
from simulations.corruptions.feature_noise import FeatureNoise, slipped
from simulations.corruptions.label_noise import LabelNoise
from simulations.corruptions.reversed_scale import ReversedScale
from simulations.corruptions.vocabulary import Vocabulary
from simulations.experiment_file import read
from simulations.provision import divide
from simulations.shards import corrupted, shards
from tests.worlds import TINY, stocked, tiny_with

LINE = LabelGeometry.ordinal(["a", "b", "c", "d"], [0.0, 1.0, 2.0, 5.0])
KINDS = kinds(Corruption)
TEXTS = (
    "The cat sat on the mat.",
    "Ein Bär, zwei Bären",
    "naïve 猫 text\n",
    "",
    "   ",
    "x",
    "\ud800!",
)


def shard(size=400, seed=0):
    rng = np.random.default_rng(seed)
    texts = tuple(" ".join(f"w{n}" for n in rng.integers(0, 60, 9)) for _ in range(size))
    return Shard(texts, rng.integers(0, 4, size))


def hit(corruption, made, seed=0, geometry=LINE):
    return corruption.corrupt(made, geometry, np.random.default_rng(seed))


@pytest.mark.parametrize("kind", KINDS)
def test_rows_stay_rows_and_what_was_given_stays_as_it_was(kind):
    given_, before = shard(), shard()
    made = hit(find(Corruption, kind)(), given_)
    assert len(made.texts) == len(made.labels) == 400
    assert made.labels.dtype == np.int64
    assert set(made.labels.tolist()) <= set(range(4))
    assert given_.texts == before.texts
    assert np.array_equal(given_.labels, before.labels)


@pytest.mark.parametrize("kind", KINDS)
def test_it_does_something_and_the_seed_decides_what(kind):
    corruption, clean = find(Corruption, kind)(), shard()
    one, again = hit(corruption, clean), hit(corruption, clean)
    assert one.texts == again.texts
    assert np.array_equal(one.labels, again.labels)
    assert one.texts != clean.texts or not np.array_equal(one.labels, clean.labels)


@pytest.mark.parametrize(
    "kind", [k for k in KINDS if "rate" in find(Corruption, k).__annotations__]
)
def test_a_rate_of_nothing_changes_nothing(kind):
    clean = shard()
    made = hit(find(Corruption, kind)(rate=0.0), clean)
    assert made.texts == clean.texts
    assert np.array_equal(made.labels, clean.labels)


@pytest.mark.parametrize("kind", KINDS)
def test_odd_texts_and_no_texts_at_all(kind):
    corruption = find(Corruption, kind)()
    made = hit(corruption, Shard(TEXTS, np.zeros(len(TEXTS), np.int64)))
    assert len(made.texts) == len(TEXTS)
    assert [not text.strip() for text in made.texts] == [not text.strip() for text in TEXTS]
    assert hit(corruption, Shard((), np.zeros(0, np.int64))).texts == ()


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.333, 1.0])
@pytest.mark.parametrize("to", ["any", "neighbour"])
def test_label_noise_changes_exactly_so_many(rate, to):
    clean = shard()
    made = hit(LabelNoise(rate=rate, to=to), clean)
    assert (made.labels != clean.labels).sum() == round(rate * 400)
    assert made.texts == clean.texts


def test_symmetric_noise_is_symmetric():
    clean = Shard(("",) * 40_000, np.repeat(np.arange(4), 10_000))
    made = hit(LabelNoise(rate=0.3), clean)
    moved = np.zeros((4, 4))
    np.add.at(moved, (clean.labels, made.labels), 1e-4)
    exact = np.where(np.eye(4, dtype=bool), 0.7, 0.1)
    assert np.abs(moved - exact).max() < 0.015  # five standard deviations


def test_neighbours_are_next_on_the_line_however_far():
    clean = Shard(("",) * 8000, np.arange(8000) % 4)
    made = hit(LabelNoise(rate=1.0, to="neighbour"), clean)
    where = {c: set(made.labels[clean.labels == c].tolist()) for c in range(4)}
    assert where == {0: {1}, 1: {0, 2}, 2: {1}, 3: {2}}
    ups = (made.labels[clean.labels == 1] == 2).mean()
    assert abs(ups - 0.5) < 0.06
    apart = hit(
        LabelNoise(rate=1.0, to="neighbour"), clean, geometry=LabelGeometry.discrete("abcd")
    )
    assert set(apart.labels[clean.labels == 0].tolist()) == {1, 2, 3}


def test_a_reversed_scale_is_its_own_inverse():
    clean = shard()
    made = hit(ReversedScale(), clean)
    assert np.array_equal(made.labels, 3 - clean.labels)
    assert np.array_equal(hit(ReversedScale(), made).labels, clean.labels)
    with pytest.raises(ConfigError, match="needs labels on a line"):
        hit(ReversedScale(), clean, geometry=LabelGeometry.discrete("abcd"))


@pytest.mark.parametrize("rate", [0.1, 0.5, 1.0])
def test_a_dialect_replaces_that_share_of_the_words_one_by_one(rate):
    clean = shard()
    made = hit(Vocabulary(rate=rate), clean)
    pairs = {
        pair
        for old, new in zip(clean.texts, made.texts, strict=True)
        for pair in zip(old.split(), new.split(), strict=True)
    }
    olds = {old for old, _ in pairs}
    assert len(pairs) == len(olds) == len({new for _, new in pairs})  # one to one
    changed = {old for old, new in pairs if old != new}
    assert len(changed) == round(rate * len(olds))
    assert not olds & {new for old, new in pairs if old != new}
    assert np.array_equal(made.labels, clean.labels)


def test_a_dialect_keeps_marks_blanks_and_first_capitals():
    text = "Well,  well -- WELL!\tThe end_of it."
    made = hit(Vocabulary(rate=1.0), Shard((text,), np.zeros(1, np.int64))).texts[0]
    assert re.sub(r"[^\W_]+", "", made) == re.sub(r"[^\W_]+", "", text)
    one, two, three = re.findall(r"[^\W_]+", made)[:3]
    assert (one, three) == (two.capitalize(), two.capitalize())


def test_every_client_has_a_dialect_of_its_own():
    one, other = (hit(Vocabulary(rate=1.0), shard(), seed) for seed in (1, 2))
    words = [{w for text in made.texts for w in text.split()} for made in (one, other)]
    assert not words[0] & words[1]


@pytest.mark.parametrize("unit", ["character", "word"])
def test_slips_happen_at_their_rate(unit):
    rng = np.random.default_rng(0)
    units, lengths = rng.integers(0, 1000, 50_000), np.full(1000, 50)
    made, after = slipped(units, lengths, np.ones(50_000, bool), 0.2, rng)
    assert after.sum() == len(made)
    # A quarter of the hits leaves out and a quarter doubles: as long as before, on average.
    assert abs(len(made) - 50_000) < 5 * np.sqrt(50_000 * 0.1)
    clean = shard(300)
    noisy = hit(FeatureNoise(rate=0.2, unit=unit), clean)
    unhurt = np.mean([a == b for a, b in zip(noisy.texts, clean.texts, strict=True)])
    size = np.mean(
        [len(t.split()) if unit == "word" else len(t.replace(" ", "")) for t in clean.texts]
    )
    assert unhurt <= (1 - 0.2 * 0.7) ** size + 0.1  # some swaps do nothing


def by_hand(units, rate, rng):
    """The same four slips on one text, one unit after the other."""
    hits = rng.random(len(units)) < rate
    slips = rng.integers(4, size=len(units))
    others = (
        iter(rng.choice(units, int((hits & (slips == 3)).sum())).tolist())
        if units.size
        else iter([])
    )
    row = units.tolist()
    for at, (is_hit, slip) in enumerate(zip(hits, slips, strict=True)):
        if is_hit and slip == 3:
            row[at] = next(others)
    for at, (is_hit, slip) in enumerate(zip(hits, slips, strict=True)):
        if is_hit and slip == 2 and at + 1 < len(row) and not hits[at + 1]:
            row[at], row[at + 1] = row[at + 1], row[at]
    out = []
    for value, is_hit, slip in zip(row, hits, slips, strict=True):
        out += [value] * (0 if is_hit and slip == 0 else 2 if is_hit and slip == 1 else 1)
    return out or row[:1]


@given(st.lists(st.integers(0, 9), max_size=30), st.floats(0, 1), st.integers(0, 2**32))
def test_slips_are_those_done_by_hand(units, rate, seed):
    array = np.array(units, dtype=np.int64)
    lengths = np.array([len(units)])
    made, after = slipped(
        array, lengths, np.ones(len(units), bool), rate, np.random.default_rng(seed)
    )
    assert made.tolist() == by_hand(array, rate, np.random.default_rng(seed))
    assert after.tolist() == [len(made)]


@given(st.lists(st.integers(0, 6), min_size=1, max_size=8), st.integers(0, 2**32))
def test_slips_stay_in_their_text(lengths, seed):
    lengths = np.array(lengths)
    units = np.repeat(np.arange(len(lengths)), lengths)  # every text has units of its own
    rng, closed = np.random.default_rng(seed), np.random.default_rng(seed).random(len(units)) < 0.3
    made, after = slipped(units, lengths, ~closed, 0.9, rng)
    assert after.sum() == len(made)
    assert np.array_equal(after > 0, lengths > 0)


# --- in an experiment

BAD = "data.corruptions = [{ kind = 'label_noise', rate = 0.5, clients = [1, 3] }, 'vocabulary']"


def test_corruptions_are_written_in_the_experiment():
    made = tiny_with(BAD)
    assert made.data.corruptions == (LabelNoise(rate=0.5, clients=(1, 3)), Vocabulary())
    assert made.run_id != tiny_with().run_id
    assert tiny_with("data.corruptions = []").run_id == tiny_with().run_id


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "[{ kind = 'label_noise', clients = [4] }]",
            r"corruptions\[0\].clients names client 4; write at most 3",
        ),
        ("[{ kind = 'label_noise', rate = 2.0 }]", r"data.corruptions\[0\].rate must be at most 1"),
        (
            "[{ kind = 'label_noise', share = 0.0 }]",
            r"data.corruptions\[0\].share must be more than 0",
        ),
        ("[{ kind = 'vocabular' }]", "did you mean 'vocabulary'"),
        ("[{ rate = 0.1 }]", "say which kind"),
    ],
)
def test_corruptions_that_cannot_be(text, message):
    with pytest.raises(ConfigError, match=message):
        tiny_with(f"data.corruptions = {text}")


def test_only_the_chosen_clients_are_hit():
    made = tiny_with(BAD)
    corpus, parts = divide(made)
    held = list(shards(made, corpus, parts))
    for client, rows in enumerate(parts.clients):
        same = np.array_equal(held[client].labels, corpus.labels[rows])
        assert same == (client not in (1, 3))
        assert held[client].texts != tuple(corpus.texts[row] for row in rows)


def test_what_happens_to_one_client_depends_on_no_other():
    one = tiny_with("data.corruptions = [{ kind = 'feature_noise', clients = [2] }]")
    all_ = tiny_with("data.corruptions = [{ kind = 'feature_noise' }, { kind = 'label_noise' }]")
    corpus, parts = divide(one)
    alone, together = list(shards(one, corpus, parts))[2], list(shards(all_, corpus, parts))[2]
    assert alone.texts == together.texts


@pytest.mark.parametrize("num_clients", [4, 11])
def test_a_larger_share_contains_a_smaller_one(num_clients):
    def of(share):
        text = f"data.corruptions = [{{ kind = 'label_noise', share = {share} }}]"
        return corrupted(
            read(
                "synthetic",
                [*TINY, f"data.num_clients = {num_clients}", "data.partition = 'iid'", text],
            )
        )[0]

    sets = [of(share) for share in (0.01, 0.25, 0.5, 1.0)]
    assert [len(chosen) for chosen in sets] == [
        1,
        *(max(1, round(s * num_clients)) for s in (0.25, 0.5, 1.0)),
    ]
    assert all(small <= large for small, large in pairwise(sets))


def test_stores_hold_what_is_corrupted_and_all_else_stays_clean(tmp_path):
    clean, bad = stocked(tiny_with(), tmp_path / "clean"), stocked(tiny_with(BAD), tmp_path / "bad")
    for name in ("transfer.jsonl", "validation.jsonl"):
        assert (clean / name).read_bytes() == (bad / name).read_bytes()
    assert read_json(clean / "split.json") == read_json(bad / "split.json")
    corpus, parts = divide(tiny_with(BAD))
    for client, shard_ in enumerate(shards(tiny_with(BAD), corpus, parts)):
        texts, labels = Store(bad / "clients" / str(client)).shard()
        assert tuple(texts) == shard_.texts
        assert np.array_equal(labels, shard_.labels)
        before, _ = Store(clean / "clients" / str(client)).shard()
        assert before == [corpus.texts[row] for row in parts.clients[client]]
    rows = read_lines(bad / "transfer.jsonl")
    assert [row["text"] for row in rows] == [corpus.texts[row] for row in parts.transfer]


def test_the_split_file_says_what_it_is_about(tmp_path):
    table = json.loads((stocked(tiny_with(BAD), tmp_path / "run") / "split.json").read_text())
    assert len(table["corpus_sha256"]) == 64


def pictures(size=300, seed=1):
    rows = np.random.default_rng(seed).integers(0, 17, (size, 64))
    return Shard(tuple(" ".join(map(str, row)) for row in rows.tolist()), np.zeros(size, np.int64))


def numbers_of(made):
    return np.array([[float(word) for word in text.split()] for text in made.texts])


def test_noise_on_numbers_is_gaussian_and_as_strong_as_asked():
    before = pictures()
    made = hit(FeatureNoise(unit="number", rate=0.5), before)
    known, found = numbers_of(before), numbers_of(made)
    assert found.shape == known.shape
    off = (found - known) / (0.5 * known.std())
    assert stats.kstest(off.ravel(), "norm").pvalue > 0.01
    assert off.std() == pytest.approx(1.0, abs=0.02)
    assert hit(FeatureNoise(unit="number", rate=0), before).texts == before.texts


def test_noise_on_numbers_needs_numbers():
    for texts in (("1 2 three",), ("nan 1",), ("1 inf",)):
        with pytest.raises(ConfigError, match="unit = 'character' or 'word' for sentences"):
            hit(FeatureNoise(unit="number"), Shard(texts, np.zeros(1, np.int64)))
    assert hit(FeatureNoise(unit="number"), Shard(("", "7"), np.zeros(2, np.int64))).texts[0] == ""


@pytest.mark.parametrize("unit", ["character", "word"])
def test_slips_in_what_is_read_as_numbers_are_refused(unit):
    change = f"data.corruptions = [{{ kind = 'feature_noise', unit = '{unit}' }}]"
    with pytest.raises(ConfigError, match=r"corruptions\[0\] makes slips.*unit = 'number'"):
        read("digits", [change])
    assert read("digits", [change.replace(unit, "number")]).data.corruptions[0].unit == "number"
