"""Believe a teacher where it departs from its own bias."""

from collections.abc import Callable
from typing import ClassVar, Literal, final

import numpy as np
from typing_extensions import override

from common.arrays import Floats
from common.component import component
from common.confidence import distance_l2, distance_symmetric_kl
from common.failures import ConfigError
from common.predictions import Ensemble
from server.weightings import State, Weighting, normalised

_DISTANCES: dict[str, Callable[[Floats, Floats], Floats]] = {
    "l2": distance_l2,
    "symmetric_kl": distance_symmetric_kl,
}


@final
@component
class Knot(Weighting):
    r"""Per-sample confidence: the distance of a prediction from the teacher's bias.

    .. math:: w_k(x) = d(p_k(x), m_k) / \sum_j d(p_j(x), m_j)

    :math:`p_k(x)` is teacher k's prediction, :math:`m_k` its bias, shown on content-free texts:
    its mean prediction or, with ``clients.bias = "argmax"``, how often each label wins. A
    teacher that answers what it would answer to nothing has seen nothing in the sample, and
    weighs nothing there; where that holds for all, all weigh the same. It rewards answers unlike
    the prior, not right ones: an overconfident teacher is believed too much.

    Departures from the released code: there this line is commented out in favour of shard
    sizes, and the bias counts winning classes over 100,000 random token sequences; our texts
    are a fixed public list, and the bias is a mean of probabilities unless said otherwise.

    Attributes:
        distance: ``l2``, the Euclidean distance of the source, or ``symmetric_kl``, half the
            sum of both divergences in nats, with probabilities below .001 read as .001.

    Reference: Bhardwaj, Vaidya, Poria. *KNOT: Knowledge Distillation using Optimal Transport
    for Solving NLP Tasks*, COLING 2022. https://arxiv.org/abs/2110.02432
    """

    needs: ClassVar[frozenset[str]] = frozenset({"bias"})

    distance: Literal["l2", "symmetric_kl"] = "l2"

    @property
    @override
    def own_rule(self) -> str:
        return f"knot_{self.distance}"

    @override
    def weigh(self, ensemble: Ensemble, state: State) -> Floats:
        if ensemble.bias is None:
            raise ConfigError(
                "server.weighting: knot needs the bias of every client and not all sent one; "
                "write server.weighting = { kind = 'uniform' }"
            )
        distance = _DISTANCES[self.distance]
        pairs = zip(ensemble.probs, ensemble.bias, strict=True)
        return normalised(np.stack([distance(probs, bias) for probs, bias in pairs]))
