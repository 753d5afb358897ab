"""Every classifier of scikit-learn that an experiment can name, on shards of any size."""

import inspect
import re
import tomllib
import warnings
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MaxAbsScaler
from sklearn.utils import all_estimators

from clients.client import Client
from clients.config import ClientConfig
from clients.store import Store
from clients.teachers._estimators import check, check_weights, fix, make
from clients.teachers.sklearn import Sklearn
from common.configure import load
from common.failures import ConfigError
from common.messages import Question
from common.seeds import stream
from tests.worlds import stocked, tiny_with

C = 4
DOCS = Path(__file__).parents[2] / "docs" / "teachers.md"
INNER = {"estimator": "multinomial_nb", "settings": {"alpha": 0.3}}
MORE = {
    "SVC": {"probability": True},
    "NuSVC": {"probability": True},
    "SGDClassifier": {"loss": "log_loss"},
    "StackingClassifier": {"final_estimator": INNER},
    "VotingClassifier": {"voting": "soft"},
}
"""Settings without which there is no ``predict_proba``."""
SHARDS = {"40": np.arange(40) % C, "39+1": np.repeat([0, 1], [39, 1]), "2": np.array([0, 1])}


def spelt(cls):
    """As an experiment names it: the public module and the class."""
    module = cls.__module__.split(".")[1:]
    public = next((i for i, part in enumerate(module) if part.startswith("_")), len(module))
    return ".".join([*module[:public], cls.__name__])


AROUND = (Pipeline, GridSearchCV, RandomizedSearchCV)
"""They are classifiers if what is inside them is."""
CLASSIFIERS = {
    spelt(cls): cls
    for cls in (*(cls for _, cls in all_estimators(type_filter="classifier")), *AROUND)
}


def inside(cls):
    """Another estimator, or two, for whoever cannot do without."""
    known = inspect.signature(cls).parameters
    needed = {name for name, given in known.items() if given.default is given.empty}
    if not needed and "estimator" in known and not hasattr(cls(), "predict_proba"):
        needed = {"estimator"}  # it may be left out, but then there is nothing to fit
    named = {
        "estimator": INNER,
        "estimators": [INNER | {"name": "nb"}, {"estimator": "logistic_regression"}],
        "steps": [{"estimator": "preprocessing.MaxAbsScaler"}, INNER],
        "param_grid": {"alpha": [0.1, 1.0]},
        "param_distributions": {"alpha": [0.1, 1.0]},
    }
    return {name: named[name] for name in needed}


@cache
def settings(name):
    """What an experiment needs to write; little work, for time. None: it cannot be written."""
    own = inside(CLASSIFIERS[name]) | MORE.get(name.rpartition(".")[2], {})
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # some are about to leave
            check(name, own)
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


NB = {"estimator": "multinomial_nb", "settings": {"alpha": 0.3}}
NESTED = {
    "calibration.CalibratedClassifierCV": (
        {"estimator": NB, "cv": 3},
        lambda: CalibratedClassifierCV(MultinomialNB(alpha=0.3), cv=3),
    ),
    "ensemble.VotingClassifier": (
        {
            "estimators": [NB | {"name": "nb"}, {"estimator": "logistic_regression"}],
            "voting": "soft",
            "weights": [2.0, 1.0],
        },
        lambda: VotingClassifier(
            [("nb", MultinomialNB(alpha=0.3)), ("lr", LogisticRegression())],
            voting="soft",
            weights=[2.0, 1.0],
        ),
    ),
    "pipeline.Pipeline": (
        {"steps": [{"estimator": "preprocessing.MaxAbsScaler"}, NB]},
        lambda: Pipeline([("scale", MaxAbsScaler()), ("nb", MultinomialNB(alpha=0.3))]),
    ),
}


@pytest.mark.parametrize("name", NESTED)
def test_one_inside_another_is_what_scikit_learn_puts_together(name):
    """Through an experiment's own table, against scikit-learn on the same counted words."""
    settings, expected = NESTED[name]
    labels = SHARDS["40"]
    table = {"kind": "sklearn", "estimator": name, "settings": settings, "floor": 1e-9}
    recipe = load(ClientConfig, {"teacher": table}).teacher
    made = recipe.fit(texts(), labels, C, stream(0, "fit"))
    state = made.tensors()
    shape = (40, int(state["indices"].max()) + 1)
    matrix = csr_matrix((state["data"], state["indices"], state["indptr"]), shape=shape)
    oracle = expected().fit(matrix, labels).predict_proba(matrix)
    np.testing.assert_allclose(made.predict(texts()), oracle, atol=1e-6)
    again = recipe.restore(state, C)
    np.testing.assert_array_equal(again.predict(texts()), made.predict(texts()))


def test_chance_inside_is_the_seed_and_threads_are_one():
    forest = {"estimator": "random_forest", "settings": {"n_estimators": 3, "n_jobs": 2}}
    voters = {"estimators": [forest | {"name": "a"}, forest | {"name": "b"}], "voting": "soft"}
    made = make("ensemble.VotingClassifier", voters)
    fix(made, 7, 40)
    known = made.get_params(deep=True)
    seeds = {known["a__random_state"], known["b__random_state"]}
    assert len(seeds) == 2
    assert {known["a__n_jobs"], known["b__n_jobs"], known["n_jobs"]} == {None}
    recipe = Sklearn(estimator="ensemble.VotingClassifier", settings=voters)
    one, other = (recipe.fit(texts(), SHARDS["40"], C, stream(0)).predict(texts()) for _ in "ab")
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("last", [{"estimator": "naive_bayes.GaussianNB"}, NB])
def test_who_cannot_read_sparse_matrices_may_stand_inside(last):
    recipe = Sklearn(
        estimator="pipeline.Pipeline",
        settings={"steps": [{"estimator": "preprocessing.MaxAbsScaler"}, last]},
    )
    assert recipe.fit(texts(), SHARDS["40"], C, stream(0)).remark() == ""


@pytest.mark.parametrize(
    ("name", "settings", "told"),
    [
        ("ensemble.VotingClassifier", {}, r"does not take .* an estimator is a table, \{"),
        ("ensemble.VotingClassifier", {"estimators": [NB]}, "gives no probabilities"),
        ("pipeline.Pipeline", {"steps": [NB, NB]}, "cannot be put together so: "),
        ("pipeline.Pipeline", {"steps": [NB, {"name": "x"}]}, r"settings\.steps\[1\] is no est"),
        ("pipeline.Pipeline", {"steps": [NB | {"name": "a__b"}]}, "without '__'"),
        ("pipeline.Pipeline", {"steps": [NB], "memory": "elsewhere"}, "outside of the client's"),
        ("ensemble.BaggingClassifier", {"estimator": {"estimator": "os.System"}}, "has no estim"),
        ("ensemble.BaggingClassifier", {"estimator": NB | {"alpha": 1.0}}, "unknown key 'alpha'"),
        (
            "ensemble.BaggingClassifier",
            {"estimator": {"estimator": "multinomial_nb", "settings": {"alfa": 1.0}}},
            "multinomial_nb does not take",
        ),
        (
            "pipeline.Pipeline",
            {"steps": [{"estimator": "preprocessing.StandardScaler"}, NB]},
            "together so: Negative values",
        ),
    ],
)
def test_what_cannot_be_put_together_is_refused_in_one_line(name, settings, told):
    recipe = {"kind": "sklearn", "estimator": name, "settings": settings}
    with pytest.raises(ConfigError, match=told) as refusal:
        load(ClientConfig, {"teacher": recipe})
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "name",
    [
        "os.path",
        "datasets._base.Bunch",
        "datasets.fetch_openml",
        "utils.Bunch",
        "utils.parallel.Parallel",
        "externals._packaging.version.Version",
        "tests.test_base.MyEstimator",
        "ensemble.tests.test_base.X",
        "..os.System",
        "linear_model.LogisticRegression.__class__",
        "model_selection.KFold",
        "",
    ],
)
def test_only_public_estimators_are_ever_called(name, monkeypatch):
    """Settings are arguments, and a function of scikit-learn may read files or ask a network."""
    called = []
    monkeypatch.setattr("sklearn.utils.Bunch.__init__", lambda *a, **k: called.append(a))
    with pytest.raises(ConfigError, match="write one of"):
        make(name, {})
    assert not called


def test_weights_reach_who_is_inside():
    """An estimator that drops them would learn something else than it is told."""
    near = {"estimator": {"estimator": "k_neighbours"}}
    with pytest.raises(ConfigError, match="no weights of examples"):
        check_weights("ensemble.BaggingClassifier", near)
    check_weights("ensemble.BaggingClassifier", {"estimator": NB})


def test_the_example_of_the_page_can_be_taught():
    block = next(b for b in DOCS.read_text().split("```toml")[1:] if "[clients.teacher]" in b)
    table = tomllib.loads(block.partition("```")[0])
    recipe = load(ClientConfig, table["clients"]).teacher
    made = recipe.fit(texts(), SHARDS["40"], C, stream(0))
    assert made.predict(texts()).shape == (40, C)
    assert made.remark() == ""
