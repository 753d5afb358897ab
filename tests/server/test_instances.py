"""What a policy sees of a text itself, over every kind of student."""

from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest
import torch
from torch import Tensor

from common.configure import find, kinds
from common.encoders.hashing import Hashing
from common.labels import LabelGeometry
from common.predictions import UNKNOWN, Ensemble
from server.aggregators.keep_all import KeepAll
from server.config import ServerConfig
from server.distil import Schedule
from server.losses.kl import Kl
from server.memory import pack_state, restore_state
from server.pretraining import Classroom
from server.steering import Course
from server.students import Student, fingerprint
from server.students.frozen_linear import FrozenLinear
from server.teaching import Method
from server.weightings import Weighting
from server.weightings._instances import Hidden, Instance, instances
from server.weightings.gate import Gate
from server.weightings.reinforced import Reinforced
from tests.courses import course, step_of

GRADES = LabelGeometry.ordinal(list("abc"))
SEEN = get_args(Instance)
WORDS = ["good", "bad", "film", "phone", "at", "all"]


def ends(student: Student, weighting: Weighting, through_bytes: bool, steps: int = 3) -> Any:
    """Two rounds, a client gone in the second, with or without the disk in between."""
    texts = [" ".join(WORDS[i % 5 : i % 5 + 1 + i % 2]) for i in range(24)]
    features = student.reader(Hashing(dimensions=6), texts).read(texts)
    rng = np.random.default_rng(0)
    room = Classroom(features, np.where(np.arange(24) < 9, rng.integers(0, 3, 24), UNKNOWN))
    config = ServerConfig(
        loss=Kl(),
        weighting=weighting,
        aggregator=KeepAll(),
        student=student,
        schedule=Schedule(steps=steps, batch_size=12),
    )
    said = Ensemble(np.array([0, 2]), rng.dirichlet(np.ones(3), (2, 24)).astype(np.float32))
    teacher = Method(config, room, GRADES, 4, seed=1)
    model, state, widths = teacher.student(3), teacher.start(), []
    for number, given in enumerate([said, replace(said, clients=np.array([1, 2]))], start=1):
        if through_bytes:
            teacher = Method(config, room, GRADES, 4, seed=1)
            state = restore_state(pack_state(state))
        aim = teacher.aim(given, GRADES, state)
        state = teacher.teach(model, aim, GRADES, state, number).state
        widths.append(len(state.get("shared", ())))
    return fingerprint(model), pack_state(state), widths


@pytest.mark.parametrize("kind", kinds(Student))
@pytest.mark.parametrize("seen", SEEN)
def test_a_run_that_is_gone_on_with_ends_the_same_for_every_student(kind: str, seen: Any) -> None:
    student, weighting = find(Student, kind)(), Reinforced(instance=seen)
    whole = ends(student, weighting, through_bytes=False)
    assert ends(student, weighting, through_bytes=True) == whole
    assert whole[2][0] == whole[2][1] >= 10
    assert (whole[2][0] == 10) == (seen == "none")


@pytest.mark.parametrize("kind", kinds(Student))
def test_a_gate_that_reads_what_any_student_makes_of_a_text_ends_the_same(kind: str) -> None:
    student, gate = find(Student, kind)(), Gate(inputs="hidden")
    whole = ends(student, gate, through_bytes=False)
    assert ends(student, gate, through_bytes=True) == whole


@pytest.mark.parametrize("weighting", ["reinforced", "gate"])
def test_what_one_linear_layer_makes_of_a_text_is_what_it_reads(weighting: str) -> None:
    """To the last bit, over more steps than a scale lasts."""
    pairs = {
        "reinforced": (Reinforced(), Reinforced(instance="hidden")),
        "gate": (Gate(), Gate(inputs="hidden")),
    }
    one, other = (ends(FrozenLinear(), made, False, steps=60) for made in pairs[weighting])
    assert one == other


def test_what_is_hidden_by_hand_and_when_its_scale_is_renewed() -> None:
    given = course()
    first, _, _, output, _ = given.student.children()
    rows = torch.tensor([3, 7])

    def layer() -> np.ndarray:
        x, w, b = (part.detach().double().numpy() for part in (given.features, *first.parameters()))
        return np.maximum(x @ w.T + b, 0)

    seen, start = Hidden(given), layer()
    mean, spread = start.mean(axis=0), start.std(axis=0)
    assert seen.width == output.in_features == 5
    with torch.no_grad():
        for part in first.parameters():
            part.mul_(1.3)
    now = layer()[rows]
    seen.learned(24)
    assert seen(rows).numpy() == pytest.approx((now - mean) / spread / np.sqrt(5), abs=1e-5)
    seen.learned(25)
    mean, spread = layer().mean(axis=0), layer().std(axis=0)
    assert seen(rows).numpy() == pytest.approx((now - mean) / spread / np.sqrt(5), abs=1e-5)


@pytest.mark.parametrize("seen", SEEN)
def test_vectors_are_on_one_scale_and_silent_units_say_nothing(seen: Any) -> None:
    given = course()
    with torch.no_grad():
        hidden = next(given.student.children())
        hidden.weight[0], hidden.bias[0] = 0, -1
    every = torch.arange(len(given.features))
    made = instances(given, seen)
    vectors = made(every)
    assert vectors.shape == (40, made.width)
    assert torch.allclose(vectors.mean(dim=0), torch.zeros(made.width), atol=1e-6)
    if seen == "hidden":
        assert bool((vectors[:, 0] == 0).all())
    if seen != "none":
        assert 0.5 < float(vectors.square().sum(dim=1).mean()) <= 1.0001


def at(given: Course, rows: Tensor) -> dict[str, Tensor]:
    """What a step holds of these texts."""
    probs, weights = given.probs[:, rows], given.weights[:, rows]
    log_q = given.student(given.features[rows]).detach()
    values = given.loss(log_q, probs, given.geometry)
    return {"log_q": log_q, "probs": probs, "weights": weights, "values": values}


def believed(seen: Any) -> float:
    """The share of who knows, when that depends on how far the first number is from 0.

    Both sides of 0 are units of the hidden layer, so that the distance is a line there.
    """
    given = course((0, 1), texts=200, known=100)
    hidden = next(given.student.children())
    with torch.no_grad():
        for part in hidden.parameters():
            part.zero_()
        hidden.weight[:2, 0] = torch.tensor([1.0, -1.0])
    far = given.features[:, :1].abs() > 0.67
    truth = torch.full((200, 3), 0.1)
    truth[given.rows] += 0.7 * torch.eye(3)[given.labels]
    wrong = truth.roll(1, dims=1)
    given.probs[:] = torch.stack([torch.where(far, truth, wrong), torch.where(far, wrong, truth)])
    weighting = Reinforced(rate=3.0, taught_by="chance", instance=seen)
    steering = weighting.steer(given, weighting.start(2))
    for number in range(1, 201):
        steering.learn(step_of(given, number))
    step = replace(step_of(given), rows=given.rows, **at(given, given.rows))
    shares = steering.weigh(step) / step.weights.sum(dim=0)
    return float(torch.where(far[given.rows, 0], shares[0], shares[1]).mean())


def test_a_bend_that_no_line_sees_is_seen_in_the_hidden_layer() -> None:
    shares = {seen: believed(seen) for seen in SEEN}
    assert shares["hidden"] > max(shares["features"], shares["none"]) + 0.1
