"""Believe a teacher less, text by text, the less it gives to the known label."""

from typing import ClassVar, Literal, final

import numpy as np
from pydantic import Field
from typing_extensions import override

from common.arrays import Floats
from common.component import component
from common.predictions import Ensemble
from server.weightings import State, Weighting
from server.weightings._known import Known, known, leanings


@final
@component
class CaMkd(Weighting):
    r"""Per-sample weights from the cross-entropy with the known label.

    .. math::
        w_k(x) = \frac{1}{K - 1} \left( 1 - \frac{e^{\ell_k(x)}}{\sum_j e^{\ell_j(x)}} \right),
        \qquad \ell_k(x) = -\log p_{k, y}(x)

    The worst teacher of a text loses weight, and what it loses is spread evenly over the
    others: no weight is above 1 / (K - 1), so with many teachers all weigh nearly the same. A
    single teacher weighs 1.

    Departures: in the source every text has a label; here M of N do. Elsewhere a teacher
    weighs what it weighed on labelled texts in the mean; or, with ``elsewhere = "label"``, on
    those that the plain mean of all opinions takes for the same label as this one, drawn to the
    mean over all as by ``prior`` more labels. Probabilities below .001 are read as .001, for a
    wire rounds them. The source's second part, which compares features, is not a weight on
    opinions and needs features of teachers; they do not cross.

    Attributes:
        elsewhere: ``mean`` or ``label``; how a text without a known label is weighed.
        prior: in labels; of no effect on ``mean``.

    Reference: Zhang, Chen, Wang. *Confidence-Aware Multi-Teacher Knowledge Distillation*
    (CA-MKD), ICASSP 2022 (the weights of teacher predictions). https://arxiv.org/abs/2201.00007
    """

    needs: ClassVar[frozenset[str]] = frozenset({"labels"})
    sees_all_samples: ClassVar[bool] = True

    elsewhere: Literal["mean", "label"] = "mean"
    prior: float = Field(default=10.0, gt=0)

    @override
    def weigh(self, ensemble: Ensemble, state: State) -> Floats:
        del state
        found = known(ensemble, "ca_mkd")
        of_rows = _reliabilities(found)
        weights = self._elsewhere(ensemble, found, of_rows)
        weights[:, found.rows] = of_rows
        return weights

    def _elsewhere(self, ensemble: Ensemble, found: Known, of_rows: Floats) -> Floats:
        """What the weights (K, M) of known labels say of all N texts, shape (K, N)."""
        _, samples, labels = ensemble.probs.shape
        mean = of_rows.mean(axis=1)
        if self.elsewhere == "mean":
            return np.repeat(mean[:, None], samples, axis=1)
        groups = leanings(ensemble)
        belongs = np.eye(labels)[groups[found.rows]]  # (M, C)
        sums, counts = of_rows @ belongs + self.prior * mean[:, None], belongs.sum(axis=0)
        return np.asarray((sums / (counts + self.prior))[:, groups])


def _reliabilities(found: Known) -> Floats:
    """Weights where labels are known, shape (K, M); columns sum to 1."""
    clients = len(found.likelihoods)
    if clients == 1:
        return np.ones_like(found.likelihoods)
    inverse = 1 / found.likelihoods  # the exponential of a cross-entropy
    return np.asarray((1 - inverse / inverse.sum(axis=0)) / (clients - 1))
