"""Laws that every data set obeys."""

import numpy as np
import pytest

from common.configure import find, kinds, load
from common.failures import DataError
from simulations.datasets import Dataset


def members():
    """Those that must be fetched carry the mark ``data``."""
    for kind in kinds(Dataset):
        marks = [pytest.mark.data] if "fetch" in vars(find(Dataset, kind)) else []
        yield pytest.param(kind, marks=marks)


@pytest.fixture(scope="module", params=members())
def dataset(request):
    made = find(Dataset, request.param)
    if not made.is_cached():
        try:
            made.fetch()
        except DataError as error:
            pytest.skip(str(error))
    return load(Dataset, request.param)


@pytest.fixture(scope="module")
def corpus(dataset):
    return dataset.load(np.random.default_rng(0))


def test_the_seed_decides_the_draw(dataset, corpus):
    again = dataset.load(np.random.default_rng(0))
    other = dataset.load(np.random.default_rng(1))
    assert again.texts == corpus.texts != other.texts
    for name in ("labels", "groups", "documents", "gold"):
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


def test_equal_texts_share_a_document(corpus):
    home: dict[str, int] = {}
    for text, document in zip(corpus.texts, corpus.documents.tolist(), strict=True):
        assert home.setdefault(text.casefold(), document) == document


def test_no_document_is_a_large_part_of_the_whole(corpus):
    assert np.bincount(corpus.documents).max() < 0.05 * len(corpus)


def test_the_card_is_filled_in(dataset):
    card = dataset.card()
    assert card.source
    assert card.licence
    assert dataset.provenance()


def test_the_whole_holds_every_drawn_text(dataset, corpus):
    whole = dataset.whole()
    assert len(whole) >= len(corpus)
    assert whole.group_names == corpus.group_names
    assert whole.geometry.names == corpus.geometry.names
