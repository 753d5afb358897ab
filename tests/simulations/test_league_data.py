"""A league over the user's own files keeps no figures of what they held before."""

import pytest
import tomli_w
import torch

from common.failures import FolderError
from common.files import read_json, read_lines, write_json, write_lines
from simulations.events import silent
from simulations.ranking import task
from simulations.ranking.league import Call, run_league
from tests.tables import own_experiment, rows, turn_labels, write_csv

KL = {"name": "kl", "title": "KL", "set": ["server.loss = 'kl'"]}
OWN = {"name": "own", "title": "own"}


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def again(tmp_path):
    """A league over a table of the user's, run as often as called."""
    own = str(own_experiment(tmp_path))
    setting = {"name": "mine", "title": "mine", "experiment": own}
    league = {
        "settings": [setting],
        "arms": [KL, OWN],
        "choosing": {"seeds": [9]},
        "references": ["kl"],
        "seeds": [0],
    }
    (tmp_path / "league.toml").write_text(tomli_w.dumps(league))

    def call(stage):
        folder = run_league(Call(str(tmp_path / "league.toml"), stage), tmp_path / stage, silent)
        (found,) = read_json(folder / "league.json")["settings"]
        return found, len(read_lines(folder / "cells.jsonl"))

    return call


def raw(found):
    return [arm["raw"] for arm in found["arms"]]


def test_while_choosing_a_changed_file_is_measured_anew(again, tmp_path):
    first, cells = again("choose")
    assert again("choose") == (first, cells)
    turn_labels(tmp_path)
    second, more = again("choose")
    assert more == 2 * cells
    assert all(a != b for a, b in zip(raw(first), raw(second), strict=True))
    assert again("choose") == (second, more)


def test_a_run_of_other_data_that_was_interrupted_is_begun_anew(again, tmp_path):
    """Its folder is still there, and so is what its clients sent."""
    first, _ = again("choose")
    (tmp_path / "choose" / "cells.jsonl").write_bytes(b"")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(task, "check", _stop)
        with pytest.raises(KeyboardInterrupt):
            again("choose")
    assert list((tmp_path / "choose" / "runs").iterdir())
    turn_labels(tmp_path)
    second, _ = again("choose")
    assert all(a != b for a, b in zip(raw(first), raw(second), strict=True))


def _stop(*_):
    raise KeyboardInterrupt


def test_on_test_rows_a_changed_file_is_refused(again, tmp_path):
    first, cells = again("final")
    turn_labels(tmp_path)
    with pytest.raises(FolderError, match=r"data of setting mine has changed .*put back") as told:
        again("final")
    assert "\n" not in str(told.value)
    write_csv(tmp_path / "reviews.csv", rows(240))
    assert again("final") == (first, cells)


def test_what_is_not_there_and_what_was_not_said_is_no_reason(again, tmp_path):
    first, cells = again("final")
    (tmp_path / "reviews.csv").rename(tmp_path / "elsewhere.csv")
    assert again("final") == (first, cells)
    (tmp_path / "elsewhere.csv").rename(tmp_path / "reviews.csv")
    folder = tmp_path / "final"
    frozen, kept = folder / "frozen.json", folder / "cells.jsonl"
    write_json(frozen, {k: v for k, v in read_json(frozen).items() if k != "content"})
    older = [{k: v for k, v in row.items() if k != "content"} for row in read_lines(kept)]
    write_lines(kept, older)
    found, count = again("final")
    assert (raw(found), count) == (raw(first), cells)
