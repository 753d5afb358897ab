"""Presets: the numbers of their sources, and which data sets they serve."""

import math

import numpy as np
import pytest

from common.label_presets import PRESETS, preset


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_a_metric_with_a_source(name):
    made = PRESETS[name]()
    assert made.is_metric
    assert "Source" in PRESETS[name].__doc__ or "1977" in PRESETS[name].__doc__
    assert name.isidentifier()
    again = preset(name, made.names)
    assert again.names == made.names
    assert np.array_equal(again.cost, made.cost)


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_follows_the_names_in_any_order_and_case(name):
    made = PRESETS[name]()
    order = np.random.default_rng(0).permutation(len(made))
    shown = [made.names[i].upper().replace(" ", "_") for i in order]
    turned = preset(name, shown)
    assert turned.names == tuple(shown)
    assert np.array_equal(turned.points, made.points[order])
    assert np.array_equal(turned.cost, made.cost[np.ix_(order, order)])


def test_grades():
    five = PRESETS["sentiment5"]()
    assert five.is_line
    assert five.cost[0].tolist() == [0, 1, 2, 3, 4]
    assert PRESETS["sentiment3"]().cost.tolist() == five.cost[1:4, 1:4].tolist()
    assert PRESETS["nli"]().is_line


def test_knot_trains_stars_in_six_dimensions():
    made = PRESETS["knot_sentiment"]()
    assert made.points.shape == (5, 6)
    assert made.cost[0] == pytest.approx([0, *map(math.sqrt, (3, 6, 11, 18))])
    assert made.points[:, 5].tolist() == [-2, -1, 0, 1, 2]


def test_knot_trains_emotions_without_distances():
    made = PRESETS["emotion5_one_hot"]()
    assert made.cost == pytest.approx(math.sqrt(2) * (1 - np.eye(5)))


def test_emotions_on_the_circumplex():
    five = PRESETS["emotion5"]()
    anger, joy = five.names.index("anger"), five.names.index("happiness")
    assert five.cost[anger, joy] == pytest.approx(math.hypot(1.3, 0.6))
    seven = PRESETS["emotion7"]()
    anger, fear = seven.names.index("anger"), seven.names.index("fear")
    assert seven.cost[anger, fear] == pytest.approx(math.hypot(0.13, 0.01))
    assert seven.mean_cost / seven.cost[anger, fear] == pytest.approx(7, rel=0.1)
    assert np.all(np.abs(seven.points) <= 1)


MELD = ["neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger"]


def test_data_sets_are_served_as_they_spell():
    assert preset("emotion7", MELD).names == tuple(MELD)
    inference = preset("nli", ["NEUTRAL", "ENTAILMENT", "CONTRADICTION"])
    assert inference.points.tolist() == [[0], [1], [-1]]
    assert preset("sentiment5", list("12345")).is_line
    falling = preset("sentiment5", ["5 stars", "4 stars", "3 stars", "2 stars", "1 star"])
    assert falling.points[:, 0].tolist() == [2, 1, 0, -1, -2]
    dialogues = ["no emotion", "Anger", "Joy", "Sadness", "Surprise"]
    assert preset("emotion5", dialogues).points[0].tolist() == [0, 0]


@pytest.mark.parametrize(
    "labels",
    [MELD[:-1], [*MELD, "boredom"], [*MELD[:-1], "boredom"], [*MELD, "happiness"], list("abcdefg")],
)
def test_other_labels_are_refused_with_what_is_expected(labels):
    with pytest.raises(
        ValueError, match=r"^name: emotion7 is for the labels anger, disgust"
    ) as told:
        preset("emotion7", labels)
    assert str(told.value).endswith(f"the data set has {', '.join(labels)}")
