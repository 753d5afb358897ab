"""Costs and settings that are refused, with which words."""

import math

import numpy as np
import pytest
import torch

from common.labels import LabelGeometry
from server.transport.cost import LabelCost
from server.transport.solve import transport_cost
from tests.server.transport.engines import label_cost_of

UNIFORM = torch.full((3, 5), 0.2)


def one_line(caught: pytest.ExceptionInfo[BaseException]) -> str:
    text = str(caught.value)
    assert text
    assert "\n" not in text
    assert len(text) < 200
    return text


@pytest.mark.parametrize(
    "matrix",
    [np.ones((2, 3)), np.ones(4), np.ones((2, 2, 2)), np.ones((0, 0)), np.array(1.0)],
    ids=lambda matrix: str(matrix.shape),
)
def test_costs_that_are_not_square(matrix: np.ndarray) -> None:
    with pytest.raises(ValueError, match="square") as caught:
        LabelCost(matrix)
    assert str(matrix.shape) in one_line(caught)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_costs_that_are_not_finite(number: float) -> None:
    with pytest.raises(ValueError, match="finite") as caught:
        LabelCost(np.array([[0, number], [1, 0]]))
    one_line(caught)


def test_negative_costs_are_served_here_and_refused_where_they_are_a_mistake() -> None:
    matrix = np.array([[0, -1.0], [-1, 0]])
    value = transport_cost(torch.eye(2), torch.eye(2).flip(0), LabelCost(matrix))
    assert value.tolist() == [-1, -1]
    with pytest.raises(ValueError, match="negative") as caught:
        LabelGeometry(("a", "b"), np.eye(2), matrix)
    one_line(caught)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"solver": "nope"}, "solver"),
        ({"solver": ""}, "solver"),
        ({"solver": "tree"}, "tree"),
        ({"solver": "sinkhorn"}, "epsilon"),
        ({"solver": "sinkhorn", "epsilon": 0.0}, "epsilon"),
        ({"solver": "sinkhorn", "epsilon": 1e-3}, "epsilon"),
        ({"solver": "sinkhorn", "epsilon": math.nan}, "epsilon"),
        ({"solver": "sinkhorn", "epsilon": -1.0}, "epsilon"),
        ({"epsilon": 0.1}, "exact"),
        ({"debias": True}, "exact"),
        ({"solver": "vertex", "epsilon": 0.1}, "exact"),
    ],
)
def test_settings_that_cannot_be_meant(options: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        transport_cost(UNIFORM, UNIFORM, label_cost_of("metric", 5), **options)  # type: ignore[arg-type]
    one_line(caught)


def test_debiasing_needs_a_symmetric_cost() -> None:
    with pytest.raises(ValueError, match="symmetric") as caught:
        transport_cost(
            UNIFORM,
            UNIFORM,
            label_cost_of("asymmetric", 5),
            solver="sinkhorn",
            epsilon=0.1,
            debias=True,
        )
    one_line(caught)
