"""The weighted mixture of opinions whose subclasses were matched first."""

from typing import ClassVar, final

import numpy as np
from pydantic import Field
from typing_extensions import override

from common.arrays import Floats, Ints
from common.component import component
from common.labels import LabelGeometry
from common.subclasses import RefinedGeometry
from server.aggregators import Aggregator, Targets
from server.weightings import normalised


@final
@component
class Aligned(Aggregator):
    r"""Match every label's pseudo-subclasses across teachers on the shared texts, then mix.

    Without ``clients.subclasses`` it is ``mean``. With them, label by label, it minimises over
    one permutation :math:`\sigma_k` for each teacher and the mixture r itself

    .. math:: \sum_k \sum_n w_k(x_n) \sum_j (p_k(c, \sigma_k(j) | x_n) - r_j(x_n))^2

    by turns: given r, an assignment problem on :math:`\sum_n w_k p_k(c, i | x_n) r_j(x_n)`, how
    often i and j are active together; given the permutations, r is the weighted mean. It starts
    from the teacher with most weight and ends when no permutation changes. Each turn lowers the
    sum, so it ends, maybe not at the least one. Teachers who split labels by different things
    cannot be matched: then the mixture blurs what they say.

    Attributes:
        turns: at most so many.

    Reference: the idea is ours; turns as in Gower. *Generalized Procrustes Analysis*,
    Psychometrika 1975; the assignment: Crouse. *On Implementing 2D Rectangular Assignment
    Algorithms*, IEEE TAES 2016, as in scipy. Subclasses: Loo et al., LELP, 2024,
    https://arxiv.org/abs/2409.20449
    """

    matches_subclasses: ClassVar[bool] = True

    turns: int = Field(default=20, ge=1)

    @override
    def combine(self, probs: Floats, weights: Floats, geometry: LabelGeometry) -> Targets:
        count = geometry.count if isinstance(geometry, RefinedGeometry) else 1
        w = normalised(weights)
        split = probs.astype(np.float64).reshape(*probs.shape[:2], -1, count)
        labels = [self._matched(split[:, :, c], w) for c in range(split.shape[2])]
        mixture = np.stack(labels, axis=1).reshape(probs.shape[1:])
        ones = np.ones((1, len(mixture)), dtype=np.float32)
        return Targets(mixture[None].astype(np.float32), ones)

    def _matched(self, opinions: Floats, weights: Floats) -> Floats:
        """The mixture (N, S) of one label's subclasses (K, N, S) under weights (K, N)."""
        teachers, _, count = opinions.shape
        orders: Ints = np.tile(np.arange(count), (teachers, 1))
        mixture = opinions[int(np.argmax(weights.sum(axis=1)))]
        for _ in range(self.turns if count > 1 else 0):
            found = np.stack(
                [_order(w[:, None] * p, mixture) for w, p in zip(weights, opinions, strict=True)]
            )
            mixture = _mixed(opinions, found, weights)
            if np.array_equal(found, orders):
                break
            orders = found
        return _mixed(opinions, orders, weights)


def _order(opinion: Floats, mixture: Floats) -> Ints:
    """Which subclass of an opinion (N, S) stands for which of the mixture (N, S): shape (S,)."""
    # Function level: without subclasses nobody needs scipy here.
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(mixture.T @ opinion, maximize=True)
    made: Ints = columns[np.argsort(rows)]
    return made


def _mixed(opinions: Floats, orders: Ints, weights: Floats) -> Floats:
    mixture = np.zeros(opinions.shape[1:])
    for weight, opinion, order in zip(weights, opinions, orders, strict=True):
        mixture += weight[:, None] * opinion[:, order]
    return mixture
