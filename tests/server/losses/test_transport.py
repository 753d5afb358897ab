"""The transport losses against other people's code."""

import numpy as np
import ot
import pytest
import torch
from scipy.stats import wasserstein_distance
from torch import Tensor

from common.configure import load
from common.failures import ConfigError
from common.labels import LabelGeometry
from server.losses import DistillationLoss
from server.losses.knot_geomloss import KnotGeomloss
from server.losses.sinkhorn import Sinkhorn
from server.losses.smoothed_transport import SmoothedTransport
from server.losses.transport import Transport
from tests.server.losses.pairs import pairs

GRADES = LabelGeometry.ordinal(list("abcde"), [-2.2, -1, 0, 1, 2.2])
FLAT = LabelGeometry.discrete(list("abcde"))
PLANE = LabelGeometry.at_points(list("abcde"), [[0, 0], [1, 0.2], [0.3, 2], [2, 2], [-1, 1]])
every_geometry = pytest.mark.parametrize(
    "geometry", [GRADES, FLAT, PLANE], ids=["grades", "flat", "plane"]
)


def exact(q: Tensor, p: Tensor, geometry: LabelGeometry) -> Tensor:
    rows = zip(q.numpy(), p.numpy(), strict=True)
    return torch.tensor([ot.emd2(a, b, geometry.cost) for a, b in rows], dtype=torch.float64)


def certain() -> tuple[Tensor, Tensor]:
    """All pairs of a sure student and a sure teacher."""
    q = (1e3 * torch.eye(5)).log_softmax(dim=1).repeat(5, 1)
    return q, torch.eye(5).repeat_interleave(5, dim=0)


@every_geometry
def test_transport_is_what_two_libraries_say(geometry: LabelGeometry) -> None:
    q, p = pairs()
    ours = Transport()(q.log(), p, geometry)
    assert torch.allclose(ours, exact(q, p, geometry), atol=1e-9)
    if geometry is GRADES:
        x = GRADES.points[:, 0]
        scipy = [
            wasserstein_distance(x, x, a, b) for a, b in zip(q.numpy(), p.numpy(), strict=True)
        ]
        assert ours.numpy() == pytest.approx(scipy, abs=1e-9)


@every_geometry
def test_transport_has_the_gradient_of_the_linear_programme(geometry: LabelGeometry) -> None:
    q, p = pairs()
    q, p = q[2:], p[2:]  # the first two have many dual solutions
    mine, theirs = q.log().requires_grad_(), q.clone().requires_grad_()
    Transport()(mine, p, geometry).sum().backward()
    cost = torch.from_numpy(geometry.cost)
    for row in range(len(q)):
        ot.emd2(theirs[row], p[row].clone(), cost).backward()
    assert mine.grad is not None
    assert theirs.grad is not None
    centred = theirs.grad - theirs.grad.mean(dim=1, keepdim=True)
    assert torch.allclose(mine.grad / q, centred, atol=1e-9)


@every_geometry
def test_transport_leaves_a_student_alone_that_agrees_up_to_rounding(
    geometry: LabelGeometry,
) -> None:
    p = torch.softmax(3 * torch.randn(500, 5, generator=torch.Generator().manual_seed(0)), dim=1)
    logits = p.log().requires_grad_()
    value = Transport()(logits.log_softmax(dim=1), p, geometry)
    value.sum().backward()
    assert logits.grad is not None
    assert value.max() < 2e-6
    assert logits.grad.abs().max() == 0


@every_geometry
@pytest.mark.parametrize(
    ("loss", "tolerance"), [(Transport(), 1e-6), (Sinkhorn(), 1e-4), (Sinkhorn(debias=True), 1e-4)]
)
def test_between_certainties_the_value_is_the_cost(
    loss: DistillationLoss, tolerance: float, geometry: LabelGeometry
) -> None:
    values = loss(*certain(), geometry).reshape(5, 5)
    assert torch.allclose(values, torch.from_numpy(geometry.cost).float(), atol=tolerance)


@every_geometry
def test_smoothed_transport_is_hubers_function_of_transport(geometry: LabelGeometry) -> None:
    q, p = pairs()
    w = exact(q, p, geometry).numpy()
    delta = float(np.median(w))  # so that both pieces are seen
    width = delta / float(geometry.cost.max())
    expected = np.where(w <= delta, w**2 / (2 * delta), w - delta / 2)
    ours = SmoothedTransport(width=width)(q.log(), p, geometry)
    assert ours.numpy() == pytest.approx(expected, abs=1e-9)


def test_smoothed_transport_has_transports_gradient_faded_near_the_target() -> None:
    q, p = pairs()
    mine, theirs = (q[2:].log().requires_grad_() for _ in range(2))
    SmoothedTransport(width=0.3)(mine, p[2:], GRADES).sum().backward()
    Transport()(theirs, p[2:], GRADES).sum().backward()
    fade = (exact(q[2:], p[2:], GRADES) / (0.3 * 4.4)).clamp(max=1)
    assert mine.grad is not None
    assert theirs.grad is not None
    assert torch.allclose(mine.grad, fade[:, None] * theirs.grad)
    assert fade.min() < 1 == fade.max()


@every_geometry
def test_sinkhorn_lies_between_transport_and_transport_plus_slack(geometry: LabelGeometry) -> None:
    q, p = pairs()
    gaps = []
    for epsilon in (0.1, 0.03, 1 / 300):
        loss = Sinkhorn(epsilon=epsilon, sweeps=3000)
        gap = loss(q.log(), p, geometry) - exact(q, p, geometry)
        # Dual values are lower bounds, so what the sweeps left may pull them under.
        assert gap.min() > -2e-4
        assert gap.max() <= loss.slack(geometry)
        gaps.append(gap.mean())
    assert gaps[0] > gaps[1] > gaps[2]
    assert gaps[2] < 0.01


@every_geometry
def test_debiased_sinkhorn_is_the_difference_of_three_transports(geometry: LabelGeometry) -> None:
    q, p = pairs()
    loss, plain = Sinkhorn(sweeps=2000, debias=True), Sinkhorn(sweeps=2000)
    q = 0.98 * q + 0.004
    p = 0.98 * p + 0.004
    selves = [plain(x.log(), x, geometry) / 2 for x in (q, p)]
    expected = plain(q.log(), p, geometry) - selves[0] - selves[1]
    assert torch.allclose(loss(q.log(), p, geometry), expected, atol=1e-6)


@pytest.mark.parametrize("epsilon", [1 / 301, 0.0, -1.0, 11.0])
def test_sinkhorn_refuses_what_the_kernel_cannot_hold(epsilon: float) -> None:
    with pytest.raises(ConfigError, match=r"server.loss.epsilon"):
        load(DistillationLoss, {"kind": "sinkhorn", "epsilon": epsilon}, "server.loss")


def test_knot_geomloss_is_that_librarys_call_and_unlike_the_exact_cost() -> None:
    geomloss = pytest.importorskip("geomloss")
    q, p = pairs(40)
    solver = geomloss.SamplesLoss("sinkhorn", p=1, blur=0.001, debias=False, backend="tensorized")
    support = torch.from_numpy(PLANE.points).repeat(len(q), 1, 1)
    theirs = solver(q, support, p, support)
    ours = KnotGeomloss()(q.log(), torch.stack([p, q]), PLANE)
    assert torch.allclose(ours[0], theirs)
    low = 1 - ours[0].sum() / exact(q, p, PLANE).sum()
    assert 0.05 < low < 0.3  # what transport is there to mend
    slow = KnotGeomloss(scaling=0.99)(q.log(), p, PLANE)
    assert torch.allclose(slow.sum(), exact(q, p, PLANE).sum(), rtol=2e-3)


def test_knot_geomloss_says_what_to_write_where_costs_are_no_distances() -> None:
    squared = LabelGeometry.at_points(list("abcde"), PLANE.points, p=2)
    pytest.importorskip("geomloss")
    with pytest.raises(ConfigError, match=r"write server.loss = \{ kind = 'transport' \}"):
        KnotGeomloss().check(squared)


def test_knot_geomloss_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.losses.knot_geomloss.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'fedknot\[geomloss\]'"):
        KnotGeomloss().check(GRADES)
