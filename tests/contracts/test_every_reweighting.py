"""What every reweighting must satisfy; members are enumerated, never named."""

import numpy as np
import pytest
import torch

from common.configure import dump, find, kinds, load
from server.reweightings import Reweighting
from server.steering import LABEL
from server.students import fingerprint
from tests.courses import course, step_of

every_reweighting = pytest.mark.parametrize(
    "reweighting", [pytest.param(find(Reweighting, kind)(), id=kind) for kind in kinds(Reweighting)]
)
every_line_up = pytest.mark.parametrize("teachers", [(0, 2, 5), (0, 3, LABEL), (4,), (1, LABEL)])


@every_reweighting
@every_line_up
def test_a_text_keeps_its_weight_and_what_weighs_nothing_stays_so(
    reweighting: Reweighting, teachers: tuple[int, ...]
) -> None:
    given = course(teachers)
    steering = reweighting.steer(given)
    for number in (1, 2, 3):
        step = step_of(given, number)
        weights = steering.weigh(step)
        steering.learn(step)
        assert weights.shape == step.weights.shape
        assert weights.dtype == torch.float32
        assert bool(torch.isfinite(weights).all())
        assert bool((weights >= 0).all())
        assert torch.allclose(weights.sum(0), step.weights.sum(0), atol=1e-6)
        assert bool((weights[step.weights == 0] == 0).all())


@every_reweighting
def test_equal_rounds_give_equal_bits_and_the_student_is_only_looked_at(
    reweighting: Reweighting,
) -> None:
    made = []
    for _ in range(2):
        given = course((0, 3, LABEL))
        before = fingerprint(given.student)
        steering, luck = reweighting.steer(given), torch.random.get_rng_state()
        steps = [step_of(given, number) for number in (1, 2, 3)]
        made.append(torch.stack([steering.weigh(step) for step in steps]))
        assert fingerprint(given.student) == before
        assert given.student.training
        assert all(part.grad is None for part in given.student.parameters())
        assert torch.equal(torch.random.get_rng_state(), luck)
        assert not made[-1].requires_grad
    assert torch.equal(*made)


@every_reweighting
def test_one_known_label_is_enough(reweighting: Reweighting) -> None:
    given = course((0, 2, LABEL), known=1)
    weights = reweighting.steer(given).weigh(step_of(given))
    assert bool(torch.isfinite(weights).all())


@pytest.mark.parametrize("kind", kinds(Reweighting))
def test_settings_survive_a_round_trip(kind: str) -> None:
    reweighting = find(Reweighting, kind)()
    assert load(Reweighting, {"kind": kind, **dump(reweighting)}) == reweighting
    assert reweighting.needs <= {"labels"}


@every_reweighting
def test_weights_of_another_scale_come_back_at_that_scale(reweighting: Reweighting) -> None:
    """Aggregators may weigh texts unlike: nothing here may level them."""
    given = course((0, 2, LABEL))
    scale = torch.from_numpy(np.linspace(0.1, 3, len(given.features)).astype(np.float32))
    given.weights.mul_(scale)
    step = step_of(given)
    weights = reweighting.steer(given).weigh(step)
    assert torch.allclose(weights.sum(0), scale[step.rows], rtol=1e-5)
