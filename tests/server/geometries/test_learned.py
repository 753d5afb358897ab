"""The learned cost: a metric of fixed mean that follows what is confused."""

from dataclasses import replace

import numpy as np
import ot
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from common.arrays import Floats
from common.failures import ConfigError
from common.labels import LabelGeometry
from server.aggregators import Targets
from server.distil import Schedule, distil
from server.geometries.learned import Learned, mean_plan
from server.losses import DistillationLoss
from server.losses.sinkhorn import Sinkhorn
from server.losses.transport import Transport
from server.students.frozen_mlp import FrozenMlp

GRADES = LabelGeometry.ordinal(list("abcde"), (-2.2, -1, 0, 1, 2.2))
FLAT = LabelGeometry.discrete(list("abcde"))
ALWAYS = Learned(every=1)


def batch(seed: int, size: int, sharpness: float = 0.4) -> tuple[Tensor, Tensor, Tensor]:
    """Student (B, C), targets (T, B, C) and weights (T, B), some of them one-hot."""
    rng = np.random.default_rng(seed)
    q = rng.dirichlet([sharpness] * size, size=8)
    p = rng.dirichlet([sharpness] * size, size=(3, 8))
    p[0, 0], p[1, 1], q[2] = np.eye(size)[0], np.eye(size)[-1], np.eye(size)[1]
    w = rng.dirichlet([1.0] * 3, size=8).T
    return tuple(torch.tensor(x) for x in (q, p, w))  # type: ignore[return-value]


@pytest.mark.parametrize("epsilon", [0.05, 0.1, 1.0])
def test_the_mean_plan_is_the_mean_of_plans(epsilon: float) -> None:
    q, p, w = batch(0, 5)
    q, p = 0.99 * q + 0.002, 0.99 * p + 0.002  # POT takes the logarithm of both
    made = mean_plan(q, p, w, GRADES.cost, epsilon, sweeps=2000)
    expected = np.zeros((5, 5))
    for t, b in np.ndindex(*w.shape):
        width = epsilon * GRADES.cost.max()
        plan = ot.sinkhorn(
            q[b].numpy(),
            p[t, b].numpy(),
            GRADES.cost,
            width,
            method="sinkhorn_log",
            numItermax=20_000,
            stopThr=1e-12,
            warn=False,
        )
        expected += float(w[t, b]) * plan
    assert made == pytest.approx(expected / float(w.sum()), abs=1e-8)


def test_where_one_side_is_certain_the_plan_is_the_product() -> None:
    q, p, w = batch(2, 5)
    sure = torch.eye(5)[[3]].expand(8, -1)
    made = mean_plan(sure, p, w, GRADES.cost, 0.01, sweeps=5)
    assert made[3] == pytest.approx((torch.einsum("tb,tbc->c", w, p) / w.sum()).numpy(), abs=1e-6)
    made = mean_plan(q, sure[None].expand(3, -1, -1), w, GRADES.cost, 0.01, sweeps=5)
    assert made[:, 3] == pytest.approx(q.mean(dim=0).numpy(), abs=1e-6)


def test_the_mean_plan_has_the_students_rows_whatever_the_sweeps() -> None:
    q, p, w = batch(1, 7)
    cost = LabelGeometry.ordinal([str(i) for i in range(7)]).cost
    made = mean_plan(q.float(), p.float(), w.float(), cost, 0.01, sweeps=3)
    wanted = torch.einsum("tb,bc->c", w, q) / w.sum()
    assert made.dtype == np.float64
    assert made.sum() == pytest.approx(1)
    assert made.sum(axis=1) == pytest.approx(wanted.numpy(), abs=1e-6)


def any_geometry(seed: int, size: int) -> LabelGeometry:
    rng = np.random.default_rng(seed)
    names = [str(i) for i in range(size)]
    if seed % 3 == 0:
        return LabelGeometry.ordinal(names, np.sort(rng.normal(size=size)))
    if seed % 3 == 1:
        return LabelGeometry.at_points(names, rng.normal(size=(size, 2)), p=2)
    cost = np.triu(rng.integers(0, 5, size=(size, size)), 1).astype(float)
    cost[0, 1] = 1
    return LabelGeometry.from_matrix(names, cost + cost.T)


@settings(max_examples=12)
@given(
    seed=st.integers(0, 10_000),
    size=st.integers(3, 6),
    rate=st.sampled_from([0.01, 1.0, 10.0]),
    pull=st.sampled_from([0.0, 1.0, 100.0]),
)
def test_after_a_hundred_steps_from_anywhere_it_is_a_metric_of_the_same_mean(
    seed: int, size: int, rate: float, pull: float
) -> None:
    learned = Learned(every=1, rate=rate, pull=pull, sweeps=5)
    first = geometry = learned.build(any_geometry(seed, size))
    parts = batch(seed, size)
    for step in range(1, 101):
        geometry = learned.refine(geometry, step, *parts)
    assert geometry.is_metric
    assert geometry.mean_cost == pytest.approx(first.mean_cost, rel=1e-9)
    assert np.array_equal(geometry.cost, geometry.cost.T)
    assert np.array_equal(geometry.points, first.points)
    assert geometry.names == first.names


def confusing(i: int, j: int) -> tuple[Tensor, Tensor, Tensor]:
    """The student says label i where every teacher says j, and is right elsewhere."""
    eye = torch.eye(5)
    q, p = torch.cat([eye, eye[[i]]]), torch.cat([eye, eye[[j]]])
    return 0.95 * q + 0.01, (0.95 * p + 0.01).expand(2, -1, -1), torch.full((2, 6), 0.5)


@pytest.mark.parametrize("labels", [GRADES, FLAT], ids=["grades", "flat"])
def test_labels_that_are_confused_come_closer(labels: LabelGeometry) -> None:
    geometry = ALWAYS.build(labels)
    for step in range(1, 41):
        geometry = ALWAYS.refine(geometry, step, *confusing(0, 3))
    ratio = geometry.cost / np.where(labels.cost > 0, labels.cost, 1)
    assert ratio[0, 3] < 0.9
    assert ratio[0, 3] == ratio[~np.eye(5, dtype=bool)].min()


def test_a_strong_pull_keeps_the_data_sets_cost() -> None:
    learned = Learned(every=1, pull=1e6)
    geometry = learned.build(GRADES)
    for step in range(1, 21):
        geometry = learned.refine(geometry, step, *confusing(0, 4))
    assert geometry.cost == pytest.approx(GRADES.cost, abs=1e-4)


def test_against_constant_plans_it_ends_where_the_formula_says() -> None:
    """All off-diagonal mass between two labels: slope 10 there, relative to ten pairs, else 0."""
    learned = Learned(every=1, rate=0.1, pull=20.0)
    geometry = learned.build(FLAT)
    eye = torch.eye(5)
    sure = (eye[[0]], eye[[3]][None], torch.ones(1, 1))
    for step in range(1, 101):
        geometry = learned.refine(geometry, step, *sure)
    expected = 1 - (10 * np.isin(np.add.outer([1, 0, 0, 2, 0], [1, 0, 0, 2, 0]), [3]) - 1) / 20
    np.fill_diagonal(expected, 0)
    assert geometry.cost == pytest.approx(expected, abs=1e-6)


def test_same_inputs_same_bits_and_nothing_is_written_to() -> None:
    built, parts = ALWAYS.build(GRADES), batch(3, 5)
    kept = [x.clone() for x in parts]
    one, other = (ALWAYS.refine(built, 1, *parts) for _ in range(2))
    assert one.cost.tobytes() == other.cost.tobytes()
    assert not np.array_equal(one.cost, built.cost)
    assert np.array_equal(built.cost, GRADES.cost)
    assert all(torch.equal(x, y) for x, y in zip(parts, kept, strict=True))


def test_only_every_so_many_steps() -> None:
    learned = Learned(every=4)
    built, parts = learned.build(GRADES), batch(4, 5)
    moved = [learned.refine(built, step, *parts) is not built for step in range(1, 9)]
    assert moved == [False, False, False, True] * 2


def test_points_stay_and_are_a_line_no_more() -> None:
    built = ALWAYS.build(GRADES)
    moved = ALWAYS.refine(built, 1, *batch(5, 5))
    assert built.is_line
    assert np.array_equal(moved.points, GRADES.points)
    assert not moved.is_line


def test_nothing_to_learn_from_changes_nothing() -> None:
    built = ALWAYS.build(FLAT)
    sure, weights = torch.eye(5)[[0]], torch.ones(1, 1)
    assert ALWAYS.refine(built, 1, sure, sure[None], weights) is built
    assert ALWAYS.refine(built, 1, sure * torch.nan, sure[None], weights) is built
    assert ALWAYS.refine(built, 1, sure, sure[None], weights * 0) is built


def test_two_labels_are_refused() -> None:
    with pytest.raises(ConfigError, match="two labels have one distance"):
        ALWAYS.build(LabelGeometry.ordinal(["no", "yes"]))


def lesson() -> tuple[Floats, Targets]:
    """Teachers who read the features, and always mix up the first two labels."""
    rng = np.random.default_rng(6)
    features = rng.normal(size=(80, 6)).astype(np.float32)
    scores = 2 * features[:, :5] + rng.normal(scale=0.3, size=(3, 80, 5))
    scores[..., :2] = scores[..., :2].mean(axis=2, keepdims=True) + rng.normal(size=(3, 80, 2))
    probs = np.exp(scores) / np.exp(scores).sum(axis=2, keepdims=True)
    return features, Targets(probs.astype(np.float32), np.full((3, 80), 1 / 3, np.float32))


@pytest.mark.parametrize("loss", [Sinkhorn(), Transport()], ids=["sinkhorn", "transport"])
def test_a_student_is_trained_with_it(loss: DistillationLoss) -> None:
    features, targets = lesson()
    learned = replace(ALWAYS, every=5)

    def taught() -> tuple[list[float], LabelGeometry]:
        student = FrozenMlp(hidden=8).build(6, 5, np.random.default_rng(0))
        schedule, rng = Schedule(steps=30, batch_size=40), np.random.default_rng(1)
        built = learned.build(GRADES)
        made = distil(student, features, targets, loss, built, schedule, rng, refine=learned.refine)
        return made.losses, made.geometry

    (losses, geometry), (again, other) = taught(), taught()
    assert losses[-1] < losses[0]
    assert losses == again
    assert geometry.cost.tobytes() == other.cost.tobytes()
    assert geometry.is_metric
    assert geometry.mean_cost == pytest.approx(GRADES.mean_cost)
    assert not np.allclose(geometry.cost, GRADES.cost)
