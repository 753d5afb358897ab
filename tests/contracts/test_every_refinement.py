"""What every refinement must satisfy; members are enumerated, never named."""

import dataclasses

import numpy as np
import pytest

from clients.config import ClientConfig
from clients.refinements import Lesson, Refinement
from clients.teachers import Teacher
from common.configure import dump, find, kinds, load
from common.failures import ConfigError
from common.seeds import stream
from tests.small import small
from tests.worlds import tiny_with

C, D, M, N = 3, 5, 18, 24
LEARNERS = [
    kind
    for kind in kinds(Teacher)
    if find(Teacher, kind).refines and find(Teacher, kind).reads == "features"
]

every_refinement = pytest.mark.parametrize(
    "refinement", [pytest.param(find(Refinement, kind)(), id=kind) for kind in kinds(Refinement)]
)
every_learner = pytest.mark.parametrize("learner", LEARNERS)


def lesson():
    """Two labels at home; the consensus is sure of one of three."""
    rng = stream(3, "lesson")
    labels, shared = np.arange(M) % 2, np.arange(N) % C
    private, public = (
        (rng.normal(size=(len(of), D)) + 3 * np.eye(C, D)[of]).astype(np.float32)
        for of in (labels, shared)
    )
    return Lesson(public, 0.1 / C + 0.9 * np.eye(C)[shared], private, labels)


def refined(refinement, learner):
    given, teacher = lesson(), small(Teacher, learner, "")
    before = teacher.fit(given.private, given.labels, C, stream(0, "fit"))
    said = before.predict(given.shared)
    after = teacher.refine(before, given, refinement.plan(), stream(0, "refine", 2))
    assert np.array_equal(before.predict(given.shared), said), "the teacher before is kept"
    return said, after.predict(given.shared)


@every_refinement
def test_the_plan_is_the_same_for_every_round_and_can_be_followed(refinement):
    plan = refinement.plan()
    assert plan == refinement.plan()
    assert plan.digest.epochs > 0, "what goes down is learned"
    assert plan.revisit.epochs >= 0
    assert plan.temperature > 0
    assert plan.share > 0
    for stage in (plan.digest, plan.revisit):
        assert stage.learning_rate is None or stage.learning_rate > 0
        assert stage.batch_size is None or stage.batch_size > 0


@every_refinement
@every_learner
def test_a_teacher_comes_nearer_to_what_all_think(refinement, learner):
    before, after = refined(refinement, learner)
    assert after.shape == (N, C)
    assert np.all(np.isfinite(after))
    assert np.all(after >= 0)
    assert np.allclose(after.sum(axis=1), 1, atol=1e-5)
    wanted = lesson().consensus
    far = [-(wanted * np.log(np.maximum(said, 1e-12))).sum() for said in (before, after)]
    assert far[1] < far[0]


@every_refinement
@every_learner
def test_equal_lessons_give_equal_bits(refinement, learner):
    assert np.array_equal(refined(refinement, learner)[1], refined(refinement, learner)[1])


@pytest.mark.parametrize("kind", kinds(Refinement))
def test_settings_survive_a_round_trip(kind):
    refinement = find(Refinement, kind)()
    assert load(Refinement, {"kind": kind, **dump(refinement)}) == refinement
    assert dataclasses.replace(refinement).plan() == refinement.plan()


@pytest.mark.parametrize("kind", kinds(Refinement))
def test_it_goes_with_a_feedback_and_with_nothing_else(kind):
    with pytest.raises(ConfigError, match=r"it says nothing"):
        tiny_with(f"clients.refinement = '{kind}'")
    told = "server.feedback = 'consensus'; server.loss = 'kl'; num_rounds = 2"
    assert tiny_with(told, f"clients.refinement = '{kind}'").clients.refinement is not None


@every_refinement
def test_a_teacher_that_cannot_be_refined_is_refused(refinement):
    unable = [kind for kind in kinds(Teacher) if not find(Teacher, kind).refines]
    assert unable
    for kind in unable:
        with pytest.raises(ValueError, match="cannot learn what the server says back"):
            ClientConfig(teacher=small(Teacher, kind, ""), refinement=refinement)


def test_none_is_no_refinement():
    plain = tiny_with()
    assert tiny_with("clients.refinement = 'none'").run_id == plain.run_id
    assert plain.clients.refinement is None
