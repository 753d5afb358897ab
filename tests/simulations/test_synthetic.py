import numpy as np
import pytest
from scipy.stats import multinomial, norm
from sklearn.metrics import log_loss
from sklearn.naive_bayes import MultinomialNB

from simulations.datasets.synthetic import Synthetic
from simulations.provision import divide
from simulations.results import run
from simulations.summary import lines
from tests.worlds import TINY, tiny_with

SETTINGS = Synthetic(size=40_000, vocabulary=60)


@pytest.fixture(scope="module")
def corpus():
    return SETTINGS.load(np.random.default_rng(0))


def counts(texts):
    vocabulary = {word: i for i, word in enumerate(SETTINGS._words)}
    table = np.zeros((len(texts), len(vocabulary)))
    rows = np.repeat(np.arange(len(texts)), SETTINGS.words_per_text)
    words = [vocabulary[word] for text in texts for word in text.split()]
    np.add.at(table, (rows, words), 1.0)
    return table


def test_a_learned_naive_bayes_converges_to_the_posterior(corpus):
    table = counts(corpus.texts)

    def error(rows):
        model = MultinomialNB(alpha=1e-3).fit(table[:rows], corpus.labels[:rows])
        return np.abs(model.predict_proba(table) - corpus.gold).mean()

    # Sixteen times the texts, a quarter of the error: it has no other limit.
    assert error(40_000) < 0.35 * error(2_500) < 0.02


def test_the_posterior_agrees_with_multinomial_probabilities(corpus):
    place = np.linspace(0, 4, 60)
    centre = np.array([0, 4 / 3, 8 / 3, 4])
    prior = np.exp(-np.abs(np.arange(5)[:, None] - centre) / 4)
    prior = (prior / prior.sum(axis=0)).mean(axis=1)
    table = counts(corpus.texts[:200])
    joint = []
    for label in range(5):
        words = norm.pdf(place, loc=label, scale=1 / 0.6)
        joint.append(prior[label] * multinomial.pmf(table, 12, words / words.sum()))
    expected = np.array(joint).T / np.sum(joint, axis=0)[:, None]
    assert corpus.gold[:200] == pytest.approx(expected, rel=1e-9)


def test_the_optimum_is_what_the_report_may_grade(corpus):
    assert np.array_equal(SETTINGS.optimum(corpus.texts[:50]), corpus.gold[:50])


def test_small_cases_agree_with_bayes_rule_by_hand():
    made = Synthetic(size=40, num_labels=2, vocabulary=2, separation=1.0, skew=0.0)
    one, other = made._words
    # p(word 0 | label 0) = 1 / (1 + exp(-1/2)), and the mirror image for label 1.
    p = 1 / (1 + np.exp(-0.5))
    joint = np.array([p**2 * (1 - p), (1 - p) ** 2 * p])
    expected = [joint / joint.sum(), [p, 1 - p], [0.5, 0.5]]
    assert made.posterior([f"{one} {other} {one}", one, ""]) == pytest.approx(np.array(expected))


def test_nothing_beats_the_posterior(corpus):
    rng = np.random.default_rng(1)
    best = log_loss(corpus.labels, corpus.gold)
    hits = (corpus.gold.argmax(axis=1) == corpus.labels).mean()
    shifted = np.roll(corpus.gold, 1, axis=1)
    noise = corpus.gold * rng.lognormal(0, 0.5, corpus.gold.shape)
    rivals = [corpus.gold**1.5, corpus.gold**0.7, corpus.gold + 0.05, noise, shifted + 0.01]
    for rival in (rival / rival.sum(axis=1, keepdims=True) for rival in rivals):
        assert log_loss(corpus.labels, rival) > best
        assert (rival.argmax(axis=1) == corpus.labels).mean() <= hits


def test_the_posterior_is_calibrated(corpus):
    for label in range(5):
        claimed = corpus.gold[:, label]
        true = corpus.labels == label
        for low in np.arange(0, 1, 0.1):
            bin_ = (claimed >= low) & (claimed < low + 0.1)
            if bin_.sum() > 200:
                error = np.sqrt((claimed * (1 - claimed))[bin_].sum()) / bin_.sum()
                assert abs(claimed[bin_].mean() - true[bin_].mean()) < 4.5 * error


def test_neighbouring_labels_are_confused_most(corpus):
    gold = np.array([corpus.gold[corpus.labels == label].mean(axis=0) for label in range(5)])
    for label in range(5):
        assert np.all(np.diff(gold[label, label:]) < 0)
        assert np.all(np.diff(gold[label, : label + 1]) > 0)


def test_groups_differ_in_their_labels_unless_told_otherwise(corpus):
    means = [corpus.labels[corpus.groups == g].mean() for g in range(4)]
    assert np.all(np.diff(means) > 0.1)
    alike = Synthetic(size=40_000, skew=0.0).load(np.random.default_rng(0))
    means = [alike.labels[alike.groups == g].mean() for g in range(4)]
    assert np.ptp(means) < 4.5 * np.sqrt(2 / 10_000)  # uniform on 0..4 has variance 2


def test_more_separation_is_easier():
    def best(separation):
        corpus = Synthetic(size=4000, separation=separation).load(np.random.default_rng(0))
        return (corpus.gold.argmax(axis=1) == corpus.labels).mean()

    assert best(0.1) < best(0.6) < best(2.0)
    assert best(50.0) > 0.99


def test_every_size_of_vocabulary_has_different_words():
    assert len(set(Synthetic(vocabulary=4900)._words)) == 4900


def test_a_word_of_another_language_is_refused():
    with pytest.raises(ValueError, match="1 words are not of this vocabulary"):
        Synthetic().posterior(["baba hello"])


def test_the_known_optimum_is_a_bound_of_summary_and_report(tmp_path):
    asked = [*TINY, "bounds = true"]
    result = run("synthetic", overrides=asked, out=tmp_path / "r", backend="inline")
    bounds, optimum = result.summary["bounds"], result.summary["bounds"]["bayes"]
    experiment = tiny_with()
    corpus, parts = divide(experiment)
    best, truth = corpus.gold[parts.test], corpus.labels[parts.test]
    assert optimum["accuracy"] == pytest.approx((best.argmax(axis=1) == truth).mean())
    assert optimum["nll"] == pytest.approx(log_loss(truth, best), rel=1e-4)
    assert optimum["nll"] < min(bounds[name]["nll"] for name in ("centralised", "ensemble"))
    low, high = result.summary["intervals"]["bounds"]["bayes"]["accuracy"]
    assert low <= optimum["accuracy"] <= high
    page = (tmp_path / "r" / "report.html").read_text()
    assert '<th scope="col" class="num">bayes</th>' in page
    assert "exact optimum of these made-up texts" in page
    assert "Bayes optimum" in "\n".join(lines(result.summary, tmp_path / "r"))
