"""Delayed rewards of reinforced selection: by hand, and against loops over numbers of one text."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from server.steering import Course
from server.weightings._rewards import judge
from server.weightings.reinforced import Reinforced
from tests.courses import course, step_of

REWARDS = ["label", "label_and_teacher", "development"]
BALANCE, HOLDOUT = 0.25, 0.5


class Says(nn.Module):
    """A student that says the same of every text."""

    def __init__(self, *probs: float) -> None:
        super().__init__()
        self.said = torch.tensor(probs, dtype=torch.float64).log()

    def forward(self, rows: Tensor) -> Tensor:
        return self.said.expand(len(rows), -1)


def lesson() -> Course:
    """Texts 0, 2, 4, 6 are known to be of labels 0, 1, 2, 0; two teachers weigh 3/4 and 1/4.

    The first says what the student says, the second that it is label 0 for certain.
    """
    given = course((0, 2), dtype=torch.float64, texts=8, known=4)
    given.labels[:] = torch.tensor([0, 1, 2, 0])
    given.probs[0], given.probs[1] = torch.tensor([0.5, 0.3, 0.2]), torch.eye(3)[0]
    given.weights[0], given.weights[1] = 0.75, 0.25
    return given


# The student says (.5, .3, .2) of all. Log-likelihoods of the four labels: log .5, .3, .2, .5.
# Divergence of the student from the teachers: 0 and -log .5; weighed, log(2) / 4 on every text.
# Development: half of the labels, texts 0 and 4, are held out; of labels 0 and 2 label 0 is right.
# The rest, texts 2 and 6, are of labels 1 and 0.
BY_HAND = {
    "label": math.log(0.5 * 0.3 * 0.2 * 0.5) / 4,
    "label_and_teacher": math.log(0.5 * 0.3 * 0.2 * 0.5) / 4 - math.log(2) / 4,
    "development": 0.75 * 0.5 + 0.25 * (math.log(0.3 * 0.5) / 2 - math.log(2) / 4),
}


@pytest.mark.parametrize("reward", REWARDS)
def test_the_value_of_a_student_by_hand(reward: str) -> None:
    value = judge(reward, lesson(), BALANCE, HOLDOUT)(Says(0.5, 0.3, 0.2))
    assert value == pytest.approx(BY_HAND[reward], abs=1e-7)


def looped(reward: str, given: Course, said: np.ndarray) -> float:
    """The same from its words, text by text; ``said`` are the student's answers (N, C)."""
    known, labels = given.rows.tolist(), given.labels.tolist()
    probs, weights = given.probs.numpy(), given.weights.numpy()
    apart = reward == "development"
    # Every so many-th label is held out: places 0, 2, 4, ... of a half.
    held = [m for m in range(len(known)) if apart and m % 2 == 0]
    likely = against = right = 0.0
    for m, (text, label) in enumerate(zip(known, labels, strict=True)):
        if m in held:
            right += max(range(3), key=lambda c, text=text: said[text, c]) == label
            continue
        likely += math.log(said[text, label])
        for k in range(len(probs)):
            for c in range(3):
                against += (
                    weights[k, text]
                    * probs[k, text, c]
                    * math.log(probs[k, text, c] / said[text, c])
                )
    count = len(known) - len(held)
    if reward == "label":
        return likely / count
    both = (likely - against) / count
    return both if not apart else (1 - BALANCE) * right / len(held) + BALANCE * both


def answers(given: Course) -> np.ndarray:
    """What the student says of all texts, (N, C), without dropout."""
    given.student.eval()
    with torch.no_grad():
        said: np.ndarray = given.student(given.features).exp().numpy()
    given.student.train()
    return said


@pytest.mark.parametrize("reward", REWARDS)
@pytest.mark.parametrize("seed", range(3))
def test_the_value_of_a_student_against_loops(reward: str, seed: int) -> None:
    given = course((0, 2, 5), dtype=torch.float64, seed=seed)
    value = judge(reward, given, BALANCE, HOLDOUT)(given.student)
    assert value == pytest.approx(looped(reward, given, answers(given)))
    assert given.student.training


@pytest.mark.parametrize("reward", REWARDS)
def test_choices_are_paid_what_the_student_gains_in_an_episode(reward: Any) -> None:
    """Two episodes of two steps: the baseline follows the gains, one number for all choices."""
    given = course((0, 2, 5), dtype=torch.float64)
    weighting = Reinforced(reward=reward, every=2, balance=BALANCE, holdout=HOLDOUT)
    steering = weighting.steer(given, weighting.start(6))
    values = [looped(reward, given, answers(given))]
    for number in range(1, 5):
        step = step_of(given, number)
        steering.weigh(step)
        with torch.no_grad():
            given.student.output.bias += torch.tensor([0.3, 0.1, -0.2]) * number
        steering.learn(step)
        if number % 2 == 0:
            values.append(looped(reward, given, answers(given)))
    first, second = np.diff(values)
    # The first gain sets the mean; half of it stays at the second, as half of the spread does.
    expected = [(first + second) / 2, (second - first) ** 2 / 2, 2]
    assert steering.state()["baseline"] == pytest.approx(expected, rel=1e-6)
