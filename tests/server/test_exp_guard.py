"""ExpGuard by hand, against torch's norms and scipy's minimiser, and against liars."""

import numpy as np
import pytest
from scipy import optimize, special

from common.labels import LabelGeometry
from server.aggregators.exp_guard import ExpGuard
from server.aggregators.mean import Mean

PAIR = LabelGeometry.discrete(["a", "b"])
THREE = LabelGeometry.discrete(["a", "b", "c"])


def combined(guard: ExpGuard, probs: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    weights = np.ones(probs.shape[:2]) if weights is None else weights
    geometry = PAIR if probs.shape[2] == 2 else THREE
    return guard.combine(probs, weights, geometry).probs[0]


def test_by_hand() -> None:
    # Of three points on a line the middle one is the geometric median. On both texts it is
    # (.5, .5); distances are |difference| * sqrt(2): scores .2 r2, 0, .3 r2 with strength 1 / r2.
    probs = np.array([[[0.7, 0.3]] * 2, [[0.5, 0.5]] * 2, [[0.1, 0.9], [0.3, 0.7]]])
    shares = np.exp([-0.2, 0.0, -0.3])
    shares /= shares.sum()
    made = combined(ExpGuard(strength=1 / np.sqrt(2)), probs)
    assert made[:, 0] == pytest.approx(shares @ probs[:, :, 0], abs=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_against_scipy(seed: int) -> None:
    rng = np.random.default_rng(seed)
    probs, weights = rng.dirichlet(np.ones(3), size=(5, 6)), rng.gamma(2.0, size=(5, 6))

    def middle(sample: int) -> np.ndarray:
        def total(logits: np.ndarray) -> float:
            gaps = probs[:, sample] - special.softmax(logits)
            return float(weights[:, sample] @ np.linalg.norm(gaps, axis=1))

        start = np.log(np.average(probs[:, sample], axis=0, weights=weights[:, sample]))
        found = optimize.minimize(
            total, start, method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12}
        )
        return special.softmax(found.x)

    middles = np.stack([middle(sample) for sample in range(6)])
    scores = np.linalg.norm(probs - middles, axis=2).mean(axis=1)
    guarded = weights * np.exp(-10 * scores)[:, None]
    expected = np.einsum("kn,knc->nc", guarded / guarded.sum(axis=0), probs)
    assert combined(ExpGuard(), probs, weights) == pytest.approx(expected, abs=1e-4)


def test_without_strength_it_is_the_mean() -> None:
    rng = np.random.default_rng(0)
    probs, weights = rng.dirichlet(np.ones(3), size=(4, 6)), rng.gamma(1.0, size=(4, 6))
    expected = Mean().combine(probs, weights, THREE).probs[0]
    assert np.allclose(combined(ExpGuard(strength=0.0), probs, weights), expected, atol=1e-7)


@pytest.mark.parametrize("strength", [10.0, 1000.0])
def test_a_minority_that_always_lies_is_hardly_heard_where_others_agree(strength: float) -> None:
    rng = np.random.default_rng(1)
    truth = rng.dirichlet([8, 1, 1], size=50)
    honest, lies = np.tile(truth, (7, 1, 1)), np.tile([0.0, 0.0, 1.0], (3, 50, 1))
    made = combined(ExpGuard(strength=strength), np.concatenate([honest, lies]))
    assert np.abs(made - truth).max() < 1e-3


def test_who_is_odd_once_is_borne_with_and_who_is_odd_always_is_not() -> None:
    rng = np.random.default_rng(2)
    probs = rng.dirichlet([20, 1, 1], size=(5, 40))
    probs[0, 0] = probs[1, :] = [0, 0, 1]
    made, plain = combined(ExpGuard(), probs), probs.mean(axis=0)
    assert made[0, 2] > plain[0, 2] / 3  # client 0 is still heard on the text on which it is odd
    assert np.all(made[1:, 2] < plain[1:, 2] / 2)


def test_an_expert_among_few_is_taken_for_a_liar() -> None:
    """What the manual warns of: of three, the one that knows is the odd one out."""
    probs = np.array([[[1.0, 0, 0]] * 5, [[0.2, 0.4, 0.4]] * 5, [[0.2, 0.4, 0.4]] * 5])
    assert combined(ExpGuard(), probs)[0, 0] == pytest.approx(0.2, abs=1e-3)


def test_it_looks_at_all_texts_and_says_so() -> None:
    rng = np.random.default_rng(3)
    probs = rng.dirichlet(np.ones(3), size=(4, 6))
    assert ExpGuard.sees_all_samples
    alone = combined(ExpGuard(), probs[:, :1])
    assert np.abs(combined(ExpGuard(), probs)[:1] - alone).max() > 0.01
