"""Laws that every data set obeys."""

import numpy as np
import pytest

from common.configure import find, kind_of, kinds, load
from common.failures import ConfigError, DataError
from simulations.datasets import Dataset, Part
from tests.tables import EXAMPLES


def members():
    """Those that must be fetched carry the mark ``data``."""
    for kind in kinds(Dataset):
        marks = [pytest.mark.data] if "fetch" in vars(find(Dataset, kind)) else []
        yield pytest.param(kind, marks=marks)


@pytest.fixture(scope="module", params=members())
def dataset(request, tmp_path_factory):
    made = find(Dataset, request.param)
    if request.param in EXAMPLES:  # it reads what the user names
        table = EXAMPLES[request.param](tmp_path_factory.mktemp("table"))
        return load(Dataset, {"kind": request.param, **table})
    if not made.is_cached():
        try:
            made.fetch()
        except DataError as error:
            pytest.skip(str(error))
    return load(Dataset, request.param)


@pytest.fixture(scope="module")
def corpus(dataset):
    return dataset.load(np.random.default_rng(0))


@pytest.fixture(scope="module")
def whole(dataset):
    """All there is, or None where only the user knows."""
    if kind_of(dataset) not in EXAMPLES:
        return dataset.whole()
    with pytest.raises(ConfigError, match=r"EXPERIMENT\.toml"):
        dataset.whole()
    return None


def test_the_seed_decides_the_draw(dataset, corpus, whole):
    again = dataset.load(np.random.default_rng(0))
    other = dataset.load(np.random.default_rng(1))
    assert again.texts == corpus.texts
    made_up = dataset.optimum(corpus.texts) is not None
    if made_up or whole is None or len(whole) > len(corpus):  # else it is taken whole
        assert other.texts != corpus.texts
    for name in ("labels", "groups", "documents", "gold", "parts"):
        assert np.array_equal(getattr(again, name), getattr(corpus, name))


def test_only_the_given_generator_is_used(dataset):
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    dataset.load(np.random.default_rng(0))
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002


def test_every_group_and_every_class_occurs(corpus):
    assert np.all(np.bincount(corpus.groups, minlength=len(corpus.group_names)) > 0)
    assert np.all(np.bincount(corpus.labels, minlength=len(corpus.geometry)) > 0)


def test_no_text_is_empty(corpus):
    assert all(text.strip() for text in corpus.texts)


def test_equal_texts_of_one_part_share_a_document(dataset, corpus):
    if dataset.card().repeats:
        assert any("same words" in fault for fault in dataset.card().faults)
        pytest.skip("its card says that the same words may stand in two documents")
    parts = np.zeros(len(corpus), dtype=int) if corpus.parts is None else corpus.parts
    home: dict[tuple[str, int], int] = {}
    rows = zip(corpus.texts, parts.tolist(), corpus.documents.tolist(), strict=True)
    for text, part, document in rows:
        assert home.setdefault((text.casefold(), part), document) == document


def test_no_document_is_a_large_part_of_the_whole(corpus):
    assert np.bincount(corpus.documents).max() < 0.05 * len(corpus)


def test_an_optimum_is_a_distribution_that_labels_agree_with(dataset, corpus):
    best = dataset.optimum(corpus.texts)
    if best is None:
        return
    assert best.shape == (len(corpus), len(corpus.geometry))
    assert np.allclose(best.sum(axis=1), 1)
    # A calibrated guess is right as often as it claims to be.
    claimed, right = best.max(axis=1), best.argmax(axis=1) == corpus.labels
    error = np.sqrt((claimed * (1 - claimed)).sum()) / len(corpus)
    assert abs(claimed.mean() - right.mean()) < 4 * error


def test_the_card_is_filled_in(dataset):
    card = dataset.card()
    assert card.source
    assert card.licence
    assert dataset.provenance()


def test_the_whole_holds_every_drawn_text(whole, corpus):
    if whole is None:
        return
    assert len(whole) >= len(corpus)
    assert whole.group_names == corpus.group_names
    assert whole.geometry.names == corpus.geometry.names


def test_it_draws_as_much_as_it_announced(dataset, corpus):
    extent = dataset.extent()
    if extent is None:
        return
    trained = slice(None) if corpus.parts is None else corpus.parts == Part.TRAIN
    assert extent.rows == len(corpus.labels[trained])
    assert extent.labels == len(corpus.geometry)
