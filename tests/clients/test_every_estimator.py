"""Every classifier of scikit-learn that an experiment can name, on shards of any size."""

import re
import warnings
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from sklearn.utils import all_estimators

from clients.client import Client
from clients.config import ClientConfig
from clients.store import Store
from clients.teachers._sklearn import make
from clients.teachers.sklearn import Sklearn
from common.configure import load
from common.failures import ConfigError
from common.messages import Question
from common.seeds import stream
from tests.worlds import stocked, tiny_with

C = 4
DOCS = Path(__file__).parents[2] / "docs" / "teachers.md"
MORE = {
    "SVC": {"probability": True},
    "NuSVC": {"probability": True},
    "SGDClassifier": {"loss": "log_loss"},
}
"""Settings without which there is no ``predict_proba``."""
SHARDS = {"40": np.arange(40) % C, "39+1": np.repeat([0, 1], [39, 1]), "2": np.array([0, 1])}


def spelt(cls):
    """As an experiment names it: the public module and the class."""
    module = cls.__module__.split(".")[1:]
    public = next((i for i, part in enumerate(module) if part.startswith("_")), len(module))
    return ".".join([*module[:public], cls.__name__])


CLASSIFIERS = {spelt(cls): cls for _, cls in all_estimators(type_filter="classifier")}


@cache
def settings(name):
    """What an experiment needs to write; little work, for time. None: it cannot be written."""
    own = MORE.get(name.rpartition(".")[2], {})
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # some are about to leave
            known = make(name, own).get_params(deep=False)
    except ConfigError:
        return None
    few = {"n_estimators": 5, "Cs": 2}
    if "Gradient" in name or "MLP" in name:
        few["max_iter"] = 20
    return own | {key: value for key, value in few.items() if key in known}


SERVING = [name for name in CLASSIFIERS if settings(name) is not None]


@cache
def texts():
    rng = stream(0, "texts")
    words = [f"w{i}" for i in range(30)]
    return [" ".join(rng.choice(words, 6)) for _ in range(40)]


def taught(name, labels, **more):
    recipe = Sklearn(estimator=name, settings=settings(name), max_words=30, ngrams=1, **more)
    return recipe.fit(texts()[: len(labels)], labels, C, stream(0, "fit"))


def test_most_classifiers_can_serve():
    assert len(SERVING) >= 25
    assert {"discriminant_analysis.QuadraticDiscriminantAnalysis", "svm.SVC"} <= {*SERVING}


@pytest.mark.parametrize("name", SERVING)
@pytest.mark.parametrize("size", SHARDS)
def test_answers_are_distributions_and_each_stands_alone(name, size):
    made, asked = taught(name, SHARDS[size]), [*texts()[:5], "", "unheard of"]
    probs = made.predict(asked)
    assert probs.shape == (7, C)
    assert (probs > 0).all()
    np.testing.assert_allclose(probs.sum(axis=1), 1, atol=1e-5)
    alone = np.concatenate([made.predict([text]) for text in asked[-3:]])
    np.testing.assert_allclose(alone, probs[-3:], atol=1e-6)


@pytest.mark.parametrize(
    ("name", "size", "error"),
    [
        ("calibration.CalibratedClassifierCV", "39+1", "ValueError"),
        ("discriminant_analysis.LinearDiscriminantAnalysis", "2", "ValueError"),
        ("discriminant_analysis.QuadraticDiscriminantAnalysis", "40", "LinAlgError"),
    ],
)
def test_a_shard_too_small_gives_its_frequencies_and_says_so(name, size, error):
    labels = SHARDS[size]
    made = taught(name, labels, floor=1e-9)
    expected = np.bincount(labels, minlength=C) / len(labels)
    np.testing.assert_allclose(made.predict(["w1 w2"]), [expected], atol=1e-6)
    assert error in made.remark()
    assert "\n" not in made.remark()
    again = made.recipe.restore(made.tensors(), C)
    np.testing.assert_array_equal(again.predict(["w1 w2"]), made.predict(["w1 w2"]))


def test_only_the_texts_without_an_answer_get_the_frequencies():
    labels = SHARDS["40"][:30]
    near = {"radius": 0.5}
    recipe = Sklearn("neighbors.RadiusNeighborsClassifier", near, floor=1e-9)
    made = recipe.fit(texts()[:30], labels, C, stream(0))
    probs = made.predict([texts()[2], "unheard of"])
    np.testing.assert_allclose(probs[0], np.eye(C)[labels[2]], atol=1e-6)
    np.testing.assert_allclose(probs[1], np.bincount(labels, minlength=C) / 30, atol=1e-6)
    assert "no answer to 1 of 2 texts" in made.remark()


def test_an_estimator_that_does_well_has_no_remark():
    made = taught("linear_model.LogisticRegression", SHARDS["40"])
    made.predict(texts())
    assert made.remark() == ""


def test_settings_that_fit_no_shard_are_not_hidden():
    """What no number of texts would mend is an error, as it always was."""
    wrong = {"solver": "newton-cholesky", "l1_ratio": 1.0}
    recipe = Sklearn(settings=wrong)
    made = recipe.fit(texts(), SHARDS["40"], C, stream(0))
    with pytest.raises(ValueError, match="newton-cholesky"):
        made.predict(["w1"])


def test_a_client_notes_it_in_its_own_log_and_answers(tmp_path):
    name = "discriminant_analysis.QuadraticDiscriminantAnalysis"
    override = f"clients.teacher = {{ kind = 'sklearn', estimator = '{name}' }}"
    folder = stocked(tiny_with(override), tmp_path / "run")
    store = Store(folder / "clients" / "1")
    client = Client(store)
    client.encode()
    client.train()
    assert client.answer(Question(1, 1, store.terms().binding)).payload
    lines = (store.root / "log.txt").read_text().splitlines()
    assert lines == [
        "the estimator cannot be fitted to this shard (LinAlgError); the frequencies of its "
        "labels are answered instead"
    ]


def test_the_page_names_every_classifier_that_cannot_serve():
    text = DOCS.read_text()
    for name in CLASSIFIERS:
        if settings(name) is None:
            short = name.rpartition(".")[2]
            assert re.search(rf"`{short}`", text), short


def test_who_needs_another_estimator_is_refused_in_one_line():
    recipe = {"kind": "sklearn", "estimator": "ensemble.VotingClassifier"}
    with pytest.raises(ConfigError, match="does not take these settings") as refusal:
        load(ClientConfig, {"teacher": recipe})
    assert "\n" not in str(refusal.value)
