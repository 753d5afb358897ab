"""Believe a teacher where its answer varies from label to label."""

from typing import Literal, final

import numpy as np
from typing_extensions import override

from common.arrays import Floats
from common.component import component
from common.confidence import log_variance, variance
from common.predictions import Ensemble
from server.weightings import State, Weighting, normalised


@final
@component
class Variance(Weighting):
    r"""Per-sample confidence: the variance, over the C labels, of what a teacher says.

    .. math::
        w_k(x) = \sigma_k^2(x) / \sum_j \sigma_j^2(x), \qquad
        \sigma_k^2(x) = \frac1C \sum_c (s_{k,c}(x) - \bar s_k(x))^2

    A teacher that answers uniformly has variance 0; where all do, all weigh the same. It needs
    the predictions only. It believes whoever is certain, right or wrong.

    Departures: the source takes scores of models that the server holds; ours are
    probabilities, and logits do not cross. ``logits`` takes s = log p, which differs from the
    logits by a constant that the variance does not see; but probabilities below .001 are read
    as .001, for a wire rounds them. The source's second term, which teaches the student from
    clients that disagree with the consensus, is not here: it is no weight.

    Attributes:
        of: what s is; ``probs``, the probabilities, or ``logits``, their logarithms.

    Reference: Cho, Manoel, Joshi, Sim, Dimitriadis. *Heterogeneous Ensemble Knowledge Transfer
    for Training Large Models in Federated Learning* (Fed-ET), IJCAI 2022, section 3.2 (weighted
    consensus). https://arxiv.org/abs/2204.12703
    """

    of: Literal["probs", "logits"] = "probs"

    @property
    @override
    def own_rule(self) -> str:
        return f"variance_{self.of}"

    @override
    def weigh(self, ensemble: Ensemble, state: State) -> Floats:
        del state
        found = variance if self.of == "probs" else log_variance
        return normalised(np.stack([found(probs) for probs in ensemble.probs]))
