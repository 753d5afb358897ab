"""What every weighting that steers must satisfy; members are enumerated, never named."""

from dataclasses import fields, replace
from typing import Literal, get_args, get_origin, get_type_hints

import numpy as np
import pytest
import torch

from common.configure import find, kinds
from server.memory import pack_state, restore_state
from server.steering import LABEL, Steering
from server.students import fingerprint
from server.weightings import State, Weighting
from tests.courses import course, step_of

ALL = [find(Weighting, kind)() for kind in kinds(Weighting)]


def choices(weighting: Weighting) -> dict[str, Weighting]:
    """The default, and one for every other value of a setting that is a choice."""
    hints, name = get_type_hints(type(weighting)), type(weighting).__name__
    made = {name: weighting}
    for field in fields(weighting):
        if get_origin(hints[field.name]) is Literal:
            for value in get_args(hints[field.name]):
                if value != getattr(weighting, field.name):
                    changed = replace(weighting, **{field.name: value})
                    made[f"{name}-{field.name}-{value}"] = changed
    return made


STEERING = {name: w for given in ALL if given.steers for name, w in choices(given).items()}
every_steering = pytest.mark.parametrize("weighting", STEERING.values(), ids=STEERING)
every_line_up = pytest.mark.parametrize("teachers", [(0, 2, 5), (0, 3, LABEL), (4,), (1, LABEL)])


def opened(weighting: Weighting, given, state: State | None = None) -> Steering:
    """The steering of one round of a federation of six."""
    steering = weighting.steer(given, weighting.start(6) if state is None else state)
    assert steering is not None
    return steering


def lesson(steering: Steering, given, numbers=(1, 2, 3)) -> list[torch.Tensor]:
    """The weights of some steps, with a student that moves a little in between."""
    made = []
    for number in numbers:
        step = step_of(given, number)
        made.append(steering.weigh(step))
        with torch.no_grad():
            for part in given.student.parameters():
                part.mul_(0.9)
        steering.learn(replace(step, weights=made[-1]))
    return made


@pytest.mark.parametrize("weighting", ALL, ids=lambda weighting: type(weighting).__name__)
def test_only_those_who_say_so_steer(weighting: Weighting) -> None:
    assert (weighting.steer(course(), weighting.start(6)) is not None) == weighting.steers


@every_steering
@every_line_up
def test_a_text_keeps_its_weight_and_a_known_label_its_own(
    weighting: Weighting, teachers: tuple[int, ...]
) -> None:
    given = course(teachers)
    given.weights.mul_(torch.linspace(0.5, 2, len(given.features)))
    steering = opened(weighting, given)
    for number in (1, 2, 3):
        step = step_of(given, number)
        weights = steering.weigh(step)
        assert weights.shape == step.weights.shape
        assert weights.dtype == torch.float32
        assert bool(torch.isfinite(weights).all())
        assert bool((weights >= 0).all())
        assert torch.allclose(weights.sum(0), step.weights.sum(0), atol=1e-5)
        if teachers[-1] == LABEL:
            assert torch.equal(weights[-1], step.weights[-1])
        steering.learn(replace(step, weights=weights))


@every_steering
def test_equal_rounds_give_equal_bits_and_the_student_is_only_looked_at(
    weighting: Weighting,
) -> None:
    made = []
    for _ in range(2):
        given, luck = course((0, 3, LABEL)), torch.random.get_rng_state()
        before = fingerprint(given.student)
        steering = opened(weighting, given)
        step = step_of(given)
        made.append(steering.weigh(step))
        steering.learn(step)
        assert fingerprint(given.student) == before
        assert given.student.training
        assert all(part.grad is None for part in given.student.parameters())
        assert torch.equal(torch.random.get_rng_state(), luck)
        made[-1] = torch.stack([made[-1], *lesson(steering, given)])
    assert torch.equal(*made)


@every_steering
def test_what_is_remembered_survives_the_disk_bit_for_bit(weighting: Weighting) -> None:
    """A round after a break, from bytes, goes as one without; the old state is not written to."""
    first = course()
    steering = opened(weighting, first)
    lesson(steering, first)
    state = steering.state()
    data = pack_state(state)
    kept, later = (
        lesson(opened(weighting, given, memory), given)
        for given, memory in ((course(seed=7), state), (course(seed=7), restore_state(data)))
    )
    assert all(map(torch.equal, kept, later))
    assert pack_state(state) == data


@every_steering
def test_teachers_may_come_and_go(weighting: Weighting) -> None:
    state = weighting.start(6)
    for number, teachers in enumerate([(0, 1), (5,), (0, 2, 3), (0, 1, LABEL)]):
        given = course(teachers, seed=number)
        steering = opened(weighting, given, state)
        assert all(bool(torch.isfinite(w).all()) for w in lesson(steering, given))
        state = steering.state() or state
    assert all(np.all(np.isfinite(part)) for part in state.values())


@every_steering
def test_a_lone_known_label_is_enough(weighting: Weighting) -> None:
    given = course(known=1)
    assert all(bool(torch.isfinite(w).all()) for w in lesson(opened(weighting, given), given))
