"""A sweep over the user's own files keeps no figures of what they held before."""

import pytest

from common.configure import load
from common.files import read_json, write_json
from simulations.sweeping.asked import typed
from simulations.sweeping.sweep import How, complaint, sweep
from tests.tables import LABELS, own_experiment, rows, turn_labels, write_csv

NOTE = "2 cells were run anew, for the data has changed since"


@pytest.fixture
def again(tmp_path):
    """Sweep over a table of the user's, as often as called."""
    own = str(own_experiment(tmp_path))
    asked = typed(own, ["server.loss = ['transport', 'kl']"], (0,))

    def call():
        told = []
        folder = sweep(asked, tmp_path / "out", How(), lambda *event: told.append(event))
        return read_json(folder / "sweep.json"), len(told)

    return call


def students(made):
    return [cell["student"] for cell in made["cells"]]


def test_a_changed_file_is_run_anew_and_it_is_said(again, tmp_path):
    first, _ = again()
    assert complaint(first, tmp_path) is None
    assert again() == (first, 0)
    turn_labels(tmp_path)
    second, done = again()
    assert done > 0
    assert NOTE in second["notes"]
    assert complaint(second, tmp_path) is None
    assert all(a != b for a, b in zip(students(first), students(second), strict=True))
    assert NOTE in (tmp_path / "out" / "report.html").read_text()
    assert (
        "is begun anew: content of data.dataset"
        in (tmp_path / "out" / "logs" / "cells.log").read_text()
    )
    third, done = again()
    assert done == 0
    assert students(third) == students(second)
    assert NOTE not in third["notes"]


def test_what_a_cell_does_not_say_and_what_is_not_there_is_no_reason(again, tmp_path):
    first, _ = again()
    (tmp_path / "reviews.csv").rename(tmp_path / "elsewhere.csv")
    assert again() == (first, 0)
    turn_labels(tmp_path)
    for path in (tmp_path / "out" / "cells").glob("*/checkpoint/private/identity.json"):
        write_json(path, {k: v for k, v in read_json(path).items() if k != "content"})
    assert again() == (first, 0)


def test_hub_folders_have_a_content(tmp_path):
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()

    def hub(**settings):
        from simulations.datasets.hub import Hub

        return load(Hub, {"labels": LABELS} | settings)

    for name, count in (("a", 60), ("b", 60), ("c", 59)):
        datasets.Dataset.from_list(rows(count)).save_to_disk(tmp_path / name)
    one, other, less = (hub(path=str(tmp_path / name)) for name in "abc")
    before = one.content()
    assert before in one.provenance()
    assert before != less.content() != other.content()
    (tmp_path / "a" / "cache-1.arrow").write_bytes(b"of the library")
    assert one.content() == before
    table = write_csv(tmp_path / "x.csv", rows(4))
    local = hub(name="csv", data_files=str(tmp_path / "*.csv"))
    before = local.content()
    assert before in local.provenance()
    table.write_text(table.read_text().replace("good", "fair"))
    assert local.content() not in (before, "")
    assert hub(name="some/where", data_files=str(tmp_path / "*.csv")).content() == ""
