"""Every exact way to an answer, by name; the two engines of ``lp`` are two ways."""

import contextlib
import functools
from collections.abc import Iterator
from unittest import mock

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor

from server.transport import lp
from server.transport.cost import LabelCost
from server.transport.solve import transport_cost
from tests.server.transport.problems import COSTS

ENGINES = ("simplex", "paths")
MOST_VERTEX_LABELS = 8


def ways(cost: LabelCost) -> list[str]:
    """Those that can serve the cost; at least both engines of ``lp``."""
    tree = ["tree"] if cost.kind == "tree" else []
    vertex = ["vertex"] if cost.num_labels <= MOST_VERTEX_LABELS else []
    return [*tree, *vertex, *ENGINES]


@contextlib.contextmanager
def engine(name: str) -> Iterator[None]:
    with mock.patch.object(lp, "engine", return_value=name):
        yield


def solve(way: str, q: Tensor, p: Tensor, cost: LabelCost, validate: bool = True) -> Tensor:
    if way not in ENGINES:
        return transport_cost(q, p, cost, solver=way, validate=validate)
    with engine(way):
        return transport_cost(q, p, cost, solver="lp", validate=validate)


def value_and_gradient(way: str, q: Tensor, p: Tensor, cost: LabelCost) -> tuple[Tensor, Tensor]:
    """Values (..., B) and, of their sum, the gradient with respect to q (B, C)."""
    q = q.detach().clone().requires_grad_()
    value = solve(way, q, p, cost)
    (gradient,) = torch.autograd.grad(value.sum(), q)
    return value.detach(), gradient


@functools.cache
def label_cost_of(name: str, size: int, seed: int = 0) -> LabelCost:
    """A cost of :data:`COSTS` by name; cached, since its tables are dear."""
    return LabelCost(COSTS[name](generator(name, size, seed), size))


def generator(*words: str | int) -> Generator:
    """A generator seeded from words and numbers."""
    return np.random.default_rng([int.from_bytes(str(w).encode()[-8:], "big") for w in words])


def tensors(*arrays: NDArray[np.float64], dtype: torch.dtype = torch.float64) -> list[Tensor]:
    return [torch.tensor(a, dtype=dtype) for a in arrays]
