"""Believe a teacher by how well it does where labels are known."""

from typing import ClassVar, Literal, final

import numpy as np
from pydantic import Field
from typing_extensions import override

from common.arrays import Floats
from common.component import component
from common.predictions import Ensemble
from server.weightings import State, Weighting
from server.weightings._known import Known, known


@final
@component
class Validation(Weighting):
    r"""One weight for all samples, from M known labels: good teachers are believed more.

    .. math::
        w_k = (1 - \lambda) \frac{e^{-\ell_k / \tau}}{\sum_j e^{-\ell_j / \tau}} +
        \frac{\lambda}{K}, \qquad \ell_k = -\frac1M \sum_{m} \log p_{k, y_m}(x_m)

    :math:`\ell_k` is teacher k's mean loss on the transfer texts whose labels the server knows.
    A text on which the teacher with the better mean is the worse one is weighed like any other:
    where teachers are experts of different fields, use one that looks at the text.

    Departures: the source adds up losses without end, so that one teacher takes all in time; a
    mean over M, and :math:`\lambda`, keep the others in, for M is a sample.

    Attributes:
        by: ``loss``, as above, with probabilities below .001 read as .001, or ``errors``, where
            :math:`\ell_k` is the share of the M labels that is not k's first choice.
        temperature: :math:`\tau`, in nats or as a share of errors; large is uniform, 0 would be
            the best teacher alone.
        shrinkage: :math:`\lambda`.

    Reference: Vovk. *Aggregating Strategies*, COLT 1990 (weights that fall exponentially
    with the loss); Bates and Granger. *The Combination of Forecasts*, 1969.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"labels"})
    sees_all_samples: ClassVar[bool] = True

    by: Literal["loss", "errors"] = "loss"
    temperature: float = Field(default=0.2, gt=0)
    shrinkage: float = Field(default=0.1, ge=0, le=1)

    @override
    def weigh(self, ensemble: Ensemble, state: State) -> Floats:
        del state
        found = known(ensemble, "validation")
        losses = _losses(found) if self.by == "loss" else _errors(ensemble, found)
        shares = np.exp((losses.min() - losses) / self.temperature)
        weights = (1 - self.shrinkage) * shares / shares.sum() + self.shrinkage / len(shares)
        return np.repeat(weights[:, None], ensemble.probs.shape[1], axis=1)


def _losses(found: Known) -> Floats:
    """Mean negative log-likelihoods, shape (K,)."""
    means: Floats = -np.log(found.likelihoods).mean(axis=1)
    return means


def _errors(ensemble: Ensemble, found: Known) -> Floats:
    """Shares of known labels that are not the first choice, shape (K,)."""
    first = ensemble.probs[:, found.rows].argmax(axis=2)
    shares: Floats = (first != found.labels).mean(axis=1)
    return shares
