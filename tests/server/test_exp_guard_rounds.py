"""ExpGuard over rounds: by hand, against the source's products, through absence and resume."""

from dataclasses import replace

import numpy as np
import pytest

from common.labels import LabelGeometry
from common.predictions import Ensemble
from server.aggregators.exp_guard import ExpGuard as Guarded
from server.aggregators.mean import Mean
from server.combining import combine
from server.config import ServerConfig
from server.distil import Schedule
from server.losses.kl import Kl
from server.memory import pack_state, restore_state
from server.outliers import guarded, outlier_scores
from server.pretraining import Classroom
from server.students import fingerprint
from server.students.frozen_mlp import FrozenMlp
from server.teaching import Method
from server.weightings.exp_guard import ExpGuard

GRADES = LabelGeometry.ordinal(list("abc"))
PAIR = LabelGeometry.discrete(["a", "b"])
# Three opinions on a line, the middle one the geometric median of every text: distances from it
# are .2 r2, 0 and .3 r2 in the first round, 0, .1 r2 and .4 r2 in the second.
FIRST = np.array([[[0.7, 0.3]] * 2, [[0.5, 0.5]] * 2, [[0.2, 0.8]] * 2])
SECOND = np.array([[[0.5, 0.5]] * 2, [[0.6, 0.4]] * 2, [[0.1, 0.9]] * 2])


def said(probs: np.ndarray, *clients: int) -> Ensemble:
    return Ensemble(np.array(clients), probs)


def shares(weights: np.ndarray) -> np.ndarray:
    made: np.ndarray = weights / weights.sum(axis=0)
    return made


def test_two_rounds_by_hand() -> None:
    guard = ExpGuard(strength=1 / np.sqrt(2))
    one = said(FIRST, 0, 1, 2)
    first, state = guard.weigh(one, guard.start(4)), guard.heard(one, guard.start(4))
    assert shares(first)[:, 0] == pytest.approx(shares(np.exp([-0.2, 0, -0.3])), abs=1e-6)
    second = guard.weigh(said(SECOND, 0, 1, 2), state)
    assert shares(second)[:, 1] == pytest.approx(shares(np.exp([-0.2, -0.1, -0.7])), abs=1e-6)


def test_who_is_absent_keeps_its_score_and_who_comes_late_has_none() -> None:
    guard = ExpGuard(strength=1 / np.sqrt(2))
    start = guard.start(4)
    state = guard.heard(said(FIRST, 0, 1, 2), start)
    later = guard.heard(said(SECOND, 0, 1, 3), state)  # 2 is away, 3 is new
    assert later["scores"] / np.sqrt(2) == pytest.approx([0.2, 0.1, 0.3, 0.4], abs=1e-6)
    assert np.all(start["scores"] == 0)  # nothing is written to
    assert state["scores"] / np.sqrt(2) == pytest.approx([0.2, 0.0, 0.3, 0.0], abs=1e-6)


def test_against_the_products_of_the_source() -> None:
    """Weights kept and multiplied, round by round, as the source writes it."""
    rng, strength = np.random.default_rng(0), 3.0
    guard, kept = ExpGuard(strength=strength), np.ones(5)
    state = guard.start(5)
    for _ in range(4):
        probs = rng.dirichlet(np.ones(3), size=(5, 9))
        odd = outlier_scores(probs, np.ones((5, 9)))
        kept *= np.exp(-strength * odd)
        ensemble = said(probs, *range(5))
        assert shares(guard.weigh(ensemble, state))[:, 0] == pytest.approx(kept / kept.sum())
        state = guard.heard(ensemble, state)


def test_a_first_round_has_the_weights_of_the_aggregator_to_the_bit() -> None:
    rng = np.random.default_rng(1)
    probs = rng.dirichlet(np.ones(3), size=(6, 20)).astype(np.float32)
    guard = ExpGuard()
    weights = guard.weigh(said(probs, *range(6)), guard.start(6))
    equal = np.ones((6, 20))
    scores = outlier_scores(probs, equal)
    assert np.array_equal(weights, guarded(equal, 10.0 * scores))
    told = Guarded().combine(probs, equal, GRADES).probs
    assert Mean().combine(probs, weights, GRADES).probs == pytest.approx(told, abs=1e-6)


def test_teachers_that_stay_the_same_are_punished_once_per_round() -> None:
    rng = np.random.default_rng(2)
    ensemble, state = said(rng.dirichlet(np.ones(3), size=(4, 8)), 0, 1, 2, 3), None
    weak, strong = ExpGuard(strength=2.0), ExpGuard(strength=6.0)
    state = weak.start(4)
    for _ in range(2):
        state = weak.heard(ensemble, state)
    assert weak.weigh(ensemble, state) == pytest.approx(strong.weigh(ensemble, strong.start(4)))


def test_combining_tells_what_is_remembered() -> None:
    guard = ExpGuard()

    def opinions(part: slice) -> Ensemble:
        return replace(said(FIRST, 0, 1, 2), probs=FIRST[:, part])

    made = combine(opinions, 2, guard, guard.start(3), Mean(), PAIR, numbers=1)
    expected = guard.heard(said(FIRST, 0, 1, 2), guard.start(3))
    assert np.array_equal(made.state["scores"], expected["scores"])


def test_a_run_that_is_killed_between_rounds_ends_the_same() -> None:
    """The second round from the bytes of the first, with a client gone and another come."""
    rng = np.random.default_rng(3)
    features = rng.normal(size=(60, 4)).astype(np.float32)
    probs = rng.dirichlet(np.ones(3), size=(2, 3, 60)).astype(np.float32)
    schedule = Schedule(steps=10, batch_size=16)
    config = ServerConfig(
        loss=Kl(), weighting=ExpGuard(), student=FrozenMlp(hidden=4), schedule=schedule
    )
    ends = []
    for through_bytes in (False, True):
        method = Method(config, Classroom(features), GRADES, 5, seed=1)
        student, state = method.student(3), method.start()
        for number, clients in enumerate(([0, 2, 4], [1, 2, 4]), 1):
            if through_bytes:
                state = restore_state(pack_state(state))
            aim = method.aim(said(probs[number - 1], *clients), GRADES, state)
            state = method.teach(student, aim, GRADES, state, number).state
        assert state["scores"][3] == 0
        assert np.all(state["scores"][[0, 1, 2, 4]] > 0)
        ends.append((fingerprint(student), pack_state(state)))
    assert ends[0] == ends[1]
