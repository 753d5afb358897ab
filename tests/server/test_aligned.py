"""Matching of subclasses: with a pencil, and against every permutation there is."""

from itertools import permutations, product

import numpy as np
import pytest

from common.arrays import Floats
from common.labels import LabelGeometry
from common.subclasses import refined
from server.aggregators.aligned import Aligned

K, N, S = 3, 30, 3
ONE = refined(LabelGeometry.ordinal(("no", "yes")), S)
ORDERS = [list(order) for order in permutations(range(S))]


def test_aligned_by_hand() -> None:
    # Two texts, labels of two subclasses each, weights .75 and .25. The second teacher has the
    # subclasses of the first label the other way round: together with those of the first teacher
    # they are active at .6 x .1 + .1 x .5 + 0 + 0 = .11 in order, at .24 + .25 = .49 if turned.
    # Those of the second label stay: .12 + 0 + .01 + .15 = .28 in order, .03 + .05 + .04 = .12 not.
    first = [[0.6, 0.0, 0.3, 0.1], [0.1, 0.5, 0.1, 0.3]]
    second = [[0.1, 0.4, 0.4, 0.1], [0.5, 0.0, 0.0, 0.5]]
    weights = np.array([[3.0, 3.0], [1.0, 1.0]])
    geometry = refined(LabelGeometry.ordinal(("no", "yes")), 2)
    found = Aligned().combine(np.array([first, second], dtype=np.float32), weights, geometry)
    wanted = [[0.55, 0.025, 0.325, 0.1], [0.075, 0.5, 0.075, 0.35]]
    assert found.probs[0] == pytest.approx(np.array(wanted), abs=1e-6)
    assert found.weights.tolist() == [[1.0, 1.0]]


def opinions(noise: float, seed: int) -> tuple[Floats, Floats]:
    """What K teachers say (K, N, 2 S), each in an order of its own, and weights (K, N)."""
    rng = np.random.default_rng(seed)
    truth = rng.dirichlet([0.3] * (2 * S), size=N)
    probs = (1 - noise) * truth + noise * rng.dirichlet([1.0] * (2 * S), size=(K, N))
    for teacher, label in product(range(K), range(2)):
        part = slice(label * S, (label + 1) * S)
        probs[teacher, :, part] = probs[teacher, :, part][:, rng.permutation(S)]
    return probs, rng.random((K, N)) + 0.1


def spread(probs: Floats, weights: Floats, mixture: Floats) -> float:
    """What the formula sums, of one label: probs (K, N, S), weights (K, N), mixture (N, S)."""
    return float((weights[:, :, None] * (probs - mixture) ** 2).sum())


def least(probs: Floats, weights: Floats) -> float:
    """By trial of all permutations of all teachers but the first, whose order is no matter."""
    found = []
    for orders in product(ORDERS, repeat=K - 1):
        turned = np.stack([p[:, o] for p, o in zip(probs, [ORDERS[0], *orders], strict=True)])
        mixture = np.einsum("kn,kns->ns", weights, turned)
        found.append(spread(turned, weights, mixture))
    return min(found)


def matched(probs: Floats, weights: Floats, mixture: Floats) -> Floats:
    """Every teacher in that order in which it is nearest to the mixture, by trial of all."""
    turned = []
    for p, w in zip(probs, weights, strict=True):
        costs = [spread(p[None][:, :, o], w[None], mixture) for o in ORDERS]
        turned.append(p[:, ORDERS[int(np.argmin(costs))]])
    return np.stack(turned)


@pytest.mark.parametrize("noise", [0.1, 0.3, 1.0])
@pytest.mark.parametrize("seed", range(5))
def test_aligned_against_every_permutation(noise: float, seed: int) -> None:
    probs, weights = opinions(noise, seed)
    shares = weights / weights.sum(axis=0)
    found = Aligned().combine(probs, weights, ONE).probs[0]
    for label in range(2):
        part = slice(label * S, (label + 1) * S)
        said, mixture = probs[:, :, part], found[:, part].astype(np.float64)
        turned = matched(said, shares, mixture)
        # It ends where no teacher would rather stand in another order ...
        assert np.einsum("kn,kns->ns", shares, turned) == pytest.approx(mixture, abs=1e-6)
        # ... which is the least of all where teachers mean the same, and never less than that.
        reached, best = spread(turned, shares, mixture), least(said, shares)
        assert reached >= best - 1e-6
        assert noise == 1 or reached == pytest.approx(best, abs=1e-5)
