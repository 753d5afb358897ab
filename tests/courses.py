"""A course and its steps, for whatever steers a student's weights."""

import numpy as np
import torch

from common.labels import LabelGeometry
from server.losses import DistillationLoss
from server.losses.kl import Kl
from server.steering import LABEL, Course, Step
from server.students.frozen_mlp import FrozenMlp

GRADES = LabelGeometry.ordinal(list("abc"))


def course(
    teachers: tuple[int, ...] = (0, 2, 5),
    loss: DistillationLoss | None = None,
    geometry: LabelGeometry = GRADES,
    dtype: torch.dtype = torch.float32,
    *,
    texts: int = 40,
    known: int = 20,
    seed: int = 0,
) -> Course:
    """A student in training and what it is about to go through; one row of labels if asked for."""
    rng, width, labels = np.random.default_rng(seed), 6, len(geometry)
    student = FrozenMlp(hidden=5).build(width, labels, rng).to(dtype).train()
    probs = rng.dirichlet([0.7] * labels, size=(len(teachers), texts))
    rows, truth = np.arange(0, 2 * known, 2), rng.integers(0, labels, known)
    weights = rng.dirichlet([2.0] * len(teachers), size=texts).T
    if LABEL in teachers:
        place = teachers.index(LABEL)
        probs[place] = 1 / labels
        probs[place, rows] = np.eye(labels)[truth]
        weights[place, np.setdiff1d(np.arange(texts), rows)] = 0
        weights /= weights.sum(axis=0)
    return Course(
        student,
        torch.tensor(rng.normal(size=(texts, width)), dtype=dtype),
        torch.tensor(probs, dtype=dtype),
        torch.tensor(weights, dtype=dtype),
        teachers,
        torch.from_numpy(rows),
        torch.from_numpy(truth),
        loss or Kl(),
        geometry,
        0.1,
        np.random.default_rng(seed + 1),
    )


def step_of(given: Course, number: int = 1, size: int = 12) -> Step:
    """The batch of that number: every text in turn."""
    rows = (torch.arange(size) + (number - 1) * size) % len(given.features)
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(number)
        log_q = given.student(given.features[rows])
        probs, weights = given.probs[:, rows], given.weights[:, rows]
        values = given.loss(log_q, probs, given.geometry)
    return Step(number, rows, log_q, probs, weights, values, given.geometry)
