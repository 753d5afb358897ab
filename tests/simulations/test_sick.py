import numpy as np
import pytest

from common.failures import DataError
from common.pairs import joined, parted
from simulations.datasets import Part
from simulations.datasets.sick import FILES, Sick, prepare

HEAD = "pair_ID\tsentence_A\tsentence_B\trelatedness_score\tentailment_judgment"


@pytest.fixture
def few_files():
    train = [HEAD, "1\tA dog runs\tAn animal runs\t4.5\tENTAILMENT", "2\tx\ty\t1\tNEUTRAL"]
    trial = [HEAD, "3\tA dog runs\tNo dog runs\t3.6\tCONTRADICTION", '4\t"q\ty\t1\tNEUTRAL']
    test = [HEAD, "5\tx\ty\t1\tNEUTRAL", "6\tX\tY\t1\tENTAILMENT "]
    contents = ("\n".join(train) + "\n", "\n".join(trial) + "\n", "\r\n".join(test) + "\r\n")
    return dict(zip(FILES, map(str.encode, contents), strict=True))


def test_the_files_are_read(few_files):
    assert prepare(few_files) == {
        "text": [
            joined("A dog runs", "An animal runs"),
            joined("x", "y"),
            joined("A dog runs", "No dog runs"),
            joined('"q', "y"),
            joined("x", "y"),
            joined("X", "Y"),
        ],
        "label": [2, 1, 0, 1, 1, 2],
        "part": [0, 0, 1, 1, 2, 2],
        "document": [0, 1, 2, 3, 4, 4],
    }


def test_what_is_not_the_published_release_is_refused(few_files, tmp_path, monkeypatch):
    monkeypatch.setenv("FEDKNOT_CACHE", str(tmp_path / "cache"))
    with pytest.raises(DataError, match=r"no package registry.*fedknot data fetch sick --from"):
        Sick().load(np.random.default_rng(0))
    for name, content in few_files.items():
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=r"SICK_train\.txt is damaged.*kind = 'files' .* for sick"):
        Sick.fetch(tmp_path)


@pytest.fixture(scope="module")
def whole():
    if not Sick.is_cached():
        pytest.skip("sick is not in the cache; type: fedknot data fetch sick --from FOLDER")
    return Sick.whole()


@pytest.mark.data
def test_the_published_counts(whole):
    assert np.bincount(whole.parts).tolist() == [4500, 500, 4927]
    assert np.bincount(whole.labels).tolist() == [
        665 + 74 + 720,
        2536 + 282 + 2793,
        1299 + 144 + 1414,
    ]
    assert all(all(parted(text)) for text in whole.texts)


@pytest.mark.data
def test_the_overlap_is_what_the_card_says(whole):
    held = [
        {t.casefold() for t, p in zip(whole.texts, whole.parts, strict=True) if p == part}
        for part in Part
    ]
    assert (len(held[0] & held[2]), len(held[1] & held[2])) == (49, 5)
    assert 4500 - len(held[0]) == 30
    train, test = ({s for pair in part for s in parted(pair)} for part in (held[0], held[2]))
    assert round(len(train & test) / len(train), 2) == 0.78
