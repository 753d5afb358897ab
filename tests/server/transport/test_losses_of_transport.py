"""The losses built on the solvers: each against a hand formula or the library it imitates."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from common.configure import load
from common.failures import ConfigError
from common.labels import LabelGeometry
from server.losses import DistillationLoss
from server.losses.knot_geomloss import KnotGeomloss
from server.losses.sinkhorn import Sinkhorn
from server.losses.smoothed_transport import SmoothedTransport
from server.losses.transport import Transport
from server.transport.cost import label_cost
from server.transport.solve import transport_cost
from tests.server.transport import oracles
from tests.server.transport.engines import generator, tensors
from tests.server.transport.problems import COSTS, between, soft


def geometry(name: str, size: int) -> LabelGeometry:
    """Costs of a label set must be symmetric, not negative, and zero on the diagonal."""
    matrix = COSTS[name](generator("geometry", name, size), size)
    matrix = (matrix + matrix.T) / 2
    np.fill_diagonal(matrix, 0)
    return LabelGeometry(tuple(map(str, range(size))), np.eye(size), matrix)


def placed(size: int, dimensions: int) -> LabelGeometry:
    points = generator("placed", size, dimensions).normal(size=(size, dimensions))
    return LabelGeometry(tuple(map(str, range(size))), points, between(points))


GEOMETRIES = {
    f"{name}-{size}": geometry(name, size)
    for name in ("ordinal", "discrete", "tree", "plane", "squared_plane", "symmetric", "knot")
    for size in (2, 5, 10)
}
every_geometry = pytest.mark.parametrize("labels", GEOMETRIES.values(), ids=GEOMETRIES.keys())


def problem(labels: LabelGeometry, rows: int = 20) -> tuple[Tensor, Tensor, np.ndarray]:
    q, p = soft(generator("loss", len(labels)), rows, len(labels))
    return *tensors(np.log(q), p), oracles.pot(q, p, labels.cost)  # type: ignore[return-value]


def slope(loss: DistillationLoss, log_q: Tensor, p: Tensor, labels: LabelGeometry) -> Tensor:
    logits = log_q.clone().requires_grad_()
    value = loss(logits.log_softmax(dim=1), p, labels)
    (gradient,) = torch.autograd.grad(value.sum(), logits)
    return gradient


@every_geometry
def test_transport_is_the_linear_programme_on_any_geometry(labels: LabelGeometry) -> None:
    log_q, p, exact = problem(labels)
    Transport().check(labels)
    assert Transport()(log_q, p, labels).numpy() == pytest.approx(exact, abs=1e-9)


@every_geometry
@pytest.mark.parametrize("width", [1e-3, 0.05, 0.3, 1.0])
def test_smoothed_transport_is_hubers_function_of_the_exact_value(
    labels: LabelGeometry, width: float
) -> None:
    log_q, p, exact = problem(labels)
    delta = width * labels.cost.max()
    expected = [w * w / (2 * delta) if w <= delta else w - delta / 2 for w in exact]
    ours = SmoothedTransport(width=width)(log_q, p, labels)
    assert ours.numpy() == pytest.approx(expected, abs=1e-9)


@every_geometry
@pytest.mark.parametrize("width", [0.05, 1.0])
def test_smoothing_scales_the_force_and_keeps_its_direction(
    labels: LabelGeometry, width: float
) -> None:
    log_q, p, exact = problem(labels)
    factor = torch.tensor(np.minimum(exact / (width * labels.cost.max()), 1))[:, None]
    plain = slope(Transport(), log_q, p, labels)
    smoothed = slope(SmoothedTransport(width=width), log_q, p, labels)
    assert (smoothed - factor * plain).abs().max() <= 1e-9 * labels.cost.max()


@every_geometry
def test_smoothing_over_no_width_is_transport(labels: LabelGeometry) -> None:
    log_q, p, exact = problem(labels)
    smoothed = SmoothedTransport(width=1e-9)
    assert smoothed(log_q, p, labels).numpy() == pytest.approx(exact, abs=1e-9 * labels.cost.max())
    difference = slope(smoothed, log_q, p, labels) - slope(Transport(), log_q, p, labels)
    assert difference.abs().max() <= 1e-9 * labels.cost.max()


@every_geometry
def test_smoothed_force_fades_to_nothing_at_the_target(labels: LabelGeometry) -> None:
    _, p, _ = problem(labels)
    noise = torch.tensor(generator("fade").normal(size=p.shape))
    loss, last = SmoothedTransport(), math.inf
    for apart in (1e-1, 1e-2, 1e-3, 0.0):
        force = float(slope(loss, (p.log() + apart * noise).log_softmax(1), p, labels).norm())
        assert force < last / 5 or force <= 1e-9
        last = force
    assert last <= 1e-9 * labels.cost.max()


@pytest.mark.parametrize("width", [0.0, -1.0, 1.1, math.nan, "wide"])
def test_smoothing_widths_that_are_refused(width: object) -> None:
    with pytest.raises(ConfigError, match=r"server.loss.width") as caught:
        load(DistillationLoss, {"kind": "smoothed_transport", "width": width}, "server.loss")
    assert "\n" not in str(caught.value)


@every_geometry
@pytest.mark.parametrize("debias", [False, True])
def test_the_sinkhorn_loss_is_the_solver_by_that_name(labels: LabelGeometry, debias: bool) -> None:
    log_q, p, exact = problem(labels)
    loss = Sinkhorn(epsilon=0.1, sweeps=1000, debias=debias)
    ours = loss(log_q, p, labels)
    direct = transport_cost(
        log_q.exp(), p, label_cost(labels), solver="sinkhorn", epsilon=0.1, sweeps=1000,
        debias=debias,
    )  # fmt: skip
    assert torch.allclose(ours, direct, atol=1e-12)
    if not debias:
        assert np.all(ours.numpy() >= exact - 1e-4 * labels.cost.max())
        assert np.all(ours.numpy() <= exact + loss.slack(labels))


def test_costs_that_are_symmetric_up_to_rounding_can_be_debiased() -> None:
    """As a label set's may be; otherwise training would stop where ``check`` saw no reason."""
    matrix = 1 - np.eye(3)
    matrix[0, 1] += 1e-15
    labels = LabelGeometry(("a", "b", "c"), np.eye(3), matrix)
    q, p = tensors(*soft(generator("rounding"), 4, 3))
    loss = Sinkhorn(debias=True)
    loss.check(labels)
    assert torch.all(torch.isfinite(loss(q.log(), p, labels)))


@pytest.mark.parametrize("labels", [placed(5, 1), placed(5, 2), placed(7, 6)], ids=len)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_knot_geomloss_is_what_knots_call_gives(labels: LabelGeometry, dtype: torch.dtype) -> None:
    """Value and slope, target by target as in its released code: supports repeated per row."""
    geomloss = pytest.importorskip("geomloss")
    theirs = geomloss.SamplesLoss(
        "sinkhorn", p=1, blur=0.001, debias=False, reach=None, backend="tensorized"
    )
    q, p = tensors(*soft(generator("knot"), 8, len(labels)), dtype=dtype)
    targets = torch.stack([p, p.flip(0), q.roll(1, 0)])
    points = torch.tensor(labels.points, dtype=dtype).repeat(8, 1, 1)
    logits, again = (q.log().requires_grad_() for _ in range(2))
    expected = torch.stack(
        [theirs(again.log_softmax(1).exp(), points, target, points) for target in targets]
    )
    ours = KnotGeomloss()(logits.log_softmax(1), targets, labels)
    assert ours.shape == (3, 8)
    near = 1e-5 if dtype == torch.float32 else 1e-10
    assert torch.allclose(ours, expected, rtol=near, atol=near)
    slopes = [torch.autograd.grad(v.sum(), z)[0] for v, z in ((ours, logits), (expected, again))]
    assert torch.allclose(*slopes, rtol=10 * near, atol=10 * near)


def test_knot_geomloss_refuses_costs_that_are_no_distances_of_points() -> None:
    pytest.importorskip("geomloss")
    with pytest.raises(ConfigError, match="kind = 'transport'") as caught:
        KnotGeomloss().check(geometry("metric", 5))
    assert "\n" not in str(caught.value)


def test_knot_geomloss_without_the_library_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "geomloss", None)
    with pytest.raises(ConfigError, match="pip install") as caught:
        KnotGeomloss().check(placed(5, 2))
    assert "\n" not in str(caught.value)
