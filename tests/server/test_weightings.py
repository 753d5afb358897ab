"""The weights of every rule against tables worked out by hand, and against scipy and sklearn."""

import numpy as np
import pytest
from scipy import special, stats

from common.failures import ConfigError
from common.predictions import Ensemble
from server.weightings import NOTHING, Weighting
from server.weightings.entropy import Entropy
from server.weightings.familiarity import Familiarity
from server.weightings.knot import Knot
from server.weightings.margin import Margin
from server.weightings.size import Size
from server.weightings.uniform import Uniform
from server.weightings.variance import Variance

PROBS = np.array(
    [
        [[0.8, 0.1, 0.1], [0.2, 0.2, 0.6]],
        [[0.3, 0.3, 0.4], [0.5, 0.5, 0.0]],
    ]
)
BIAS = np.array([[0.2, 0.2, 0.6], [0.3, 0.6, 0.1]])


def ensemble(probs: np.ndarray = PROBS, bias: np.ndarray | None = BIAS) -> Ensemble:
    return Ensemble(np.arange(len(probs)), probs, bias)


CONFIDENCES = [Entropy(), Margin(), Variance(), Variance(of="logits")]
every_confidence = pytest.mark.parametrize("weighting", CONFIDENCES, ids=repr)


def random_probs(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet([0.5] * 4, size=(5, 8))


def test_knot_by_hand() -> None:
    # Squared gaps to the bias:
    #   teacher 0: .36 + .01 + .25 = .62 and 0 (it answers its bias);
    #   teacher 1: 0 + .09 + .09 = .18 and .04 + .01 + .01 = .06.
    first, second = np.sqrt(0.62), np.sqrt(0.18)
    expected = [[first / (first + second), 0], [second / (first + second), 1]]
    assert Knot().weigh(ensemble(), NOTHING) == pytest.approx(np.array(expected))


def test_knot_with_the_symmetric_divergence_by_hand() -> None:
    # 1/2 sum (p - m) (log p - log m) on the first sample:
    #   teacher 0: (.6 log 4 - .1 log 1/2 - .5 log 1/6) / 2;
    #   teacher 1: (0 - .3 log 1/2 + .3 log 4) / 2.
    first = (0.6 * np.log(4) + 0.1 * np.log(2) + 0.5 * np.log(6)) / 2
    second = (0.3 * np.log(2) + 0.3 * np.log(4)) / 2
    expected = np.array([first, second]) / (first + second)
    weights = Knot(distance="symmetric_kl").weigh(ensemble(), NOTHING)
    assert weights[:, 0] == pytest.approx(expected)
    assert weights[:, 1] == pytest.approx([0, 1])


def test_knot_believes_everyone_equally_where_all_answer_their_bias() -> None:
    given = ensemble(np.repeat(BIAS[:, None], 2, axis=1))
    for knot in (Knot(), Knot(distance="symmetric_kl")):
        assert np.array_equal(knot.weigh(given, NOTHING), np.full((2, 2), 0.5))


def test_knot_says_what_to_write_where_no_bias_came() -> None:
    with pytest.raises(ConfigError, match=r"write server.weighting = \{ kind = 'uniform' \}"):
        Knot().weigh(ensemble(bias=None), NOTHING)


def test_uniform_is_one_everywhere() -> None:
    assert np.array_equal(Uniform().weigh(ensemble(), NOTHING), np.ones((2, 2)))


def test_size_by_hand() -> None:
    given = Ensemble(np.arange(2), PROBS, num_examples=np.array([30, 10]))
    assert np.array_equal(Size().weigh(given, NOTHING), [[0.75, 0.75], [0.25, 0.25]])


def test_size_says_what_to_write_where_no_size_came() -> None:
    with pytest.raises(ConfigError, match=r"write server.weighting = \{ kind = 'uniform' \}"):
        Size().weigh(ensemble(), NOTHING)


def test_entropy_by_hand() -> None:
    # Second sample: teacher 1 is torn between two labels of three, teacher 0 says .2 .2 .6.
    torn = 1 - np.log(2) / np.log(3)
    leaning = 1 + (0.4 * np.log(0.2) + 0.6 * np.log(0.6)) / np.log(3)
    expected = np.array([leaning, torn]) / (leaning + torn)
    assert Entropy().weigh(ensemble(), NOTHING)[:, 1] == pytest.approx(expected)


def test_margin_by_hand() -> None:
    # .8 - .1 and .4 - .3; then .6 - .2 and .5 - .5.
    expected = np.array([[7 / 8, 1], [1 / 8, 0]])
    assert Margin().weigh(ensemble(), NOTHING) == pytest.approx(expected)


def test_variance_by_hand() -> None:
    # Squared gaps to 1/3, times 9: 1.4^2 + .7^2 + .7^2 = 2.94 and .1^2 + .1^2 + .2^2 = .06.
    expected = np.array([2.94, 0.06]) / 3
    assert Variance().weigh(ensemble(), NOTHING)[:, 0] == pytest.approx(expected)


def test_variance_of_logits_does_not_see_what_a_softmax_removes() -> None:
    logits = np.random.default_rng(0).normal(size=(5, 8, 4))
    spread = logits.var(axis=2)
    weights = Variance(of="logits").weigh(ensemble(special.softmax(logits, axis=2)), NOTHING)
    assert weights == pytest.approx(spread / spread.sum(axis=0))


def test_a_zero_on_the_wire_is_a_logit_like_any_other() -> None:
    probs = np.array([[[1.0, 0.0]], [[0.999, 0.001]]])
    weights = Variance(of="logits").weigh(ensemble(probs), NOTHING)
    assert weights == pytest.approx(np.full((2, 1), 0.5), abs=1e-3)


@pytest.mark.parametrize("seed", range(3))
def test_confidences_agree_with_scipy(seed: int) -> None:
    probs = random_probs(seed)
    expected = {
        Entropy(): stats.entropy(np.full(4, 0.25)) - stats.entropy(probs, axis=2),
        Margin(): np.array([[np.subtract(*sorted(row)[:1:-1]) for row in one] for one in probs]),
        Variance(): stats.moment(probs, 2, axis=2),
    }
    for weighting, confidence in expected.items():
        weights = weighting.weigh(ensemble(probs), NOTHING)
        assert weights == pytest.approx(confidence / confidence.sum(axis=0)), weighting


@every_confidence
def test_confidences_believe_the_certain_one_alone_where_others_say_nothing(
    weighting: Weighting,
) -> None:
    probs = np.full((3, 1, 7), 1 / 7, dtype=np.float32)
    probs[1, 0] = np.eye(7)[2]
    assert np.array_equal(weighting.weigh(ensemble(probs), NOTHING), [[0], [1], [0]])


@every_confidence
def test_confidences_sum_to_one_and_do_not_see_which_label_is_meant(weighting: Weighting) -> None:
    probs = random_probs()
    weights = weighting.weigh(ensemble(probs), NOTHING)
    assert weights.sum(axis=0) == pytest.approx(np.ones(8))
    probs[0] = probs[0][:, [2, 3, 1, 0]]  # one teacher confuses them all
    assert weighting.weigh(ensemble(probs), NOTHING) == pytest.approx(weights)


def told(distances: list[list[float]]) -> Ensemble:
    probs = np.full((len(distances), len(distances[0]), 3), 1 / 3)
    return Ensemble(np.arange(len(distances)), probs, scalar=np.array(distances))


def test_familiarity_by_hand() -> None:
    # At temperature .1 a tenth of distance is one unit: exp(0), exp(-1), exp(-2) sum to 1.5032147;
    # all alike, and all as far as can be.
    found = Familiarity(temperature=0.1).weigh(
        told([[0.2, 0.5, 1.0], [0.3, 0.5, 1.0], [0.4, 0.5, 1.0]]), NOTHING
    )
    assert found[:, 0] == pytest.approx([0.6652410, 0.2447285, 0.0900306], abs=1e-7)
    assert found[:, 1:] == pytest.approx(np.full((3, 2), 1 / 3))


@pytest.mark.parametrize("temperature", [0.001, 0.05, 2.0])
def test_familiarity_is_the_softmax_of_nearness(temperature: float) -> None:
    distances = np.random.default_rng(0).random((5, 40))
    found = Familiarity(temperature=temperature).weigh(told(distances.tolist()), NOTHING)
    assert found == pytest.approx(special.softmax(-distances / temperature, axis=0), abs=1e-12)


def test_familiarity_says_what_to_write_where_no_distance_came() -> None:
    with pytest.raises(ConfigError, match=r"not all sent them; write server\.weighting"):
        Familiarity().weigh(ensemble(), NOTHING)
