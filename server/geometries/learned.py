"""A ground cost that is learned together with the student."""

from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from typing_extensions import override

from common.arrays import Floats
from common.component import component
from common.failures import ConfigError
from common.labels import LabelGeometry
from server.geometries import Geometry
from server.transport.entropic import potentials

_NEAREST = 0.1  # part of its first cost that a pair always keeps
_LEAST = 1e-3  # part of the mean cost that a pair always keeps, also where labels coincided


@dataclass(frozen=True, eq=False)
class Moved(LabelGeometry):
    """A geometry under way.

    Attributes:
        start: shape (C, C), the cost it set out from and is pulled back to.
    """

    start: Floats


@final
@component
class Learned(Geometry):
    r"""A metric in which what student and teachers confuse is near, learned on the way.

    Student and cost take turns (block coordinates). Where the student's last distributions
    q meet their targets p, with P the mean of the entropic plans, the cost M goes down

    .. math:: \langle M, \bar P \rangle + \tfrac{\mathrm{pull}}{2} \, \| M - M_0 \|^2

    since by the envelope theorem the derivative of a transport cost with respect to M is its
    plan. Off the diagonal, M, M_0 and P are taken relative to their means, so that ``rate``
    and ``pull`` mean the same for all label sets, units and stages of training. The pull is
    taken at the end of the step (a proximal step), which no rate makes unstable.

    Afterwards M is brought back to the metrics of the same mean; without a fixed mean it would
    shrink to nothing. Pairs keep a tenth of their first cost, detours shorten pairs (the
    largest metric below M), and one factor restores the mean. This is a projection onto each
    of these sets in turn, not the nearest point of their intersection.

    Labels that are near already share mass for no other reason than the regularisation, and
    so come nearer still: keep ``pull`` well above 0, and compare with :class:`given`. Points
    stay the data set's, while their distances no longer are the cost, so the geometry is no
    line any more. What is measured is always measured in the data set's geometry.

    Attributes:
        every: steps of the student between two of the cost. Exact transport lists the vertices
            of every new cost that is no tree: .1 s at seven labels, .4 s at eight, so take
            more steps there, or the loss ``sinkhorn``.
        rate: length of a step of the cost.
        pull: how strongly M is held at M_0, the data set's cost; alone against a constant P
            the relative cost ends at M_0 - (P - 1) / pull.
        epsilon: regularisation of the plans, relative to the largest cost.
        sweeps: scaling steps per plan.

    Reference: Cuturi, Avis. *Ground Metric Learning*, JMLR 15, 2014, 533-564 (descent on
    plans within the metrics; theirs is supervised); Brickell, Dhillon, Sra, Tropp. *The
    Metric Nearness Problem*, SIAM Journal on Matrix Analysis and Applications 30, 2008,
    375-396 (the case of decreases only is all pairs shortest paths).
    """

    every: int = Field(default=10, ge=1)
    rate: float = Field(default=0.01, gt=0, le=10)
    pull: float = Field(default=10.0, ge=0, le=1e6)
    epsilon: float = Field(default=0.05, ge=0.01, le=10)
    sweeps: int = Field(default=40, ge=1)

    @override
    def build(self, labels: LabelGeometry) -> LabelGeometry:
        if len(labels) < 3:
            raise ConfigError(
                "server.geometry: two labels have one distance and its size is fixed, so "
                "nothing can be learned; write server.geometry = 'given'"
            )
        return Moved(labels.names, labels.points, labels.cost, labels.cost)

    @override
    def refine(
        self, geometry: LabelGeometry, step: int, q: Tensor, p: Tensor, weights: Tensor
    ) -> LabelGeometry:
        if step % self.every or geometry.mean_cost == 0:
            return geometry
        plan = mean_plan(q, p, weights, geometry.cost, self.epsilon, self.sweeps)
        slope = plan + plan.T
        np.fill_diagonal(slope, 0)
        # Nothing moves, or training diverged, which is for the loop to say.
        if not 0 < slope.sum() < np.inf:
            return geometry
        start = geometry.start if isinstance(geometry, Moved) else geometry.cost
        cost = self._stepped(_relative(geometry.cost), _relative(start), _relative(slope))
        return Moved(geometry.names, geometry.points, geometry.mean_cost * cost, start)

    def _stepped(self, cost: Floats, start: Floats, slope: Floats) -> Floats:
        """One proximal step and back to the metrics; all (C, C), with mean 1 off the diagonal."""
        hold = self.rate * self.pull
        moved = (cost - self.rate * (slope - 1) + hold * start) / (1 + hold)
        kept = np.maximum(moved, np.maximum(_NEAREST * start, _LEAST))
        np.fill_diagonal(kept, 0)
        return _relative(_shortest(kept))


@torch.no_grad()
def mean_plan(
    q: Tensor, p: Tensor, weights: Tensor, cost: Floats, epsilon: float, sweeps: int
) -> Floats:
    r"""Mean of the entropic plans of a batch, without forming any of them.

    With A the rows :math:`w q \exp(f/\varepsilon)` and B the rows
    :math:`p \exp(g/\varepsilon)`, the sum of all plans is :math:`K \circ (A^\top B)`: one
    matrix product, since all problems share the kernel K.

    Args:
        q: shape (B, C), the student's distributions.
        p: shape (T, B, C), its targets.
        weights: shape (T, B).
        cost: shape (C, C), symmetric; its largest entry is above 0.
        epsilon: regularisation relative to the largest cost.
        sweeps: scaling steps.

    Returns:
        Shape (C, C), float64; total mass 1, row i holds what label i of the student gives.

    Reference: Peyré, Cuturi. *Computational Optimal Transport*, 2019, proposition 4.3.
    """
    source = _distributions(q).expand(p.shape).flatten(0, -2)  # (T B, C)
    target = _distributions(p).flatten(0, -2)
    share = weights.flatten().double() / weights.double().sum()
    ground = torch.from_numpy(cost)
    f, g = potentials(source, target, ground, epsilon, sweeps)
    width = epsilon * ground.max()
    # Only f + g counts. With f at most 0, no factor leaves the floating-point range.
    highest = f.amax(dim=1, keepdim=True)
    left = share[:, None] * source * ((f - highest) / width).exp()
    right = target * ((g + highest) / width).exp()
    plan = (-ground / width).exp() * (left.T @ right)
    return np.asarray(plan.numpy(), dtype=np.float64)


def _distributions(rows: Tensor) -> Tensor:
    """Rows that sum to 1 as exactly as float64 can say it."""
    rows = rows.double()
    return rows / rows.sum(dim=-1, keepdim=True)


def _relative(table: Floats) -> Floats:
    """The same table with mean 1 off its diagonal of zeros."""
    size = len(table)
    return table * (size * (size - 1) / float(table.sum()))


def _shortest(lengths: Floats) -> Floats:
    """All pairs shortest paths: the largest metric that nowhere exceeds ``lengths``.

    Reference: Floyd. *Algorithm 97: Shortest path*, Communications of the ACM 5, 1962, 345.
    """
    for over in range(len(lengths)):
        lengths = np.minimum(lengths, lengths[:, over, None] + lengths[over])
    return lengths
