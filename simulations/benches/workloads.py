"""Workloads of the transport benchmark: label costs, teachers and a student to move."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from scipy.sparse.csgraph import floyd_warshall
from torch import Tensor

from common.arrays import Floats
from common.failures import ConfigError

_NOISE = 2.0  # of logits around a truth of the same spread: peaked, and in disagreement


@dataclass(frozen=True)
class Workload:
    """One batch of transport problems.

    Attributes:
        batch: B, samples.
        clients: K, teachers; there are B x K problems.
        labels: C.
    """

    batch: int
    clients: int
    labels: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """From ``B,K,C``.

        Raises:
            ConfigError: not three whole numbers of at least 1, 1 and 2.
        """
        words = text.split(",")
        if len(words) != 3 or not all(word.strip().isdecimal() for word in words):
            raise ConfigError(f"--workload {text}: write B,K,C, e.g. --workload 1024,4,5")
        batch, clients, labels = map(int, words)
        if batch < 1 or clients < 1 or labels < 2:
            raise ConfigError(f"--workload {text}: B and K are at least 1, C at least 2")
        return cls(batch, clients, labels)


DEFAULT = tuple(
    Workload(*numbers)
    for numbers in ((1024, 4, 5), (1024, 4, 7), (4096, 10, 5), (1024, 32, 20), (256, 4, 100))
)
LARGE = Workload(64, 4, 1000)


@dataclass(frozen=True, eq=False)
class Ground:
    """A ground cost and, where there are any, points at these distances.

    Attributes:
        name: ``ordinal``, ``zero_one``, ``euclid2d``, ``random`` or ``knot``.
        matrix: shape (C, C), float64.
        points: shape (C, D), float64; None if the cost is no Euclidean distance.
    """

    name: str
    matrix: Floats
    points: Floats | None


def grounds(labels: int, rng: np.random.Generator) -> list[Ground]:
    """The costs to measure for C labels; KNOT's own coordinates at 5 only."""
    grades = np.arange(labels, dtype=np.float64)[:, None]
    ones = np.eye(labels)
    made = [
        _euclidean("ordinal", grades),
        _euclidean("zero_one", ones / np.sqrt(2)),
        _euclidean("euclid2d", rng.normal(size=(labels, 2))),
        _random_metric(labels, rng),
    ]
    if labels == 5:  # one-hot and ordinal coordinates side by side, as in KNOT's code
        made.append(_euclidean("knot", np.hstack([ones, grades])))
    return made


@dataclass(frozen=True, eq=False)
class Batch:
    """What every arm is given.

    Attributes:
        logits: shape (B, C), float32, of the student.
        teachers: shape (K, B, C), float32; rows are distributions.
        weights: shape (K,), float32, summing to 1.
    """

    logits: Tensor
    teachers: Tensor
    weights: Tensor

    def first(self, rows: int) -> "Batch":
        """Its first samples."""
        return Batch(
            self.logits[:rows].contiguous(), self.teachers[:, :rows].contiguous(), self.weights
        )


def draw(workload: Workload, rng: np.random.Generator) -> Batch:
    """Peaked distributions around a common truth; nobody is certain, nobody agrees."""
    shape = workload.batch, workload.labels
    truth = _NOISE * rng.normal(size=shape)
    noise = _NOISE * rng.normal(size=(workload.clients + 1, *shape))
    logits = torch.from_numpy(truth + noise).float()
    weights = torch.from_numpy(rng.dirichlet(np.ones(workload.clients))).float()
    return Batch(logits[0].clone(), logits[1:].softmax(dim=-1), weights)


def _euclidean(name: str, points: Floats) -> Ground:
    return Ground(name, np.linalg.norm(points[:, None] - points[None], axis=2), points)


def _random_metric(labels: int, rng: np.random.Generator) -> Ground:
    """Shortest paths in a complete graph of random lengths."""
    lengths = rng.uniform(0.1, 1.0, size=(labels, labels))
    paths = np.asarray(floyd_warshall(np.triu(lengths, 1), directed=False), dtype=np.float64)
    return Ground("random", paths, None)
