import numpy as np
import pytest

from common.labels import LabelGeometry
from simulations.datasets import Corpus

GOOD = {
    "texts": ("a", "b", "c"),
    "labels": np.array([0, 1, 1]),
    "geometry": LabelGeometry.ordinal(["no", "yes"]),
    "group_names": ("x", "y"),
    "groups": np.array([0, 1, 0]),
    "documents": np.array([5, 5, 9]),
    "gold": np.array([[1.0, 0.0], [0.5, 0.5], [0.25, 0.75]]),
}


def test_a_corpus_is_as_long_as_its_texts():
    assert len(Corpus(**GOOD)) == 3
    assert Corpus(**GOOD | {"gold": None}).gold is None
    assert Corpus(**GOOD).parts is None
    assert Corpus(**GOOD | {"parts": np.array([2, 2, 0])}).parts.tolist() == [2, 2, 0]


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("labels", np.array([0, 1]), "labels must be 3 integers"),
        ("labels", np.array([0.0, 1.0, 1.0]), "labels must be 3 integers"),
        ("labels", np.array([0, 1, 2]), r"labels must lie in 0\.\.1"),
        ("labels", np.array([0, 1, -1]), r"labels must lie in 0\.\.1"),
        ("groups", np.array([0, 1, 2]), r"groups must lie in 0\.\.1"),
        ("documents", np.array([[5], [5], [9]]), "documents must be 3 integers"),
        ("parts", np.array([0, 0]), "parts must be 3 integers"),
        ("parts", np.array([0, 0, 3]), r"parts must lie in 0\.\.2"),
        ("parts", np.array([0, 2, 2]), "a document must lie in one part"),
        ("gold", np.ones((3, 3)) / 3, "gold has shape"),
        ("gold", np.array([[1.0, 0.0], [0.5, 0.6], [0.0, 1.0]]), "distribution"),
        ("gold", np.array([[1.0, 0.0], [-0.5, 1.5], [0.0, 1.0]]), "distribution"),
        ("gold", np.array([[1.0, 0.0], [np.nan, 0.5], [0.0, 1.0]]), "distribution"),
    ],
)
def test_what_does_not_fit_together_is_refused(field, value, message):
    with pytest.raises(ValueError, match=message):
        Corpus(**GOOD | {field: value})
