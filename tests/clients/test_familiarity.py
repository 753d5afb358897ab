"""How near shared texts are to a client's own, by hand and against sklearn."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors

from clients import familiarity
from clients.client import Client
from clients.familiarity import Familiarity, codes, nearest
from clients.store import Store
from common.encoders.hashing import Hashing
from common.messages import Question
from common.reasons import Reason, Refused
from common.records import decode
from tests.worlds import stocked, tiny_with

PRIVATE = np.array([[1.0, 0], [0, 2.0], [3.0, 3.0]])
SHARED = np.array([[5.0, 0], [1.0, 1.0], [-1.0, 0], [0, 0]])
ROOT = np.sqrt(0.5)
DISCLOSED = ("disclose = ['familiarity']",)


def features(seed, rows, dimensions=8):
    return np.random.default_rng(seed).normal(size=(rows, dimensions)).astype(np.float32)


def test_nearest_by_hand():
    # Cosines to the three private texts: 1, 0, r; r, r, 1; -1, 0, -r; and none for no direction.
    assert nearest(SHARED, PRIVATE, 1) == pytest.approx([0, 0, 1, 1], abs=1e-6)
    expected = [(1 - ROOT) / 2, (1 - ROOT) / 2, 1, 1]  # beyond a right angle all is 1
    assert nearest(SHARED, PRIVATE, 2) == pytest.approx(expected, abs=1e-6)
    assert nearest(SHARED[:1], PRIVATE, 9) == pytest.approx([1 - (1 + ROOT) / 3], abs=1e-6)


def test_the_floor_by_hand():
    # Of the private texts themselves, the nearest other one is at a cosine of r, r, r.
    made = Familiarity(neighbours=1).distances(SHARED, PRIVATE)
    assert made == pytest.approx([1 - ROOT, 1 - ROOT, 1, 1], abs=1e-6)
    made = Familiarity(neighbours=1, floor=0).distances(SHARED, PRIVATE)
    assert made == pytest.approx([0, 0, 1, 1], abs=1e-6)


def test_who_holds_nothing_knows_nothing_and_one_text_has_no_neighbour():
    for known in (Familiarity(), Familiarity(floor=0)):
        assert known.distances(SHARED, PRIVATE[:0]).tolist() == [1, 1, 1, 1]
        assert known.distances(SHARED, PRIVATE[:1]) == pytest.approx([0, 1 - ROOT, 1, 1], abs=1e-6)


@pytest.mark.parametrize("neighbours", [1, 5])
@pytest.mark.parametrize("cells", [1, 200, 2**22])
def test_against_sklearn_in_blocks_of_any_size(monkeypatch, neighbours, cells):
    monkeypatch.setattr(familiarity, "_CELLS", cells)
    shared, private = features(0, 37), features(1, 60)
    index = NearestNeighbors(n_neighbors=neighbours, metric="cosine").fit(private)
    expected = index.kneighbors(shared)[0].mean(axis=1).clip(0, 1)
    assert nearest(shared, private, neighbours) == pytest.approx(expected, abs=1e-5)
    own = index.kneighbors(None)[0].mean(axis=1).clip(0, 1)  # without the text itself
    places = np.arange(60)
    assert nearest(private, private, neighbours, places) == pytest.approx(own, abs=1e-5)
    made = Familiarity(neighbours=neighbours, floor=0.3).distances(shared, private)
    assert made == pytest.approx(np.maximum(expected, np.quantile(own, 0.3)), abs=1e-5)


@settings(max_examples=25)
@given(seed=st.integers(0, 1000), rows=st.integers(0, 6), floor=st.sampled_from([0.0, 0.5, 1.0]))
def test_distances_are_shares_and_their_scale_is_public(seed, rows, floor):
    made = Familiarity(floor=floor).distances(features(seed, 9), features(seed + 1, rows))
    assert made.shape == (9,)
    assert np.all((made >= 0) & (made <= 1))
    for bits in (1, 8, 16):
        said = codes(made, bits)
        assert said.dtype == np.uint16
        assert np.abs(said / (2**bits - 1) - made).max() <= 0.5 / (2**bits - 1) + 1e-12


@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_only_directions_count(scale):
    shared, private = features(2, 9), features(3, 30)
    one, other = (Familiarity().distances(shared, rows) for rows in (private, private * scale))
    assert one == pytest.approx(other, abs=1e-5)


def test_a_floor_hides_copies_among_texts_of_the_same_kind():
    """Without it, who holds a text says so; with it, more so the higher it is."""
    rng = np.random.default_rng(4)
    private, others = (rng.normal(size=(300, 8)).astype(np.float32) for _ in range(2))
    is_held = np.repeat([1, 0], 300)
    shared = np.concatenate([private, others])

    def found(floor):
        return roc_auc_score(is_held, -Familiarity(floor=floor).distances(shared, private))

    areas = [found(floor) for floor in (0.0, 0.5, 0.9)]
    assert areas[0] > 0.85
    assert areas == sorted(areas, reverse=True)
    assert areas[2] < 0.6


def ready(folder, *overrides, client="2"):
    store = Store(stocked(tiny_with(*overrides), folder) / "clients" / client)
    made = Client(store)
    made.encode()
    made.train()
    return store, made


def record_of(store, client):
    terms = store.terms()
    payload = client.answer(Question(1, 1, terms.binding)).payload
    assert len(payload) == terms.layout.length
    return decode(payload, terms.layout, 1, 2)


def test_it_crosses_only_if_disclosed(tmp_path):
    silent, told = ready(tmp_path / "silent"), ready(tmp_path / "told", *DISCLOSED)
    without, with_it = record_of(*silent), record_of(*told)
    assert without.scalar is None
    assert np.array_equal(without.codes, with_it.codes)
    store, encoder = told[0], Hashing(dimensions=16)
    private = encoder.encode(store.shard()[0])
    expected = Familiarity().distances(encoder.encode(store.transfer().texts), private)
    assert np.array_equal(with_it.scalar, codes(expected, 8))
    assert len(np.unique(with_it.scalar)) > 3


def test_who_reads_texts_computes_features_for_it_alone(tmp_path):
    teacher = "clients.teacher = { kind = 'tiny_transformer', epochs = 1, min_steps = 2 }"
    store, _ = ready(tmp_path / "silent", teacher)
    assert store.features() is None
    store, client = ready(tmp_path / "told", teacher, *DISCLOSED)
    assert store.features() is not None
    known = record_of(store, client).scalar
    assert np.array_equal(known, record_of(*ready(tmp_path / "mlp", *DISCLOSED)).scalar)


def test_without_features_it_refuses_instead_of_guessing(tmp_path):
    store, client = ready(tmp_path / "run", *DISCLOSED)
    (store.root / "features.npy").unlink()
    with pytest.raises(Refused) as refusal:
        client.answer(Question(1, 1, store.terms().binding))
    assert refusal.value.reason is Reason.refused


def test_its_settings_are_told_to_the_client(tmp_path):
    free = "clients.familiarity = { neighbours = 1, floor = 0.0 }"
    plain, bare = ready(tmp_path / "plain", *DISCLOSED), ready(tmp_path / "bare", free, *DISCLOSED)
    low, high = record_of(*bare).scalar, record_of(*plain).scalar
    assert np.all(low <= high)
    assert low.min() < high.min()
    assert dataclasses.asdict(Familiarity()) == {"neighbours": 5, "floor": 0.5}
