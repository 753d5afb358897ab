"""Believe a teacher where its answer is far from a shrug."""

from typing import final

import numpy as np
from typing_extensions import override

from common.arrays import Floats
from common.component import component
from common.confidence import redundancy
from common.predictions import Ensemble
from server.weightings import State, Weighting, normalised


@final
@component
class Entropy(Weighting):
    r"""Per-sample confidence: how far the entropy of an answer is below that of a shrug.

    .. math::
        w_k(x) = c_k(x) / \sum_j c_j(x), \qquad c_k(x) = 1 - H(p_k(x)) / \log C, \qquad
        H(p) = - \sum_c p_c \log p_c

    A certain teacher has confidence 1, one that answers uniformly 0. Where all answer
    uniformly, all weigh the same. It needs the predictions only. It believes whoever is
    certain, right or wrong: one overconfident client outweighs careful ones.

    Departures: no paper's rule word for word. Weighing an ensemble by entropy is usual; the
    form differs (the exponential of :math:`-H`, its inverse). This one is bounded, and 0 where
    nothing is said.

    Reference: Shannon. *A Mathematical Theory of Communication*, 1948, section 6 (entropy),
    section 7 (:math:`1 - H / \log C`, the redundancy).
    """

    @property
    @override
    def own_rule(self) -> str:
        return "entropy"

    @override
    def weigh(self, ensemble: Ensemble, state: State) -> Floats:
        del state
        return normalised(np.stack([redundancy(probs) for probs in ensemble.probs]))
