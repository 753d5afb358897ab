"""Single kinds of teachers against what is known about them from elsewhere."""

import sys

import numpy as np
import pytest
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from clients.config import ClientConfig
from clients.teachers import Teacher
from clients.teachers._estimators import NAMES
from clients.teachers._tiny import _row
from clients.teachers.fine_tuned import FineTuned
from clients.teachers.frozen_linear import FrozenLinear
from clients.teachers.lora import Lora
from clients.teachers.oracle import Oracle
from clients.teachers.sequence_classifier import SequenceClassifier
from clients.teachers.sklearn import Sklearn
from clients.teachers.tiny_transformer import TinyTransformer
from common.configure import kind_of, load
from common.encoders.hashing import Hashing
from common.encoders.sentence import Sentence
from common.failures import ConfigError, DataError
from common.pairs import behind, joined
from common.seeds import stream
from simulations.datasets.synthetic import Synthetic
from tests.common.tiny_bert import save_tiny_bert

WORLD = Synthetic(size=400, num_labels=4, vocabulary=40, separation=1.0)


@pytest.fixture(scope="module")
def world():
    return WORLD.load(stream(0, "data"))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(save_tiny_bert(tmp_path_factory.mktemp("model")))


def fit(recipe, world, rows=slice(0, 300), seed=0):
    return recipe.fit(list(world.texts[rows]), world.labels[rows], 4, stream(seed, "fit"))


def test_frozen_linear_is_logistic_regression():
    rng = stream(0, "x")
    features = rng.normal(size=(90, 5)).astype(np.float32)
    labels = (features[:, 0] > 0) + (features[:, 1] > 0).astype(np.int64)
    made = FrozenLinear(penalty=2.0).fit(features, labels, 3, stream(0))
    ones = np.hstack([features, np.ones((90, 1))])  # the bias is penalised as well
    other = LogisticRegression(C=0.5, fit_intercept=False, tol=1e-10, max_iter=5000)
    expected = other.fit(ones, labels).predict_proba(ones)
    np.testing.assert_allclose(made.predict(features), expected, atol=1e-5)


def test_the_oracle_is_the_posterior_of_the_data_set(world):
    made = fit(Oracle(vocabulary=40, separation=1.0), world)
    np.testing.assert_allclose(made.predict(world.texts), world.gold, atol=1e-6)
    shares = WORLD.posterior([""])
    np.testing.assert_allclose(made.predict(["unheard of"]), shares, atol=1e-6)


def test_no_teacher_beats_the_oracle(world):
    oracle = fit(Oracle(vocabulary=40, separation=1.0), world)
    rows = np.arange(300, 400)
    texts, labels = [world.texts[i] for i in rows], world.labels[rows]
    best = -np.log(oracle.predict(texts)[np.arange(100), labels]).mean()
    for recipe in (Sklearn(), TinyTransformer(layers=1, width=16, max_tokens=16, epochs=4)):
        probs = fit(recipe, world).predict(texts)
        assert best < -np.log(probs[np.arange(100), labels]).mean() < np.log(4) + 0.1


def test_sklearn_is_what_a_pipeline_gives(world):
    recipe = Sklearn(settings={"C": 3.0}, ngrams=1, floor=1e-9)
    words = TfidfVectorizer(token_pattern=r"(?u)\w+|[^\w\s]")
    pipe = make_pipeline(words, LogisticRegression(C=3.0))
    pipe.fit(list(world.texts[:300]), world.labels[:300])
    expected = pipe.predict_proba(list(world.texts[300:]))
    np.testing.assert_allclose(fit(recipe, world).predict(world.texts[300:]), expected, atol=1e-4)


@pytest.mark.parametrize("weights", ["tfidf", "counts", "binary"])
def test_words_are_weighted_as_asked(weights):
    """On the table of Bernoulli's and of multinomial naive Bayes, by hand."""
    texts, labels = ["a a b", "b c"], np.array([0, 1])
    recipe = Sklearn(estimator="multinomial_nb", weights=weights, ngrams=1, floor=1e-9)
    made = recipe.fit(texts, labels, 2, stream(0)).predict(["a a c"])
    words = {"counts": [[2, 1, 0], [0, 1, 1]], "binary": [[1, 1, 0], [0, 1, 1]]}
    asked = {"counts": [2, 0, 1], "binary": [1, 0, 1]}
    if weights in words:
        counts = np.array(words[weights]) + 1.0
        likelihood = counts / counts.sum(axis=1, keepdims=True)
        joint = np.prod(likelihood ** np.array(asked[weights]), axis=1)
        np.testing.assert_allclose(made[0], joint / joint.sum(), atol=1e-6)
    else:
        assert made[0].argmax() == 0


@pytest.mark.parametrize("name", [*NAMES, "naive_bayes.BernoulliNB", "naive_bayes.GaussianNB"])
def test_every_estimator_comes_back_with_the_same_bits(world, name):
    quick = {"n_estimators": 5} if name in ("random_forest", "gradient_boosting") else {}
    recipe = Sklearn(estimator=name, settings=quick, max_words=30, ngrams=1)
    made = fit(recipe, world, slice(0, 60))
    back = recipe.restore(made.tensors(), 4).predict(world.texts[300:])
    assert back.tobytes() == made.predict(world.texts[300:]).tobytes()


@pytest.mark.parametrize("texts", [["", " ", "\t"], ["\ud800"] * 3, ["a", "b", "c"]])
def test_a_shard_without_words_gives_its_frequencies(texts):
    recipe = Sklearn(min_texts=4, floor=1e-6)
    made = recipe.fit(texts, np.array([0, 0, 1]), 3, stream(0))
    np.testing.assert_allclose(made.predict(["x"]), [[2 / 3, 1 / 3, 0]], atol=1e-5)


@pytest.mark.parametrize(
    ("estimator", "settings", "told"),
    [
        ("LogisticRegression", {}, "write one of logistic_regression"),
        ("linear_model.Nothing", {}, "write one of logistic_regression"),
        ("svm.LinearSVC", {}, "gives no probabilities"),
        ("logistic_regression", {"sea": 1}, "does not take these settings"),
        ("logistic_regression", {"C": -1.0}, "does not take these settings"),
        ("linear_model.LinearRegression", {}, "gives no probabilities"),
    ],
)
def test_an_estimator_that_cannot_serve_is_refused_at_once(estimator, settings, told):
    recipe = {"kind": "sklearn", "estimator": estimator, "settings": settings}
    with pytest.raises(ConfigError, match=told) as refusal:
        load(ClientConfig, {"teacher": recipe})
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(("module", "kind"), [("peft", "lora"), ("sklearn", "sklearn")])
def test_without_the_extra_one_line_says_what_to_install(monkeypatch, module, kind):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigError, match=r"pip install 'fedknot\["):
        load(ClientConfig, {"teacher": kind})


def test_a_language_model_is_needed_where_one_is_meant(model):
    for kind in (FineTuned, Lora, SequenceClassifier):
        with pytest.raises(ConfigError, match="write model = 'minilm' into the teacher"):
            load(ClientConfig, {"teacher": kind_of(kind()), "encoder": "hashing"})
        resolved = kind().resolved(Sentence(model=model))
        assert resolved.model == model
        assert kind(model="minilm").resolved(Hashing()).model == "minilm"


def test_only_what_was_trained_is_stored(model, world):
    sizes = {
        layers: len(
            fit(
                FineTuned(model=model, layers=layers, max_tokens=16, min_steps=2),
                world,
                slice(0, 8),
            ).tensors()
        )
        for layers in (0, 1, "all")
    }
    assert sizes[0] == 3  # a head, and the hash of what is under it
    assert 3 < sizes[1] < sizes["all"]


def test_what_is_under_a_stored_teacher_may_not_change(model, world, tmp_path):
    made = fit(FineTuned(model=model, max_tokens=16, min_steps=2), world, slice(0, 8))
    other = str(save_tiny_bert(tmp_path / "other", seed=1))
    with pytest.raises(DataError, match="has changed; start a new run"):
        FineTuned(model=other, max_tokens=16).restore(made.tensors(), 4)


def test_adapters_start_from_the_model_itself(model, world):
    """B is zero at first (Hu et al. 2022, section 4.1): with no head to speak of, all is even."""
    still = Lora(model=model, max_tokens=16, learning_rate=1e-30, epochs=1, min_steps=1)
    tensors = fit(still, world, slice(0, 8)).tensors()
    b = [tensor for name, tensor in tensors.items() if "lora_B" in name]
    assert len(b) == 4
    assert max(np.abs(tensor).max() for tensor in b) < 1e-20
    with pytest.raises(ConfigError, match="write targets"):
        fit(Lora(model=model, targets=("nothing",), max_tokens=16), world, slice(0, 8))


@pytest.fixture(scope="module")
def classifier(model, tmp_path_factory):
    """A model with a head for four labels, as somebody else may have published it."""
    home = tmp_path_factory.mktemp("classifier")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = AutoModelForSequenceClassification.from_pretrained(model, num_labels=4)
    made.save_pretrained(home)
    AutoTokenizer.from_pretrained(model).save_pretrained(home)
    return str(home)


def test_a_classifier_as_it_is_says_what_it_says(classifier, world):
    texts = ["good film", "a bad phone", "the film was very good ."]
    made = fit(SequenceClassifier(model=classifier, fine_tune=False, max_tokens=16), world)
    model = AutoModelForSequenceClassification.from_pretrained(classifier).eval()
    tokenizer = AutoTokenizer.from_pretrained(classifier)
    with torch.inference_mode():
        logits = [
            model(**tokenizer(text, return_tensors="pt", padding=False)).logits for text in texts
        ]
    expected = torch.softmax(torch.cat(logits), dim=1).numpy()
    np.testing.assert_allclose(made.predict(texts), expected, atol=1e-6)
    assert made.tensors().keys() == {"base sha256"}


def test_a_classifier_of_other_labels_cannot_be_taken_as_it_is(classifier, world):
    recipe = SequenceClassifier(model=classifier, fine_tune=False, max_tokens=16)
    with pytest.raises(DataError, match="write fine_tune = true"):
        recipe.fit(["a"], np.array([0]), 3, stream(0))


def test_more_words_than_are_read_do_not_count():
    recipe = TinyTransformer(layers=1, width=8, max_tokens=4, min_steps=2)
    made = recipe.fit(["a b", "c"], np.array([0, 1]), 2, stream(0))
    np.testing.assert_array_equal(made.predict(["x y z"]), made.predict(["X y z more words"]))


def test_heads_that_cannot_share_the_width_are_refused():
    with pytest.raises(ConfigError, match="write width = 9"):
        load(Teacher, {"kind": "tiny_transformer", "width": 10, "heads": 3})


def test_a_tiny_transformer_reads_the_newest_context_and_the_whole_text():
    def row(text, most=6):
        return _row(text, 4096, most).ids

    # One start, the separator, two words of the text: room for two of the context.
    assert row(behind("old older new newest", "My word")) == row("new newest \x1f my word")
    assert row(behind("a", "My word")) == row("a \x1f my word")
    assert row(behind("old", "one two three four five")) == row("\x1f one two three four")
    assert row(joined("old older new newest", "my word")) == row("old older new newest \x1f")
