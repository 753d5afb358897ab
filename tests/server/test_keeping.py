"""What the server keeps of texts that it does not ask about."""

import numpy as np
import pytest

from common.asking import Asking
from common.configure import kinds, load
from common.seeds import stream
from server.aggregators import Targets
from server.caches import Cache
from server.keeping import Kept
from server.teaching import Aim

PLAN = Asking(rows=6, seed=0, share=0.5, duration=1)  # the one of tests/common/test_asking.py


def aimed(probs, weights=None):
    probs = np.array(probs, dtype=np.float32)[None]
    weights = np.ones(probs.shape[:2]) if weights is None else np.array(weights)[None]
    return Aim(np.array([0, 2]), np.ones((2, probs.shape[1])), Targets(probs, weights))


def test_three_rounds_by_hand():
    """Rounds ask about [2, 4, 5], [3], [2, 5] and draw [2, 4, 5], [2, 3, 5], [2, 3, 5]."""
    kept = Kept(PLAN, 2)
    first = kept.completed(1, aimed([[0.2, 0.8], [0.4, 0.6], [0.5, 0.5]], [1, 0.5, 1]))
    assert first.rows.tolist() == [2, 4, 5]
    assert first.targets.probs[0, :, 0].tolist() == pytest.approx([0.2, 0.4, 0.5])
    second = kept.completed(2, aimed([[0.3, 0.7]]))
    assert second.rows.tolist() == [2, 3, 5]
    assert second.targets.probs[0, :, 0].tolist() == pytest.approx([0.2, 0.3, 0.5])
    third = kept.completed(3, aimed([[0.9, 0.1], [0.8, 0.2]], [0, 1]))
    assert third.targets.probs[0, :, 0].tolist() == pytest.approx([0.9, 0.3, 0.8])
    assert third.targets.weights.tolist() == [[0, 1, 1]]
    assert third.teachers.tolist() == [0, 2]


def test_it_goes_on_from_a_checkpoint_with_the_same_bits():
    rng, one = stream(0, "kept"), Kept(PLAN, 3)
    said = [rng.dirichlet(np.ones(3), len(PLAN.asked(number))) for number in range(1, 7)]
    made = [one.completed(n, aimed(probs)) for n, probs in enumerate(said[:3], start=1)]
    other = Kept(PLAN, 3)
    other.restore(one.parts)
    assert other.parts == one.parts
    for number, probs in enumerate(said[3:], start=4):
        made += [one.completed(number, aimed(probs)), other.completed(number, aimed(probs))]
        first, second = made[-2:]
        assert first.targets.probs.tobytes() == second.targets.probs.tobytes()


def test_without_a_plan_nothing_is_kept_and_nothing_is_changed():
    kept, aim = Kept(None, 2), aimed([[0.5, 0.5]] * 6)
    assert kept.completed(1, aim) is aim
    assert kept.asked(1) is None
    assert kept.parts == {}
    kept.restore({})


@pytest.mark.parametrize("kind", kinds(Cache))
def test_every_cache_has_a_plan(kind):
    plan = load(Cache, kind).plan()
    assert 0 < plan.share <= 1
    assert plan.duration >= 0
