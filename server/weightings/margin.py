"""Believe a teacher where its first choice is clear of its second."""

from typing import final

import numpy as np
from typing_extensions import override

from common.arrays import Floats
from common.component import component
from common.confidence import margin
from common.predictions import Ensemble
from server.weightings import State, Weighting, normalised


@final
@component
class Margin(Weighting):
    r"""Per-sample confidence: the largest probability minus the second largest.

    .. math:: w_k(x) = m_k(x) / \sum_j m_j(x), \qquad m_k(x) = p_{k,(1)}(x) - p_{k,(2)}(x)

    A certain teacher has margin 1, one whose two best labels are level has 0, whatever it says
    about the others. Where nobody has a favourite, all weigh the same. It needs the
    predictions only. It believes whoever is certain, right or wrong.

    Departures: in the source the margin picks the examples to be labelled, the smallest first;
    here the same number is the weight of an opinion.

    Reference: Scheffer, Decomain, Wrobel. *Active Hidden Markov Models for Information
    Extraction*, IDA 2001 (the margin).
    """

    @property
    @override
    def own_rule(self) -> str:
        return "margin"

    @override
    def weigh(self, ensemble: Ensemble, state: State) -> Floats:
        del state
        return normalised(np.stack([margin(probs) for probs in ensemble.probs]))
