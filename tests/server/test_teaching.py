"""One round of the student: labels, a teacher of the server's own, steering, choosing a step."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from typing_extensions import override

from common.labels import LabelGeometry
from common.predictions import UNKNOWN, Ensemble
from server.aggregators.mean import Mean
from server.config import ServerConfig
from server.distil import Schedule, distil, predict
from server.losses.kl import Kl
from server.pretraining import Classroom, Pretraining, joined, learn_labels, opinion
from server.reweightings import Reweighting
from server.steering import LABEL, Chain, Course, Steering, Step
from server.students import fingerprint
from server.students.frozen_mlp import FrozenMlp
from server.teaching import Method
from server.weightings.uniform import Uniform

K, N, D, C, M = 3, 120, 6, 3, 40
GRADES = LabelGeometry.ordinal(list("abc"))
SHORT = Schedule(steps=30, batch_size=32, learning_rate=1e-2)
PLAIN = ServerConfig(loss=Kl(), weighting=Uniform(), student=FrozenMlp(hidden=16), schedule=SHORT)
RNG = np.random.default_rng(0)
FEATURES = RNG.normal(size=(N, D)).astype(np.float32)
TRUTH = FEATURES[:, :C].argmax(axis=1)
LABELS = np.where(np.arange(N) < M, TRUTH, UNKNOWN)
ROOM = Classroom(FEATURES, LABELS, FEATURES[:10])
NOISY = 0.5 * FEATURES[:, :C] + RNG.normal(size=(K, N, C))
PROBS = (np.exp(NOISY) / np.exp(NOISY).sum(2, keepdims=True)).astype(np.float32)
ENSEMBLE = Ensemble(np.array([0, 2, 5]), PROBS, PROBS[:, :10].mean(axis=1))


def taught(config: ServerConfig, room: Classroom = ROOM, rounds: int = 1):
    """The student after some rounds, the method, and what the last round said."""
    method = Method(config, room, GRADES, 6, seed=1)
    student, state = method.student(C), method.start()
    for server_round in range(1, rounds + 1):
        aim = method.aim(ENSEMBLE, GRADES, state)
        made = method.teach(student, aim, GRADES, state, server_round)
    return student, method, made


def accuracy(student) -> float:
    return float(np.mean(predict(student, FEATURES).argmax(axis=1) == TRUTH))


def test_a_round_is_weigh_combine_distil():
    """The plain round, by its parts and by name of its random stream."""
    from common.seeds import stream

    student, _, made = taught(PLAIN)
    weights = PLAIN.weighting.weigh(ENSEMBLE, {})
    targets = PLAIN.aggregator.combine(PROBS, weights, GRADES)
    other = PLAIN.student.build(D, C, stream(1, "student"))
    lesson = distil(other, FEATURES, targets, Kl(), GRADES, SHORT, stream(1, "distil", 1))
    assert fingerprint(student) == fingerprint(other)
    assert made.lesson.losses == lesson.losses


def test_known_labels_are_one_more_target_with_their_share():
    """By hand: at a share of 1/4 the mean over terms is 1/4 label and 3/4 opinions."""
    seen: list[tuple[torch.Tensor, torch.Tensor, tuple[int, ...]]] = []

    class Spying(Steering):
        def __init__(self, course: Course) -> None:
            seen.append((course.probs, course.weights, course.teachers))

        @override
        def weigh(self, step: Step) -> torch.Tensor:
            return step.weights

    class Spy(Reweighting):
        @override
        def steer(self, course: Course) -> Steering:
            return Spying(course)

    config = replace(PLAIN, label_weight=0.25, reweighting=Spy())
    steered, _, _ = taught(config)
    ((probs, weights, teachers),) = seen
    assert teachers == (0, 2, 5, LABEL)
    assert probs.shape == (K + 1, N, C)
    assert np.array_equal(probs[-1, :M].argmax(1), TRUTH[:M])
    assert torch.allclose(weights[:, :M].T, torch.tensor([0.25, 0.25, 0.25, 0.25]))
    assert torch.allclose(weights[:, M:].T, torch.tensor([1 / 3, 1 / 3, 1 / 3, 0.0]))
    plain, _, _ = taught(replace(PLAIN, label_weight=0.25))
    assert fingerprint(steered) == fingerprint(plain)
    assert accuracy(plain) > accuracy(taught(PLAIN)[0])


def test_the_label_term_of_kl_is_the_cross_entropy_of_the_label():
    """With a share near 1 the student learns the labels, as from cross-entropy alone."""
    room = Classroom(FEATURES, TRUTH)
    labels, _, _ = taught(replace(PLAIN, label_weight=0.999), room)
    assert accuracy(labels) > 0.85


def test_the_own_teacher_is_the_last_and_brings_what_clients_bring():
    config = replace(PLAIN, pretraining=Pretraining(schedule=SHORT))
    _, method, _ = taught(config)
    aim = method.aim(ENSEMBLE, GRADES, {})
    assert aim.teachers.tolist() == [0, 2, 5, 6]
    assert aim.weights.shape == (K + 1, N)
    model = method.student(C)
    sized = replace(ENSEMBLE, num_examples=np.array([5, 6, 7]))
    both = joined(sized, opinion(model, ROOM), 6)
    assert np.array_equal(both.probs[-1], predict(model, FEATURES))
    assert both.bias is not None
    assert both.bias[-1] == pytest.approx(predict(model, FEATURES[:10]).mean(axis=0), abs=1e-6)
    voted = opinion(model, replace(ROOM, bias="argmax")).bias
    wins = np.bincount(predict(model, FEATURES[:10]).argmax(axis=1), minlength=C)
    assert voted == pytest.approx((wins + 1) / (10 + C))
    assert both.num_examples is not None
    assert both.num_examples.tolist() == [5, 6, 7, M]


def test_what_the_own_model_is_for_can_be_chosen():
    """Start and teacher are separate; neither is no pretraining at all."""
    plain = fingerprint(taught(PLAIN)[0])
    made = {}
    for start in (False, True):
        for teacher in (False, True):
            own = Pretraining(schedule=SHORT, start=start, teacher=teacher)
            student, method, _ = taught(replace(PLAIN, pretraining=own))
            made[start, teacher] = fingerprint(student)
            assert len(method.aim(ENSEMBLE, GRADES, {}).teachers) == K + teacher
    assert made[False, False] == plain
    assert len(set(made.values())) == 4


def test_the_own_model_is_what_cross_entropy_on_the_labels_makes_of_the_first_weights():
    from common.seeds import stream

    config = replace(PLAIN, pretraining=Pretraining(schedule=SHORT))
    start = Method(config, ROOM, GRADES, 6, seed=1).student(C)
    other = PLAIN.student.build(D, C, stream(1, "student"))
    learn_labels(other, ROOM, GRADES, SHORT, stream(1, "pretraining"))
    assert fingerprint(start) == fingerprint(other)
    right = predict(start, FEATURES[:M]).argmax(axis=1) == TRUTH[:M]
    assert right.mean() > 0.9


def test_fine_tuning_comes_after_the_lesson():
    tuned, _, _ = taught(replace(PLAIN, fine_tuning=SHORT))
    plain, _, _ = taught(PLAIN)
    right = [np.mean(predict(s, FEATURES[:M]).argmax(1) == TRUTH[:M]) for s in (tuned, plain)]
    assert right[0] > right[1]


def test_without_labels_there_is_nothing_to_learn():
    with pytest.raises(ValueError, match="known label"):
        taught(replace(PLAIN, fine_tuning=SHORT), Classroom(FEATURES))


class Half(Steering):
    """Halves the weights, and counts what it is told of."""

    def __init__(self) -> None:
        self.seen, self.learned = [], 0

    @override
    def weigh(self, step: Step) -> torch.Tensor:
        self.seen.append(step)
        return step.weights / 2

    @override
    def learn(self, step: Step) -> None:
        self.learned += 1


def test_steering_sees_every_step_and_its_weights_are_used():
    features, probs = FEATURES, PROBS[:1]
    targets = Mean().combine(PROBS, np.ones((K, N)), GRADES)
    student, half = FrozenMlp(hidden=8).build(D, C, np.random.default_rng(0)), Half()
    lesson = distil(
        student, features, targets, Kl(), GRADES, SHORT, np.random.default_rng(0), steering=half
    )
    other = FrozenMlp(hidden=8).build(D, C, np.random.default_rng(0))
    whole = distil(other, features, targets, Kl(), GRADES, SHORT, np.random.default_rng(0))
    assert len(half.seen) == half.learned == SHORT.steps
    assert [step.number for step in half.seen] == list(range(1, SHORT.steps + 1))
    first = half.seen[0]
    assert first.values.shape == first.weights.shape == (1, len(first.rows))
    wanted = Kl()(first.log_q, first.probs, GRADES)
    assert torch.equal(first.values, wanted)
    assert not any(part.requires_grad for part in (first.log_q, first.values, first.probs))
    assert lesson.losses[0] == pytest.approx(whole.losses[0] / 2, rel=0.2)
    assert probs.shape[0] == 1


def test_a_chain_hands_weights_on_and_remembers_the_first():
    one, two = Half(), Half()
    step = Step(1, *(torch.ones(1, 4) for _ in range(5)), GRADES)
    chain = Chain((one, two))
    assert torch.equal(chain.weigh(step), torch.full((1, 4), 0.25))
    assert torch.equal(two.seen[0].weights, torch.full((1, 4), 0.5))
    chain.learn(step)
    assert (one.learned, two.learned) == (1, 1)
    assert chain.state() == {}


def test_the_student_of_the_smallest_loss_on_what_is_held_out_is_kept():
    """Wild steps get worse on texts they do not see; an oracle looks at every tenth itself."""
    rng = np.random.default_rng(3)
    noise = rng.dirichlet([0.2] * C, size=(1, N)).astype(np.float32)  # nothing to generalise
    targets = Mean().combine(noise, np.ones((1, N)), GRADES)
    wild = Schedule(steps=200, batch_size=32, learning_rate=2e-2, holdout=0.25)

    student = FrozenMlp(hidden=64).build(D, C, np.random.default_rng(0))
    held = np.random.default_rng(4).permutation(N)[:30]  # the first draw says who is held out

    def unseen() -> float:
        q = predict(student, FEATURES[held])
        student.train()
        return float((targets.probs[0, held] * np.log(targets.probs[0, held] / q)).sum(1).mean())

    losses: dict[int, float] = {}

    def look(done: int, total: int) -> None:
        if done % 20 == 0:
            losses[done] = unseen()

    lesson = distil(student, FEATURES, targets, Kl(), GRADES, wild, np.random.default_rng(4), look)
    assert len(losses) == 10
    assert lesson.kept == min(losses, key=losses.__getitem__) < 200
    assert unseen() == losses[lesson.kept]


@pytest.mark.parametrize("share", [0.01, 0.999])
def test_each_side_of_the_hold_out_has_a_row(share: float):
    schedule = replace(SHORT, holdout=share)
    student, _, made = taught(replace(PLAIN, schedule=schedule))
    assert made.lesson.kept % 3 == 0
    assert np.all(np.isfinite(predict(student, FEATURES)))


def test_two_rounds_differ_from_one_and_repeat_themselves():
    once, twice, again = (fingerprint(taught(PLAIN, rounds=r)[0]) for r in (1, 2, 2))
    assert once != twice == again


def test_what_chooses_among_opinions_needs_them_apart():
    class Choosy(Reweighting):
        @property
        @override
        def needs_opinions(self) -> bool:
            return True

        @override
        def steer(self, course: Course) -> Steering:
            return Half()

    with pytest.raises(ValueError, match="keep_all"):
        ServerConfig(aggregator=Mean(), reweighting=Choosy())
