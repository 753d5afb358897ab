"""``auto`` is a function of the cost alone; which LP engine runs is nobody's business."""

import sys
from collections.abc import Callable

import numpy as np
import pytest
import torch

from server.transport import lp
from server.transport.cost import LabelCost
from server.transport.solve import transport_cost
from tests.server.transport.engines import engine, generator, label_cost_of, solve, tensors
from tests.server.transport.problems import COSTS, METRICS, TREES, draw

every_cost = pytest.mark.parametrize("name", COSTS)


@every_cost
@pytest.mark.parametrize("size", [5, 7, 9, 30])
def test_auto_takes_the_closed_form_then_the_vertices_then_the_programme(
    name: str, size: int
) -> None:
    cost = label_cost_of(name, size)
    expected = "tree" if name in TREES else "vertex" if size <= 8 else "lp"
    assert cost.solver() == cost.solver("auto") == expected
    assert (cost.kind == "tree") == (name in TREES)
    assert cost.is_metric == (name in METRICS)


@every_cost
@pytest.mark.parametrize("size", [3, 7, 20])
def test_auto_is_the_solver_it_names_to_the_last_bit(name: str, size: int) -> None:
    cost = label_cost_of(name, size)
    arrays = draw(generator("auto", name), 20, size)
    for dtype in (torch.float32, torch.float64):
        for rows in (1, 20):
            q, p = (x[:rows] for x in tensors(*arrays, dtype=dtype))
            named = transport_cost(q, p, cost, solver=cost.solver())
            assert torch.equal(transport_cost(q, p, cost), named)


@pytest.mark.parametrize(
    ("name", "size", "words"),
    [
        ("ordinal", 5, ["tree", "5"]),
        ("discrete", 30, ["tree", "30"]),
        ("metric", 7, ["vertex", "7"]),
        ("asymmetric", 3, ["vertex", "3"]),
        ("metric", 9, ["lp", "9"]),
        ("negative", 40, ["lp", "40"]),
    ],
)
def test_explain_names_the_choice_first_and_the_reason(
    name: str, size: int, words: list[str]
) -> None:
    cost = label_cost_of(name, size)
    text = cost.explain()
    assert text.startswith(cost.solver())
    assert "\n" not in text
    assert all(word in text for word in words)
    assert len(text.split()) > 5


@pytest.fixture(params=["with numba", "without numba"])
def machine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where the optional extra is installed, and where it is not."""
    if request.param == "without numba":
        # None in its place makes Python say that there is no such module.
        monkeypatch.setitem(sys.modules, "numba", None)
        monkeypatch.delitem(sys.modules, "server.transport.shortest_paths", raising=False)
    else:
        pytest.importorskip("numba")
    return str(request.param)


@every_cost
def test_without_the_extra_the_choice_and_the_values_are_the_same(name: str, machine: str) -> None:
    for size in (4, 12):
        matrix = label_cost_of(name, size).matrix
        cost = LabelCost(matrix)
        assert cost.solver() == label_cost_of(name, size).solver()
        assert cost.explain() == label_cost_of(name, size).explain()
        q, p = tensors(*draw(generator("machine", name), 20, size))
        ours = transport_cost(q, p, cost, solver="lp")
        assert (ours - solve("simplex", q, p, cost)).abs().max() <= 1e-12 * cost.range
    expected = "simplex" if machine == "without numba" else "paths"
    assert lp.engine(12) == expected


def test_engines_by_size(machine: str) -> None:
    del machine
    assert {lp.engine(size) for size in (9, 64)} <= {"paths", "simplex"}
    assert lp.engine(1000) == "simplex"


@every_cost
@pytest.mark.parametrize("size", [3, 9, 24, 25, 64, 90])
def test_engines_give_the_same_values_and_are_both_right_about_slopes(name: str, size: int) -> None:
    cost = label_cost_of(name, size)
    q, p = tensors(*draw(generator("engines", name, size), 20, size))
    values, slopes = [], []
    for chosen in ("simplex", "paths"):
        value, f, basis = lp.solve(q, p[None], cost, chosen)  # type: ignore[arg-type]
        assert basis is None
        values.append(value[0])
        slopes.append(f[0])
    assert (values[0] - values[1]).abs().max() <= 1e-11 * cost.range
    # Potentials may differ where several are optimal; each must reproduce the value.
    for f in slopes:
        g = (torch.tensor(cost.matrix) - f[:, :, None]).amin(dim=1)
        dual = (f * q).sum(dim=1) + (g * p).sum(dim=1)
        assert (dual - values[0]).abs().max() <= 1e-10 * max(cost.range, cost.largest)


def test_the_engine_can_be_forced_from_outside() -> None:
    """Which the other tests rely on."""
    seen: list[int] = []
    cost = label_cost_of("metric", 9)
    rows = torch.eye(9)
    plain: Callable[[int], str] = lp.engine
    with engine("simplex"):
        assert lp.engine(9) == "simplex"
        seen.append(len(transport_cost(rows, rows, cost, solver="lp")))
    assert lp.engine is plain
    assert seen == [9]


def test_one_row_or_many_on_any_machine_the_table_is_the_same() -> None:
    first, second = (LabelCost(label_cost_of("plane", 6).matrix) for _ in range(2))
    q, p = tensors(*draw(generator("table"), 30, 6))
    one, other = transport_cost(q, p, first), transport_cost(q[:7], p[:7], second)
    assert np.allclose(one[:7], other, rtol=0, atol=1e-14)
