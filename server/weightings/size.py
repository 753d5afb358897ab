"""Believe a teacher by the size of its shard."""

from typing import ClassVar, final

import numpy as np
from typing_extensions import override

from common.arrays import Floats
from common.component import component
from common.failures import ConfigError
from common.predictions import Ensemble
from server.weightings import State, Weighting, normalised


@final
@component
class Size(Weighting):
    r"""One weight for all samples: the client's share of all examples.

    .. math:: w_k(x) = n_k / \sum_j n_j

    :math:`n_k` is the number of examples of client k. It is not derived from the predictions,
    so every client must disclose it; ``disclose = ["num_examples"]`` in the experiment says so.
    What a client declares cannot be checked. Where all declare 0, all weigh the same.

    Departures: federated averaging weighs parameters so; we weigh opinions, as the released
    code of KNOT does.

    Reference: McMahan, Moore, Ramage, Hampson, Agüera y Arcas. *Communication-Efficient
    Learning of Deep Networks from Decentralized Data*, 2017, algorithm 1,
    https://arxiv.org/abs/1602.05629; Bhardwaj, Vaidya, Poria. *KNOT*, COLING 2022, released
    code, https://arxiv.org/abs/2110.02432
    """

    needs: ClassVar[frozenset[str]] = frozenset({"num_examples"})

    @property
    @override
    def own_rule(self) -> str:
        return "size"

    @override
    def weigh(self, ensemble: Ensemble, state: State) -> Floats:
        del state
        if ensemble.num_examples is None:
            raise ConfigError(
                "server.weighting: size needs the number of examples of every client and not all "
                "sent one; write server.weighting = { kind = 'uniform' }"
            )
        sizes = ensemble.num_examples.astype(np.float64)[:, None]
        return normalised(np.repeat(sizes, ensemble.probs.shape[1], axis=1))
