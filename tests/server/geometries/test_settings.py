"""What components make of their settings, and the one line that a wrong one gets."""

import numpy as np
import pytest

from common.configure import load
from common.encoders.hashing import Hashing
from common.encoders.sentence import Sentence
from common.failures import ConfigError
from common.labels import LabelGeometry
from server.geometries import Geometry
from server.geometries.label_names import LabelNames
from server.geometries.ordinal import Ordinal
from server.geometries.points import Points
from server.geometries.preset import Preset

GRADES = LabelGeometry.ordinal(list("abcde"), (-2.2, -1, 0, 1, 2.2))
AWFUL = LabelGeometry.ordinal(["really very bad", "very bad", "bad", "so so", "good"])


def refusal(**table):
    with pytest.raises(ConfigError) as told:
        load(Geometry, table, "server.geometry").build(GRADES)
    assert "\n" not in str(told.value)
    return str(told.value)


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"kind": "ordinal", "positions": [0, 1, 2]}, ".positions: 5 increasing numbers are"),
        ({"kind": "ordinal", "positions": [0, 1, 2]}, "needed, got 3"),
        ({"kind": "ordinal", "positions": [0, 1, 3, 2, 4]}, "got [0.0, 1.0, 3.0, 2.0, 4.0]"),
        ({"kind": "ordinal", "positions": 3}, "server.geometry.positions must be a list"),
        ({"kind": "points"}, "server.geometry.points is missing"),
        ({"kind": "points", "points": [[0], [1]]}, ".points: one entry for each of 5 labels"),
        ({"kind": "points", "points": [[0]] * 4 + [[0, 1]]}, ".points: all 5 rows need the same"),
        ({"kind": "points", "points": [[0]] * 5, "p": 0}, "server.geometry.p must be more than 0"),
        ({"kind": "matrix", "cost": [[0, 1], [1, 0]]}, "server.geometry.cost: one entry for each"),
        ({"kind": "matrix", "cost": (np.eye(5) - 1).tolist()}, ".cost: 'a' to 'b' is -1"),
        ({"kind": "tree", "edges": [["a", "b", 1]]}, "server.geometry.edges: the label 'c'"),
        ({"kind": "tree", "edges": [["a", "b"]]}, "server.geometry.edges.0.2 is missing"),
        ({"kind": "preset", "name": "emotion6"}, "unknown preset 'emotion6'; did you"),
        ({"kind": "preset", "name": "emotion7"}, ".name: emotion7 is for the labels anger"),
        ({"kind": "permuted", "order": [0, 1]}, ".order: a permutation of 0 to 4 is needed"),
        ({"kind": "permuted", "order": [4, 3, 2, 1, 0]}, ".order: this one changes no distance"),
        ({"kind": "permuted", "order": [0, 1, 2, 3, 4]}, ".order: this one changes no distance"),
        ({"kind": "permuted", "seed": -1}, "server.geometry.seed must be at least 0"),
        ({"kind": "learned", "rate": 0}, "server.geometry.rate must be more than 0"),
        ({"kind": "learned", "epsilon": 0.001}, "server.geometry.epsilon must be at least 0.01"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(table, says):
    line = refusal(**table)
    assert line.startswith("server.geometry")
    assert says in line


def test_positions_are_optional():
    assert Ordinal().build(GRADES).points[:, 0].tolist() == [0, 1, 2, 3, 4]
    assert Ordinal((0, 1, 2, 3, 9)).build(GRADES).cost[0].tolist() == [0, 1, 2, 3, 9]


def test_points_may_cost_a_power():
    square = ((0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0), (2.0, 0.0))
    assert Points(square, p=2.0).build(GRADES).cost[0] == pytest.approx([0, 1, 1, 2, 4])


def test_a_preset_takes_the_names_of_the_data_set():
    data = LabelGeometry.ordinal(["CONTRADICTION", "NEUTRAL", "ENTAILMENT"])
    made = Preset("nli").build(data)
    assert made.names == data.names
    assert made.points.tolist() == [[-1], [0], [1]]


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_names_that_share_words_are_near_and_the_scale_is_the_data_sets(metric):
    made = LabelNames(Hashing(), metric).build(AWFUL)
    assert made.mean_cost == pytest.approx(AWFUL.mean_cost)
    assert made.cost[0].argsort().tolist()[:3] == [0, 1, 2]
    assert made.cost[0, 1] < made.cost[0, 3]


def test_cosine_is_one_minus_the_cosine_up_to_scale():
    features = Hashing().encode(list(AWFUL.names)).astype(float)
    directions = features / np.linalg.norm(features, axis=1, keepdims=True)
    expected = 1 - directions @ directions.T
    made = LabelNames(Hashing(), "cosine").build(AWFUL).cost
    assert made * (expected.sum() / made.sum()) == pytest.approx(expected, abs=1e-6)


def test_underlines_are_spaces():
    written = LabelGeometry.ordinal([name.replace(" ", "_") for name in AWFUL.names])
    made = LabelNames(Hashing()).build(written)
    assert made.names == written.names
    assert np.array_equal(made.cost, LabelNames(Hashing()).build(AWFUL).cost)


def test_names_that_an_encoder_cannot_tell_apart_are_refused():
    marks = LabelGeometry.ordinal(["A", "a"])
    with pytest.raises(ConfigError, match=r"server\.geometry\.encoder: it reads all label names"):
        LabelNames(Hashing()).build(marks)


def test_a_language_model_is_the_default():
    emotions = LabelGeometry.discrete(["joy", "happiness", "anger"])
    assert LabelNames().encoder == Sentence(dtype="float32")
    made = LabelNames().build(emotions)
    assert made.cost[0, 1] < made.cost[0, 2]
    assert made.mean_cost == pytest.approx(1)
