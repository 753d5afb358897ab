"""What grows over many rounds: slopes against scipy, and a short run that is really watched."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from common.failures import Failure, FolderError
from simulations import cli
from simulations.benches import rounds
from simulations.benches._gauge import Sample, Shelf
from simulations.benches._growth import growth, pace, storage
from simulations.benches._slope import Slope, slope
from simulations.events import silent
from tests.simulations.watched_commands import FEDKNOT, python


@given(st.integers(0, 2**32 - 1), st.integers(3, 60), st.floats(-5, 5))
def test_slope_and_interval_are_those_of_scipy(seed, points, steep):
    rng = np.random.default_rng(seed)
    x = rng.uniform(-100, 100, points)
    y = 1e5 + steep * x + rng.standard_normal(points)
    found, expected = slope(x, y), stats.linregress(x, y)
    reach = expected.stderr * stats.t.ppf(0.975, points - 2)
    assert found.value == pytest.approx(expected.slope, rel=1e-6, abs=1e-9)
    assert found.low == pytest.approx(expected.slope - reach, rel=1e-5, abs=1e-7)
    assert found.high == pytest.approx(expected.slope + reach, rel=1e-5, abs=1e-7)


def test_slope_by_hand():
    """y = x + (0, 1, 0, -1): residuals and standard error by hand."""
    found = slope([0, 1, 2, 3], [0, 2, 2, 2])
    assert found.value == pytest.approx(0.6)
    error = np.sqrt(((0.6**2 + 0.8**2 + 0.2**2 + 0.4**2) / 2) / 5)
    assert found.high == pytest.approx(0.6 + stats.t.ppf(0.975, 2) * error)
    assert found.is_flat


@pytest.mark.parametrize("points", [([], []), ([1, 2], [3, 4]), ([5, 5, 5], [1, 2, 3])])
def test_too_little_for_a_line(points):
    assert slope(*points) is None


def test_flat_is_an_interval_that_reaches_0():
    assert Slope(0.1, -0.1, 0.3).is_flat
    assert not Slope(0.1, 0.05, 0.15).is_flat


def test_pace():
    assert pace([1.0, *[2.0] * 18, 5.0]) == {"mean": 2.1, "first": 1.5, "last": 3.5}
    assert pace([4.0]) == {"mean": 4.0, "first": 4.0, "last": 4.0}


def grown(kb_per_round, noise=0.0, kind="serve"):
    """A process of 100 MB over 100 rounds; its first and last moments are quite other."""
    rng = np.random.default_rng(0)
    memory = [1e5 + kb_per_round * n + noise * rng.standard_normal() for n in range(100)]
    made = [Sample(n, kind, 1, kb, kb / 2, 20) for n, kb in enumerate(memory)]
    return [Sample(0, kind, 1, 1.0, 1.0, 1), *made, Sample(100, kind, 1, 9e9, 9e9, 900)]


@pytest.mark.parametrize(
    ("kb", "noise", "flat"),
    [(0.0, 50.0, True), (1.0, 0.1, True), (30.0, 10.0, False), (-30.0, 1.0, True)],
)
def test_growth_is_of_the_last_rounds_and_little_is_none(kb, noise, flat):
    """1 kB per round is 0.1 % of 100 MB after 100 rounds; 30 are 3 %; shrinking is no growth."""
    made = growth(grown(kb, noise), 100)["serve"]
    assert made["rss"]["value"] == pytest.approx(kb, abs=0.5)
    assert made["rss"]["flat"] is flat
    assert made["uss"]["value"] == pytest.approx(kb / 2, abs=0.5)
    assert made["rss_mb"] == pytest.approx(100 + 0.0625 * kb, abs=0.05)
    assert (made["descriptors"], made["descriptors_slope"]["flat"]) == (20, True)


def test_what_is_there_for_a_moment_only_is_left_out():
    brief = [Sample(100, "observe", 1, 5.0, None, None), Sample(50, "idle", 1, 5.0, None, None)]
    assert growth([*grown(0.0), *brief], 100).keys() == {"serve"}


def test_what_the_system_does_not_tell_is_not_told():
    bare = [Sample(n, "worker", 2, 1e5, None, None) for n in range(100)]
    made = growth(bare, 100)["worker"]
    assert (made["uss_mb"], made["uss"], made["descriptors"], made["processes"]) == (
        None,
        None,
        None,
        2,
    )


def test_storage():
    shelves = [Shelf(n, 10 + 3 * n, 1000 + 500 * n) for n in range(101)]
    made = storage(shelves, 100)
    assert made["files_per_round"]["value"] == pytest.approx(3)
    assert made["bytes_per_round"]["value"] == pytest.approx(500)
    assert (made["files"], made["bytes"]) == (310, 51000)
    assert made["by_round"][0] == {"round": 0, "files": 10, "bytes": 1000}
    assert made["by_round"][-1] == {"round": 100, "files": 310, "bytes": 51000}
    assert len(made["by_round"]) <= 21


@pytest.mark.timeout(600)
def test_a_run_is_watched(tmp_path, monkeypatch, capsys):
    """By the command, inline, with the files that lie there afterwards."""
    monkeypatch.setattr(rounds, "COMMAND", FEDKNOT)
    monkeypatch.setattr(rounds, "SAMPLE_SECONDS", 0.05)
    # Rounds are short: with fewer of them a machine at leisure is done before the third sample.
    sizes = ["--rounds", "100", "--clients", "4", "--backend", "inline"]
    words = ["bench", "rounds", *sizes, "--out", str(tmp_path / "out"), "--json"]
    assert cli.app(words, standalone_mode=False) in (None, 0)
    made = json.loads(capsys.readouterr().out)
    assert made["processes"].keys() == {"driver"}
    assert made["processes"]["driver"]["processes"] == 1
    assert 50 < made["processes"]["driver"]["rss_mb"] < 2000
    assert made["seconds_per_round"]["mean"] > 0
    files = [path for path in (tmp_path / "out" / "run").rglob("*") if path.is_file()]
    assert made["folder"]["files"] == len(files)
    assert made["folder"]["bytes"] == sum(path.stat().st_size for path in files)
    shown = rounds.lines(made)
    assert any(line.startswith("driver") for line in shown)


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.timeout(1200)
def test_a_run_is_watched_on_ray():
    made = rounds.rounds_bench(30, 4, "ray", silent, every=0.2, command=FEDKNOT)
    assert made["processes"].keys() >= {"serve", "worker", "daemon", "driver", "cluster"}
    assert made["processes"]["serve"]["descriptors"] > 5


def test_a_run_that_fails_is_reported(tmp_path):
    broken = python("print('fedknot: no luck'); raise SystemExit(4)")
    with pytest.raises(Failure, match="no luck"):
        rounds.rounds_bench(2, 2, "inline", silent, every=0.05, command=broken)
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(FolderError, match="not empty"):
        rounds.rounds_bench(2, 2, "inline", silent, out=tmp_path)
