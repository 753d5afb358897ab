"""Ratios of two labels, taken from those who know both."""

from collections.abc import Iterator
from typing import ClassVar, Final, final

import numpy as np
from pydantic import Field
from typing_extensions import override

from common.arrays import Floats
from common.component import component
from common.failures import ConfigError
from common.labels import LabelGeometry
from server.aggregators import Aggregator, Targets
from server.aggregators._consensus import floored_logs, one_target
from server.opinions import distributions
from server.weightings import normalised

_MOST_LABELS: Final = 256
_NUMBERS: Final = 2**22  # of all systems of a block together, 32 MB


@final
@component
class PairwiseCoupling(Aggregator):
    r"""One target per sample, T = 1: the logits that fit what each teacher says of pairs of labels.

    .. math::
        z(x) = \arg\min_z \sum_k w_k(x) \sum_{c < d} v_{k,cd}
        \big( z_c - z_d - l_{k,c}(x) + l_{k,d}(x) \big)^2, \qquad
        a_c(x) \propto e^{z_c(x)}

    .. math::
        l_{k,c}(x) = \log p_{k,c}(x) - \tau \log b_{k,c}, \qquad
        v_{k,cd} = \frac{2 b_{k,c} b_{k,d}}{b_{k,c} + b_{k,d}}, \qquad
        b_{k,c} = \frac1N \sum_x p_{k,c}(x)

    A client that has hardly seen a label cannot say how it compares with others, and says all the
    same that it is improbable. A mean of probabilities takes that for an opinion. Here a teacher
    is heard on the ratio of two labels as far as it names both of them at all: :math:`b_k` is how
    often it names each over the shared texts, :math:`v` the harmonic mean of the two. So labels
    that no client holds together are compared by way of labels in between. It needs the
    predictions only, of all texts at once.

    Each sample is a weighted least-squares problem, whose normal equations are the Laplacian of a
    graph with the labels as its nodes: C equations for C labels, solved exactly. Teachers who
    name labels equally often have the softmax of the weighted mean of logits
    (``geometric_mean``), one teacher alone is repeated.

    With ``correction`` :math:`\tau = 1` the label frequencies that every teacher has from its own
    shard are divided out, as far as its answers show them, and the target is one for labels that
    are equally frequent. That is for clients whose labels differ; where the labels themselves are
    rare or frequent everywhere, it is wrong by as much. Then agreement is not repeated.

    Departures: Hastie and Tibshirani couple classifiers of two labels each, by maximum likelihood;
    least squares on logarithms is the older way to reconcile comparisons of pairs, and has a
    closed form. Vongkulbhisal et al. unify classifiers whose sets of labels are known; here nobody
    says which labels he holds, so shares stand in their place.

    Attributes:
        correction: :math:`\tau`; 0 leaves the frequencies in.
        floor: what a smaller probability is read as, in logarithms, where another teacher gives as
            much.
        least: what a smaller share :math:`b` is read as; the smaller, the less is heard of labels
            that a teacher hardly names, and the more weight can be had by naming them.

    Raises:
        ConfigError: there are more than 256 labels; every sample is a system of so many equations.

    References: Hastie, Tibshirani. *Classification by Pairwise Coupling*, Annals of Statistics 26,
    1998, section 2; Vongkulbhisal, Vinayavekhin, Visentini-Scarzanella. *Unifying Heterogeneous
    Classifiers with Distillation*, CVPR 2019, section 3, https://arxiv.org/abs/1904.06062;
    Crawford, Williams. *A Note on the Analysis of Subjective Judgment Matrices*, Journal of
    Mathematical Psychology 29, 1985 (logarithmic least squares); Menon et al. *Long-Tail Learning
    via Logit Adjustment*, ICLR 2021, equation 9, https://arxiv.org/abs/2007.07314 (:math:`\tau`).
    """

    sees_all_samples: ClassVar[bool] = True

    correction: float = Field(default=0.0, ge=0, le=2)
    floor: float = Field(default=1e-3, gt=0, le=0.1)
    least: float = Field(default=0.05, gt=0, le=0.5)

    @override
    def combine(self, probs: Floats, weights: Floats, geometry: LabelGeometry) -> Targets:
        if len(geometry) > _MOST_LABELS:
            raise ConfigError(
                f"server.aggregator: pairwise_coupling is for at most {_MOST_LABELS} labels, here "
                f"are {len(geometry)}; write server.aggregator = 'geometric_mean'"
            )
        rows, believed = distributions(probs), normalised(weights)
        shares = np.maximum(rows.mean(axis=1), self.least)
        shares /= shares.sum(axis=1, keepdims=True)  # (K, C)
        known = common_knowledge(shares)
        bias = self.correction * np.log(shares)[:, None]
        made = np.empty_like(rows[0])
        for part in _parts(len(made), len(geometry)):
            logs, possible = floored_logs(rows[:, part], believed[:, part], self.floor)
            z = np.where(possible, coupled(logs - bias, believed[:, part], known), -np.inf)
            made[part] = np.exp(z - z.max(axis=1, keepdims=True))
        return one_target(made)


def common_knowledge(shares: Floats) -> Floats:
    """How much each of K teachers knows of each pair of labels, (K, C, C), 0 on the diagonal.

    Args:
        shares: shape (K, C), positive.
    """
    one, other = shares[:, :, None], shares[:, None, :]
    known: Floats = 2 * one * other / (one + other)
    labels = np.arange(shares.shape[1])
    known[:, labels, labels] = 0
    return known


def coupled(logits: Floats, weights: Floats, known: Floats) -> Floats:
    """The logits (N, C), of mean 0, whose differences fit those of all teachers best.

    Args:
        logits: shape (K, N, C).
        weights: shape (K, N), not all zero for a sample.
        known: shape (K, C, C), symmetric, positive but for the diagonal.
    """
    said = known.sum(axis=2)[:, None] * logits - logits @ known  # (K, N, C)
    right = np.einsum("kn,knc->nc", weights, said)
    links = np.tensordot(weights.T, known, axes=1)  # (N, C, C)
    degrees = links.sum(axis=2)
    labels = np.arange(known.shape[1])
    system = -links
    system[:, labels, labels] = degrees
    # Whatever is added to all logits changes no difference: the mean is taken to be 0.
    system += degrees.mean(axis=1)[:, None, None] / len(labels)
    solved: Floats = np.linalg.solve(system, right[:, :, None])[:, :, 0]
    return solved


def _parts(samples: int, labels: int) -> Iterator[slice]:
    """Blocks whose systems fit into the memory, in order."""
    size = max(1, _NUMBERS // labels**2)
    return (slice(start, min(samples, start + size)) for start in range(0, samples, size))
