import numpy as np
import pytest

from common.configure import kinds
from common.failures import ConfigError, DataError
from simulations import data, prepared
from simulations.datasets import Dataset
from tests.tables import rows, write_csv


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("FEDKNOT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_every_data_set_is_listed_with_one_line():
    listed = data.datasets()
    assert [kind for kind, _, _ in listed] == kinds(Dataset)
    assert all(manual.endswith(".") and "\n" not in manual for _, manual, _ in listed)
    assert {kind: cached for kind, _, cached in listed}["vader"] is False


def test_listing_and_clearing_leave_no_trace(cache):
    data.datasets()
    assert data.clear() == 0
    assert not cache.exists()


def test_describing_counts():
    table = data.describe("synthetic")
    assert table["rows"] == table["documents"] == sum(table["groups"].values()) == 2000
    assert table["mean_tokens"] == 12
    assert table["name"] == "synthetic"
    assert list(table["shares"]) == list(table["groups"])
    assert np.allclose([sum(row) for row in table["shares"].values()], 1)
    assert all(len(row) == len(table["classes"]) for row in table["shares"].values())
    assert table["licence"]


def test_an_experiment_file_describes_what_it_draws(tmp_path):
    table = write_csv(tmp_path / "mine.csv", rows(30))
    test = write_csv(tmp_path / "test.csv", rows(40)[30:])
    (tmp_path / "mine.toml").write_text(
        "[data.dataset]\nkind = 'files'\n"
        f"paths = ['{table}']\ntest_paths = ['{test}']\n"
        "labels = { names = ['bad', 'fair', 'good'] }\n"
    )
    found = data.describe(str(tmp_path / "mine.toml"))
    assert found["rows"] == 40
    assert found["parts"] == {"train": 30, "test": 10}
    assert found["manual"].startswith("Your own texts")
    for kind in ("files", "hub"):
        with pytest.raises(ConfigError, match=r"fedknot data describe EXPERIMENT\.toml"):
            data.describe(kind)
        with pytest.raises(ConfigError, match=f"{kind} needs no fetching"):
            data.fetch(kind)


def test_clearing_takes_what_is_ours_and_nothing_else(cache):
    path = prepared.save("vader", "0.5.2-1", {"text": []})
    older = prepared.save("vader", "0.1", {"text": []})
    size = path.stat().st_size + older.stat().st_size
    kept = [
        cache / "data" / "vader" / "mine.json",
        cache / "data" / "holiday.jpg",
        cache / "sites" / "0" / "store",
    ]
    for file in kept:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("{}")
    assert data.clear() == size
    assert not path.exists()
    assert not older.exists()
    assert all(file.exists() for file in kept)
    assert data.clear() == 0


def test_clearing_removes_empty_folders(cache):
    prepared.save("vader", "0.5.2-1", {"text": []})
    data.clear()
    assert list(cache.iterdir()) == []


def test_an_unknown_name_is_one_line_with_the_nearest():
    for ask in (data.fetch, data.describe):
        with pytest.raises(ConfigError, match="did you mean 'vader'"):
            ask("vadar")


def test_what_is_made_on_the_spot_needs_no_fetching():
    with pytest.raises(ConfigError, match="synthetic needs no fetching"):
        data.fetch("synthetic")


def test_a_false_file_is_refused(tmp_path):
    (tmp_path / "some.whl").write_bytes(b"no wheel")
    with pytest.raises(DataError, match="damaged or another release"):
        data.fetch("vader", tmp_path / "some.whl")
