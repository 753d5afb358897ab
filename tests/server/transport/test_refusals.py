"""What is refused, with which words; nothing that is no number comes out."""

import math

import pytest
import torch
from torch import Tensor

from server.transport.cost import LabelCost
from server.transport.solve import transport_cost, transport_plan
from tests.server.transport.engines import label_cost_of, solve, ways

UNIFORM = torch.full((3, 5), 0.2)
COSTS = {  # one for every solver that auto may take
    "tree": label_cost_of("ordinal", 5),
    "vertex": label_cost_of("asymmetric", 5),
    "metric": label_cost_of("metric", 5),
}


def damaged(*numbers: float, times: float = 1) -> Tensor:
    """One row of three begins with other numbers and is multiplied."""
    rows = UNIFORM.clone()
    rows[1, : len(numbers)] = torch.tensor(numbers)
    rows[1] *= times
    return rows


BAD_ROWS = {
    "nan": damaged(math.nan),
    "inf": damaged(math.inf),
    "minus inf": damaged(-math.inf),
    "both infinities": damaged(math.inf, -math.inf),
    "no mass": damaged(times=0),
    "too much mass": damaged(times=1.05),
    "too little mass": damaged(times=0.95),
    "twice": 2 * UNIFORM,
    "a negative mass": damaged(-0.2, 0.6),
    "a small negative mass": damaged(-0.001, 0.401),
    "logits": torch.tensor([[3.0, -1, 0, 2, -4]] * 3),
    "log-probabilities": UNIFORM.log(),
    "counts": torch.tensor([[3.0, 1, 0, 0, 2]] * 3),
    "all nan": torch.full((3, 5), math.nan),
}
every_bad = pytest.mark.parametrize("bad", BAD_ROWS.values(), ids=BAD_ROWS.keys())
every_cost = pytest.mark.parametrize("cost", COSTS.values(), ids=COSTS.keys())


def one_line(caught: pytest.ExceptionInfo[BaseException]) -> str:
    text = str(caught.value)
    assert text
    assert "\n" not in text
    assert len(text) < 200
    return text


@every_bad
@every_cost
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_rows_that_are_no_distributions(bad: Tensor, cost: LabelCost, dtype: torch.dtype) -> None:
    good, bad = UNIFORM.double().to(dtype), bad.to(dtype)
    for way in ways(cost):
        with pytest.raises(ValueError, match=r"rows of q must be distributions") as caught:
            solve(way, bad, good, cost)
        one_line(caught)
        with pytest.raises(ValueError, match=r"rows of p must be distributions") as caught:
            solve(way, good, bad, cost)
        one_line(caught)
        with pytest.raises(ValueError, match=r"rows of p must be distributions"):
            solve(way, good, torch.stack([good, good, bad]), cost)


@every_bad
@every_cost
def test_sinkhorn_refuses_the_same(bad: Tensor, cost: LabelCost) -> None:
    for pair in ((bad, UNIFORM), (UNIFORM, bad)):
        with pytest.raises(ValueError, match=r"must be distributions"):
            transport_cost(*pair, cost, solver="sinkhorn", epsilon=0.1)


@every_bad
def test_a_plan_between_no_distributions(bad: Tensor) -> None:
    good, row = UNIFORM[0].numpy(), bad[1].numpy()
    for pair in ((row, good), (good, row)):
        with pytest.raises(ValueError, match=r"must be distributions") as caught:
            transport_plan(*pair, COSTS["vertex"])
        one_line(caught)


@every_bad
@every_cost
def test_without_validation_a_number_is_never_made_of_what_is_none(
    bad: Tensor, cost: LabelCost
) -> None:
    """Skipping the check may cost meaning, not honesty: NaN in gives NaN out, or an error."""
    if bool(torch.isfinite(bad).all()):
        return
    for way in ways(cost):
        for pair in ((bad, UNIFORM), (UNIFORM, bad)):
            try:
                value = solve(way, *pair, cost, validate=False)
            except ValueError:
                continue
            wrong = ~torch.isfinite(bad).all(dim=1)
            assert not torch.any(torch.isfinite(value[wrong])), way


@pytest.mark.parametrize(
    ("q", "p"),
    [
        ((3, 5), (2, 5)),
        ((3, 5), (3, 4)),
        ((3, 4), (3, 4)),
        ((3, 5), (5, 3)),
        ((5,), (5,)),
        ((3, 5), (5,)),
        ((2, 3, 5), (3, 5)),
        ((2, 3, 5), (2, 3, 5)),
        ((3, 5), (3, 2, 5)),
        ((3, 5), (1, 5)),
    ],
)
@every_cost
def test_shapes_that_do_not_fit(q: tuple[int, ...], p: tuple[int, ...], cost: LabelCost) -> None:
    """Nothing is broadcast silently: targets that should be one per sample are not repeated."""
    with pytest.raises(ValueError, match=r"\(B, 5\)") as caught:
        transport_cost(torch.full(q, 1 / q[-1]), torch.full(p, 1 / p[-1]), cost)
    assert str(q) in one_line(caught)


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool, torch.int32])
def test_whole_numbers_are_no_probabilities(dtype: torch.dtype) -> None:
    hot = torch.eye(5)[:3]
    for pair in ((hot.to(dtype), hot), (hot, hot.to(dtype))):
        with pytest.raises(TypeError, match="floating point") as caught:
            transport_cost(*pair, COSTS["tree"])
        one_line(caught)


@every_cost
def test_a_target_that_wants_a_gradient_is_refused_before_it_silently_gets_none(
    cost: LabelCost,
) -> None:
    student = UNIFORM.clone().requires_grad_()
    for way in ways(cost):
        with pytest.raises(ValueError, match=r"p\.detach\(\)") as caught:
            solve(way, UNIFORM, student, cost)
        one_line(caught)
        assert solve(way, student, UNIFORM, cost).requires_grad


@every_cost
def test_second_derivatives_are_refused_not_made_up(cost: LabelCost) -> None:
    student = UNIFORM.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(
        transport_cost(student, UNIFORM.roll(1, 1), cost).sum(), student, create_graph=True
    )
    with pytest.raises(RuntimeError, match=r"once_differentiable|does not require grad"):
        gradient.square().sum().backward()
