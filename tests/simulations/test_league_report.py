"""The page of a league: who may be the best, what is drawn, and what is said to be missing."""

import re
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

import simulations
from common.configure import load
from simulations.ranking.definition import League
from simulations.ranking.figures import cast, ladder, price
from simulations.ranking.report import build_league_report
from simulations.ranking.standing import beaten, standing
from simulations.ranking.table import tabulate

SEEDS = [0, 1, 2, 3, 4]


def arms(*names):
    return [{"name": name, "title": f"Arm {name}", "set": []} for name in names]


def told(values, *more, refused=(), **setting):
    """``league.json`` of arms with these accuracies by seed; None is a cell that is missing."""
    settings = [
        {"name": "tiny", "title": "Tiny world", "experiment": "synthetic"},
        {"name": "other", "title": "Other world", "experiment": "synthetic"},
    ]
    names = [arm["name"] for arm in more]
    league = {
        "settings": settings,
        "arms": [*more, *arms(*(name for name in values if name not in names))],
        "choosing": {"seeds": [100]},
        "references": [name for name in ("b", "together") if name in (*values, *names)],
        "seeds": SEEDS,
    }
    rows = {
        (name, seed): cell(value, 1000.0 * (1 + len(name) // 4))
        for name, found in values.items()
        for seed, value in enumerate(found)
        if value is not None
    }
    for name in refused:
        rows[name, 0] = {"refused": "it has no raters"}
    skipped = {"other": "sick is not here"}
    return tabulate("x", load(League, league), "final", {"tiny": rows}, skipped)


def cell(value, size):
    return {
        "raw": {"accuracy": value, "semantic_distance": 1 - value, "ece": 0.1},
        "fitted": {"semantic_distance": 1 - value},
        "sharpened": {},
        "bytes": size,
        "seconds": 1.0,
    }


def draw(rng, means, spread=0.02):
    shared = rng.normal(0, 0.05, len(SEEDS))
    return {
        name: list(mean + shared + rng.normal(0, spread, len(SEEDS)))
        for name, mean in means.items()
    }


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("measure", ["accuracy", "distance"])
def test_an_arm_is_ruled_out_where_scipy_finds_a_better_one(seed, measure):
    values = draw(np.random.default_rng(seed), {"a": 0.5, "b": 0.48, "c": 0.4, "d": 0.35})
    found = standing(told(values)["settings"][0], measure)
    best = max(values, key=lambda name: np.mean(values[name]))
    out = {
        name
        for name in values
        if any(
            stats.ttest_rel(values[name], rival, alternative="less").pvalue < 0.05 / 3
            for rival in values.values()
            if rival is not values[name]
        )
    }
    assert found.best["name"] == best
    assert {arm["name"] for arm in found.worse} == out - {best}
    assert {arm["name"] for arm in found.tied} == values.keys() - out - {best}


def test_the_truly_best_is_seldom_ruled_out():
    """At most .05 of tables; of 200, 95 of 100 binomial counts are at most 15."""
    rng, lost = np.random.default_rng(7), 0
    for _ in range(200):
        values = draw(rng, {"a": 0.5, "b": 0.5, "c": 0.5, "d": 0.45})
        found = standing(told(values)["settings"][0], "accuracy")
        lost += not found.has({"name": "a"})
    assert lost <= stats.binom.ppf(0.95, 200, 0.05)


def test_with_one_common_seed_nothing_is_ruled_out():
    values = {"a": [0.9, 0.9, None, None, None], "b": [None, 0.1, 0.1, 0.1, 0.1]}
    found = standing(told(values)["settings"][0], "accuracy")
    assert [arm["name"] for arm in found.tied] == ["b"]
    assert found.worse == ()


def test_what_beats_the_reference_is_on_the_better_side():
    values = {
        "a": [0.60, 0.61, 0.62, 0.63, 0.64],
        "b": [0.40, 0.412, 0.421, 0.43, 0.442],
        "c": [0.20, 0.211, 0.22, 0.232, 0.24],
    }
    setting = told(values)["settings"][0]
    for measure in ("accuracy", "distance"):
        assert [arm["name"] for arm in beaten(setting, "b", measure)] == ["a"]


TOGETHER = {"name": "together", "title": "All texts", "yardstick": "centralised"}
PERSON = {"name": "person", "title": "One rater", "human": True}
FEDAVG = {"name": "fedavg", "title": "Parameters", "yardstick": "fedavg"}
BOUNDED = {
    "a": [0.5, 0.52, 0.54, 0.56, None],
    "b": [0.3, 0.31, 0.33, 0.34, 0.36],
    "together": [0.8, 0.81, 0.82, 0.83, 0.84],
    "fedavg": [0.4, 0.41, 0.42, 0.43, 0.44],
    "person": [0.9, 0.9, 0.9, 0.9, 0.91],
}


def test_bounds_do_not_compete_and_are_lines():
    made = told(BOUNDED, TOGETHER, FEDAVG, PERSON)
    setting = made["settings"][0]
    standings = {measure: standing(setting, measure) for measure in ("accuracy", "distance")}
    assert standings["accuracy"].best["name"] == "a"
    drawn = cast(setting, made["references"], standings)
    assert [arm["name"] for arm in drawn.rows] == ["a", "fedavg", "b"]
    assert {arm["name"] for arm in drawn.bounds} == {"together", "person", "b"}
    axes = ladder(drawn).axes[0]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == [
        "1. Arm a",
        "2. Parameters",
        "3. Arm b",
    ]
    assert {text.get_text() for text in axes.get_legend().get_texts()} == {
        "All texts: 0.820",
        "One rater: 0.902",
        "Arm b: 0.328",
    }
    columns = [tick.get_text() for tick in price(drawn).axes[0].get_xticklabels()]
    assert columns == ["1.0", "2.0"]


def test_the_page_says_what_is_missing_and_why():
    page = build_league_report(told(BOUNDED, TOGETHER, FEDAVG, PERSON))
    assert "24 of 25 cells" in page
    assert "seed 4 of Arm a" in page
    assert "sick is not here" in page
    assert "Nothing is measured in</strong>: Other world" in page
    values = {name: found for name, found in BOUNDED.items() if name != "person"}
    page = build_league_report(told(values, TOGETHER, FEDAVG, PERSON, refused=["person"]))
    assert "One rater (refused: it has no raters)" in page


def test_the_page_says_what_is_best_and_what_bytes_buy():
    page = build_league_report(told(BOUNDED, TOGETHER, FEDAVG, PERSON))
    text = re.sub(r"\s+", " ", page)
    assert "<strong>Best accuracy</strong>: Arm a, 0.530. 0 of 1 others may be the best" in text
    assert "The most accurate takes 1.0 kB per client" in text
    assert "Parameters: 2.0 kB, 2 times as much." in text
    assert "Clearly better than the reference, Arm b</strong>: In accuracy: Arm a." in text


def test_the_page_is_self_contained_and_the_same_every_time():
    made = told(BOUNDED, TOGETHER, FEDAVG, PERSON)
    page = build_league_report(made)
    assert page == build_league_report(made)
    assert page.count("<svg") == 2
    assert not re.search(r'(?:src|href)="(?!#)', page)
    assert "http" not in page.replace("http://www.w3.org", "")


def test_a_league_of_which_nothing_is_measured_has_a_page():
    page = build_league_report(told({"a": [None] * 5}))
    assert "0 of 5 cells" in page
    assert "<svg" not in page


def test_one_seed_of_one_arm_is_enough_for_a_page():
    page = build_league_report(told({"a": [0.5, None, None, None, None]}))
    assert "Any of the others" not in page
    assert "1 of 5 cells" in page


def test_every_page_is_framed_by_the_one_base():
    """Nobody copies the head or the style sheet."""
    pages = list(Path(simulations.__file__).parent.rglob("*.html"))
    framed = [path.name for path in pages if "<!doctype" in path.read_text("utf-8").lower()]
    assert framed == ["base.html"]
