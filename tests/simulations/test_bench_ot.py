"""The transport benchmark: right answers, every row, one JSON object. Figures are not judged."""

import json
import sys

import numpy as np
import ot
import pytest
import torch

from simulations import cli
from simulations.benches import peers
from simulations.benches.arms import AUTO, UNCHECKED, Arm
from simulations.benches.exact import differentiate, solve_exactly
from simulations.benches.floors import floors
from simulations.benches.ot import bench
from simulations.benches.race import race
from simulations.benches.tables import floor_table, table
from simulations.benches.workloads import Workload, draw, grounds
from simulations.events import silent

ROW = {
    "arm",
    "ours",
    "exact",
    "note",
    "ms",
    "ratio",
    "ratio_low",
    "ratio_high",
    "times_limit",
    "value_error",
    "gradient_error",
    "repeats",
    "scaled",
}


@pytest.fixture(scope="module")
def tiny():
    torch.set_num_threads(1)
    return bench([Workload(6, 2, 5)], 0.2, seed=3, report=silent)


def test_every_cost_has_every_row(tiny):
    costs = [pairing["cost"] for pairing in tiny["workloads"]]
    assert costs == ["ordinal", "zero_one", "euclid2d", "random", "knot"]
    assert [pairing["kind"] for pairing in tiny["workloads"]] == ["tree"] * 2 + ["metric"] * 3
    for pairing in tiny["workloads"]:
        names = [row["arm"] for row in pairing["rows"]]
        assert {peers.KNOT, AUTO, UNCHECKED} <= set(names)
        assert len(names) == len(set(names)) >= 12
        assert all(set(row) == ROW for row in pairing["rows"])
        assert all(row["ms"] > 0 for row in pairing["rows"] if row["ms"] is not None)


def test_exact_means_exact_and_an_approximation_shows(tiny):
    for pairing in tiny["workloads"]:
        rows = {row["arm"]: row for row in pairing["rows"]}
        for row in rows.values():
            if row["exact"] and row["ms"] is not None:
                assert row["value_error"] < 1e-6, row
                assert row["gradient_error"] < 1e-4, row
        if rows[peers.KNOT]["ms"] is not None:
            assert rows[peers.KNOT]["ratio"] == 1
            assert rows[peers.KNOT]["value_error"] > 0.01
        assert rows["POT ot.batch log_sinkhorn, M/50"]["gradient_error"] < 0.6


def test_it_is_one_json_object_and_a_table(tiny):
    assert json.loads(json.dumps(tiny, allow_nan=False)) == tiny
    text = "\n".join(table(tiny))
    for pairing in tiny["workloads"]:
        assert pairing["cost"] in text
    assert floor_table(tiny) == ["no floor is promised for these workloads"]
    assert set(tiny["limits"]) >= {"gemm_gflops", "copy_gbps", "exp_ns"}
    assert all(value > 0 for value in tiny["limits"].values())


def test_the_yardstick_is_the_linear_programme():
    rng = np.random.default_rng(0)
    batch = draw(Workload(5, 3, 4), rng)
    ground = grounds(4, rng)[2]
    exact = solve_exactly(batch, ground.matrix)
    q = batch.logits.double().softmax(dim=1).numpy()
    p = batch.teachers.double().numpy()
    for k in range(3):
        for n in range(5):
            value = ot.emd2(q[n], p[k, n] / p[k, n].sum(), ground.matrix)
            assert exact.values[k, n] == pytest.approx(value)
    # The gradient, by differences of the weighted sum.
    weights, step = batch.weights.double().numpy(), 1e-6
    for n, c in ((0, 1), (3, 2)):
        sums = []
        for sign in (1, -1):
            logits = batch.logits.double().clone()
            logits[n, c] += sign * step
            moved = logits.softmax(dim=1)[n].numpy()
            sums.append(
                sum(
                    w * ot.emd2(moved, row / row.sum(), ground.matrix)
                    for w, row in zip(weights, p[:, n], strict=True)
                )
            )
        assert exact.gradient[n, c] == pytest.approx((sums[0] - sums[1]) / (2 * step), abs=1e-6)


def test_geomloss_converges_to_the_yardstick():
    """KNOT's call is called right: only its tuning is off."""
    pytest.importorskip("geomloss")
    rng = np.random.default_rng(1)
    batch = draw(Workload(8, 2, 5), rng)
    for ground in grounds(5, rng):
        exact = solve_exactly(batch, ground.matrix)

        def finest(logits, teachers, ground=ground):
            return peers._samples_loss(logits, teachers, ground, scaling=0.995)

        value_error, gradient_error = exact.errors(finest)
        assert value_error < 4e-3
        assert gradient_error < 0.1


def test_geomloss_may_be_absent(monkeypatch):
    monkeypatch.setattr(peers, "find_spec", lambda name: None)
    made = bench([Workload(4, 2, 3)], 0.05, seed=0, report=silent, only=["ordinal"])
    (pairing,) = made["workloads"]
    rows = {row["arm"]: row for row in pairing["rows"]}
    assert rows[peers.KNOT]["ms"] is None
    assert rows[peers.KNOT]["note"] == "not installed: pip install fedknot[geomloss]"
    assert rows[AUTO]["ratio"] is None
    assert "not installed: pip install fedknot[geomloss]" in "\n".join(table(made))
    json.dumps(made, allow_nan=False)
    pairing["workload"] = [1024, 4, 5]
    (floor,) = floors([pairing])
    assert set(floor.holds.values()) == {None}


def test_floors_compare_with_knot():
    row = {"ours": True, "exact": True, "scaled": False}
    rows = [
        {**row, "arm": peers.KNOT, "ours": False, "exact": False, "ms": 40.0, "ratio": 1.0},
        {**row, "arm": AUTO, "ms": 1.0, "ratio": 40.0},
        {**row, "arm": UNCHECKED, "ms": 0.5, "ratio": 80.0},
    ]
    pairing = {"workload": [1024, 4, 5], "cost": "ordinal", "kind": "tree", "rows": rows}
    (floor,) = floors([pairing])
    assert floor.promised == 43
    assert floor.holds == {"auto": False, "unchecked": True, "fastest": True}
    (other,) = floors([{**pairing, "cost": "knot", "kind": "metric"}])
    assert other.promised == 25
    assert other.holds["auto"]


def test_a_slow_arm_is_timed_on_a_part_and_scaled():
    batch = draw(Workload(64, 2, 3), np.random.default_rng(0))

    def values(logits, teachers):
        return (logits.softmax(dim=1) * teachers).sum(dim=-1)

    few = Arm("few", values, most_problems=16)
    lanes = race([Arm("all", values), few], batch, 0.01, always=["all"])
    assert [lane.scale for lane in lanes] == [1, 8]
    assert all(len(lane.times) >= 1 for lane in lanes)
    assert lanes[0].ratios(lanes[0]) == (1, 1, 1)


def test_a_gradient_may_be_given_by_hand():
    batch = draw(Workload(4, 2, 3), np.random.default_rng(0))
    made, gradient = differentiate(lambda x, p: (x.softmax(dim=1) * p).sum(dim=-1), batch)
    assert made.shape == (2, 4)
    assert gradient.shape == (4, 3)
    assert torch.allclose(gradient.sum(dim=1), torch.zeros(4), atol=1e-7)


def test_the_command(monkeypatch, capsys):
    words = ["fedknot", "bench", "ot", "--workload", "6,2,3", "--seconds", "0.1", "--quick"]
    monkeypatch.setattr(sys, "argv", [*words, "--json"])
    assert cli._call() == 0
    made = json.loads(capsys.readouterr().out)
    assert [pairing["cost"] for pairing in made["workloads"]] == ["ordinal", "euclid2d"]
    monkeypatch.setattr(sys, "argv", [*words, "--floors"])
    assert cli._call() == 0
    assert "no floor is promised" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["6,2", "6,2,x", "0,1,5", "6,2,1"])
def test_a_workload_is_three_numbers(monkeypatch, capsys, text):
    monkeypatch.setattr(sys, "argv", ["fedknot", "bench", "ot", "--workload", text])
    assert cli._call() == 2
    assert "--workload" in capsys.readouterr().err
