import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from common import intervals, metrics
from common.seeds import stream
from tests.common.soft_predictions import FLAT, GEOMETRIES, STARS, drawn, sample

SEEDS = st.integers(0, 2**32 - 1)
FITTED = {"temperature", "sharpening_temperature"}
CALIBRATION = {"ece", "ece_classwise"}


def by_hand(probs, labels, geometry, counts, validation, gold):
    """Every metric of every draw, from rows that are really repeated."""
    rows = [np.repeat(np.arange(len(labels)), count) for count in counts]
    return [
        metrics.evaluate(
            probs[row],
            labels[row],
            geometry,
            validation=validation,
            gold=None if gold is None else gold[row],
        )
        for row in rows
    ]


def assert_equal_to_a_loop(probs, labels, geometry, counts, validation, gold):
    found = intervals.replicates(probs, labels, geometry, counts, validation=validation, gold=gold)
    looped = by_hand(probs, labels, geometry, counts, validation, gold)
    for name in metrics.METRICS:
        wanted = [row[name] for row in looped]
        if name in found:
            values = [math.nan if value is None else value for value in wanted]
            assert found[name] == pytest.approx(values, abs=1e-9, nan_ok=True), name
        else:
            assert name in FITTED or set(wanted) == {None}, name


@pytest.mark.parametrize("geometry", GEOMETRIES.values(), ids=GEOMETRIES)
@pytest.mark.parametrize("n", [3, 60])
def test_draws_equal_a_loop_over_repeated_rows(geometry, n):
    (probs, labels), (gold, _) = sample(1, n), sample(2, n)
    counts = intervals.resample(n, 25, stream(3, "draws"))
    assert_equal_to_a_loop(probs, labels, geometry, counts, sample(4), gold)


@settings(max_examples=15, deadline=None)
@given(SEEDS, st.integers(1, 12), st.integers(2, 4))
def test_so_they_do_where_labels_are_missing(seed, n, c):
    probs, labels = sample(seed, n, c)
    geometry = type(STARS).ordinal("abcd"[:c])
    counts = intervals.resample(n, 10, stream(seed, "draws"))
    assert_equal_to_a_loop(probs, labels, geometry, counts, None, None)


@pytest.mark.parametrize("geometry", GEOMETRIES.values(), ids=GEOMETRIES)
def test_intervals_equal_those_of_a_loop(geometry):
    (probs, labels), (gold, _), held_out = sample(5), sample(6), sample(7)
    found = intervals.bootstrap(
        probs, labels, geometry, validation=held_out, gold=gold, draws=80, rng=stream(8, "i")
    )
    counts = intervals.resample(60, 80, stream(8, "i"))
    looped = by_hand(probs, labels, geometry, counts, held_out, gold)
    whole = metrics.evaluate(probs, labels, geometry, validation=held_out, gold=gold)
    assert tuple(found) == metrics.METRICS
    for name, interval in found.items():
        if name in FITTED or whole[name] is None:
            assert interval is None
            continue
        values = [row[name] for row in looped]
        bias = np.mean(values) - whole[name] if name in CALIBRATION else 0.0
        wanted = np.percentile(values, [2.5, 97.5]) - bias
        assert interval == pytest.approx(np.maximum(wanted, 0) if bias else wanted, abs=1e-9)
        assert all(type(end) is float for end in interval)


def test_an_interval_agrees_with_scipy():
    probs, labels = sample(9, n=120)
    away = np.abs(probs.astype(np.float64) @ STARS.points[:, 0] - STARS.points[labels, 0])
    wanted = stats.bootstrap(
        (away,), np.mean, n_resamples=4000, method="percentile", rng=stream(1, "scipy")
    ).confidence_interval
    found = intervals.bootstrap(
        probs, labels, STARS, validation=None, draws=4000, rng=stream(2, "ours")
    )["semantic_distance_mean"]
    assert found == pytest.approx(tuple(wanted), abs=0.1 * (wanted.high - wanted.low))


@pytest.mark.parametrize("level", [0.5, 0.95])
def test_intervals_of_means_cover_the_truth_as_often_as_they_say(level):
    truth = metrics.evaluate(*drawn(0, 100_000), STARS, validation=None)
    names = ("accuracy", "semantic_distance", "macro_f1", "w1", "rps", "nll", "quadratic_kappa")
    hits = dict.fromkeys(names, 0)
    for seed in range(1, 201):
        found = intervals.bootstrap(
            *drawn(seed, 150),
            STARS,
            validation=None,
            level=level,
            draws=300,
            rng=stream(seed, "cover"),
        )
        for name in names:
            low, high = found[name]
            hits[name] += low <= truth[name] <= high
    # 200 trials: three standard errors, and the few points that small samples cost.
    margin = 3 * math.sqrt(level * (1 - level) / 200) + 0.02
    assert all(abs(count / 200 - level) < margin for count in hits.values()), hits


def test_a_calibration_error_lies_in_its_interval_though_every_draw_raises_it():
    probs, labels = drawn(1, 800)
    counts = intervals.resample(800, 300, stream(1, "i"))
    moved = intervals.replicates(probs, labels, STARS, counts, validation=None)
    found = intervals.bootstrap(
        probs, labels, STARS, validation=None, draws=300, rng=stream(1, "i")
    )
    value = metrics.ece_classwise(probs, labels)
    assert np.percentile(moved["ece_classwise"], 2.5) > value
    low, high = found["ece_classwise"]
    assert 0 <= low < value < high


def test_the_same_generator_gives_the_same_intervals_in_blocks_or_not(monkeypatch):
    def made(seed):
        return intervals.bootstrap(
            *sample(3), STARS, validation=None, draws=50, rng=stream(seed, "i")
        )

    whole = made(1)
    assert whole == made(1) != made(2)
    monkeypatch.setattr(intervals, "_BLOCK", 60 * 7)
    assert made(1)["nll"] == pytest.approx(whole["nll"])


def test_arms_that_share_rows_may_be_subtracted():
    probs, labels = drawn(1, 200)
    counts = intervals.resample(200, 100, stream(1, "i"))
    one, other = (
        intervals.replicates(p, labels, FLAT, counts, validation=None) for p in (probs, probs**2)
    )
    # The top label is the same, so the difference does not move at all.
    assert np.ptp(one["accuracy"] - other["accuracy"]) == 0
    assert np.ptp(one["accuracy"]) > 0


@pytest.mark.parametrize("n", [1, 2, 50])
def test_a_draw_holds_as_many_rows_as_there_are(n):
    counts = intervals.resample(n, 400, stream(n, "draws"))
    assert counts.shape == (400, n)
    assert set(counts.sum(axis=1)) == {n}
    # The counts of one row over draws: binomial with mean 1.
    assert counts.mean() == 1
    assert counts.var() == pytest.approx(1 - 1 / n, abs=0.1)


def test_what_no_draw_defines_has_no_interval():
    probs, labels = np.eye(3)[[1, 1, 1]], np.array([1, 1, 1])
    line = type(STARS).ordinal("abc")
    found = intervals.bootstrap(probs, labels, line, validation=None, draws=9, rng=stream(1, "i"))
    assert found["quadratic_kappa"] is None
    assert found["accuracy"] == (1.0, 1.0)
