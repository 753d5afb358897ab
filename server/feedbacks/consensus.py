"""What all clients together think."""

from typing import final

import numpy as np
from torch import nn
from typing_extensions import override

from common.arrays import Floats
from common.component import component
from server.aggregators import Targets
from server.feedbacks import Feedback


@final
@component
class Consensus(Feedback):
    r"""The weighted mean of the targets of the round: :math:`\sum_t w_t(x) p_t(x)`.

    Where the aggregator leaves one target, that target: the mean of logits
    (``geometric_mean``) is FedMD's consensus, ``sharpened_mean`` that of DS-FL. Under ``keep_all``
    it is the mean under the round's own weights. The student has no say.

    References: Li, Wang. *FedMD*, 2019, algorithm 1, https://arxiv.org/abs/1910.03581; Itahara,
    Nishio, Koda, Morikura, Yamamoto. *DS-FL*, IEEE TMC 2021, https://arxiv.org/abs/2008.06180.
    """

    @override
    def speak(self, targets: Targets, student: nn.Module, features: Floats) -> Floats:
        del student, features
        made = np.zeros(targets.probs.shape[1:], dtype=np.float64)
        for weights, probs in zip(targets.weights, targets.probs, strict=True):
            made += weights[:, None].astype(np.float64) * probs
        return made
