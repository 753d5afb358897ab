import numpy as np
import pytest

from common.failures import DataError
from common.pairs import is_window, parted
from simulations.datasets import Part
from simulations.datasets.meld import FILES, SPEAKERS, Meld, prepare, with_context
from simulations.partitions.natural import Natural
from simulations.split import split

HEAD = (
    "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,"
    "StartTime,EndTime"
)


def file(*rows):
    lines = [
        f'{i},"{text}",{who},{emotion},x,{dialogue},{number},1,1,"00:00:01,000","00:00:02,000"'
        for i, (text, who, emotion, dialogue, number) in enumerate(rows)
    ]
    return ("\ufeff" + "\r\n".join([HEAD, *lines]) + "\r\n").encode()


@pytest.fixture
def few_files():
    train = file(
        ("Hey, you!", "Ross", "joy", 0, 1),
        (" Hi. ", "The Waiter", "neutral", 0, 0),
        ("You\u2019re \x1flate", "Monica", "anger", 3, 0),
    )
    other = file(("No.", "Phoebe", "fear", 0, 0))
    return dict(zip(FILES, (train, other, other), strict=True))


def test_the_files_are_read(few_files):
    assert prepare(few_files) == {
        "text": ["Hi.", "Hey, you!", "You\u2019re  late", "No.", "No."],
        "label": [4, 3, 0, 2, 2],
        "speaker": [6, 5, 2, 3, 3],
        "part": [Part.TRAIN] * 3 + [Part.VALIDATION, Part.TEST],
        "dialogue": [0, 0, 1, 2, 3],
    }


def test_context_is_what_was_said_before_in_the_same_dialogue():
    texts, dialogues = ["a", "b", "c", "d", "e"], [0, 0, 0, 1, 1]
    assert with_context(texts, dialogues, 0) == tuple(texts)
    found = with_context(texts, dialogues, 2)
    assert all(map(is_window, found))
    made = [parted(text) for text in found]
    assert made == [("", "a"), ("a", "b"), ("a\nb", "c"), ("", "d"), ("d", "e")]


def test_what_is_not_the_published_release_is_refused(few_files, tmp_path, monkeypatch):
    monkeypatch.setenv("FEDKNOT_CACHE", str(tmp_path / "cache"))
    with pytest.raises(DataError, match=r"no package registry.*fedknot data fetch meld --from"):
        Meld().load(np.random.default_rng(0))
    with pytest.raises(DataError, match=r"lacks train_sent_emo\.csv; give a folder with"):
        Meld.fetch(tmp_path)
    for name, content in few_files.items():
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=r"of another release; .*kind = 'files' .* for meld"):
        Meld.fetch(tmp_path)
    assert not Meld.is_cached()


@pytest.fixture(scope="module")
def whole():
    if not Meld.is_cached():
        pytest.skip("meld is not in the cache; type: fedknot data fetch meld --from FOLDER")
    return Meld.whole()


@pytest.mark.data
def test_the_published_counts(whole):
    assert np.bincount(whole.parts).tolist() == [9989, 1109, 2610]
    test = whole.labels[whole.parts == Part.TEST]
    found = dict(zip(whole.geometry.names, np.bincount(test).tolist(), strict=True))
    # Counted in the published file, without this loader.
    assert found == {
        "anger": 345,
        "disgust": 68,
        "fear": 50,
        "joy": 402,
        "neutral": 1256,
        "sadness": 208,
        "surprise": 281,
    }
    assert whole.group_names == SPEAKERS
    train = whole.groups[whole.parts == Part.TRAIN]
    assert np.bincount(train).tolist() == [1283, 1510, 1299, 1321, 1435, 1458, 1683]


@pytest.mark.data
@pytest.mark.parametrize("seed", range(3))
def test_the_published_parts_are_kept_and_dialogues_stay_whole(whole, seed):
    made = split(
        whole,
        transfer_fraction=0.25,
        test_fraction=0.2,
        validation_size=200,
        partition=Natural(),
        num_clients=7,
        seed=seed,
    )
    assert np.array_equal(made.test, np.flatnonzero(whole.parts == Part.TEST))
    assert set(whole.parts[made.validation].tolist()) == {Part.VALIDATION}
    assert set(whole.parts[made.transfer].tolist()) == {Part.TRAIN}
    # Dialogues have several speakers, so the shares are met nearly, not exactly.
    assert 2450 <= len(made.transfer) <= 2497
    assert 170 <= len(made.validation) <= 200
    assert len(made.private) + len(made.transfer) == 9989
    shared = np.intersect1d(whole.documents[made.transfer], whole.documents[made.private])
    assert len(shared) == 0
    assert [set(whole.groups[rows].tolist()) for rows in made.clients] == [{k} for k in range(7)]


@pytest.mark.data
def test_context_changes_texts_and_nothing_else(whole):
    found = Meld(context=2).load(np.random.default_rng(0))
    assert tuple(parted(text)[1] for text in found.texts) == whole.texts
    assert np.array_equal(found.documents, whole.documents)
