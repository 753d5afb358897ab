"""The weights of KNOT against a table worked out by hand, and of the uniform weighting."""

import numpy as np
import pytest

from common.failures import ConfigError
from common.predictions import Ensemble
from server.weightings import NOTHING
from server.weightings.knot import Knot
from server.weightings.uniform import Uniform

PROBS = np.array(
    [
        [[0.8, 0.1, 0.1], [0.2, 0.2, 0.6]],
        [[0.3, 0.3, 0.4], [0.5, 0.5, 0.0]],
    ]
)
BIAS = np.array([[0.2, 0.2, 0.6], [0.3, 0.6, 0.1]])


def ensemble(probs: np.ndarray = PROBS, bias: np.ndarray | None = BIAS) -> Ensemble:
    return Ensemble(np.arange(len(probs)), probs, bias)


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
