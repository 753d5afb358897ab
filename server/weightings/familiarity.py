"""Believe a teacher where the text is near to what its client holds."""

from typing import ClassVar, final

import numpy as np
from pydantic import Field
from typing_extensions import override

from common.arrays import Floats
from common.component import component
from common.failures import ConfigError
from common.predictions import Ensemble
from server.weightings import State, Weighting, normalised


@final
@component
class Familiarity(Weighting):
    r"""Per-sample weights that fall with the distance of a text to a client's own texts.

    .. math:: w_k(x) = e^{-d_k(x) / \tau} / \sum_j e^{-d_j(x) / \tau}

    :math:`d_k(x)`, in [0, 1], is the mean cosine distance of the text to its nearest private
    texts of client k, as k says; ``clients.familiarity`` says how it is found. It is not derived
    from the predictions and tells more about private texts than they do: it is small for a text
    that the client holds, or one like it. So it crosses only with ``disclose =
    ["familiarity"]``. What a client declares cannot be checked; who says 0 is believed most.

    It asks who has seen such texts, not who is right: a client whose labels are wrong is
    believed on its own field. The distance crosses in steps of :math:`1 / (2^b - 1)` for b
    bits, which should be well below the temperature.

    Departures: a rule of this project. Weights from the density of a client's own data are
    usual; those sources learn a density model or a discriminator.

    Attributes:
        temperature: :math:`\tau`, in units of cosine distance.

    Reference: Shao, Wu, Zhang. *Selective Knowledge Sharing for Privacy-Preserving Federated
    Distillation without a Good Teacher*, Nature Communications 15, 2024 (which asks for the
    same, by density ratios, as a mask at the client), https://arxiv.org/abs/2304.01731.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"familiarity"})

    temperature: float = Field(default=0.05, gt=0)

    @override
    def weigh(self, ensemble: Ensemble, state: State) -> Floats:
        del state
        if ensemble.scalar is None:
            raise ConfigError(
                "server.weighting: familiarity needs the distances of every client and not all "
                "sent them; write server.weighting = { kind = 'uniform' }"
            )
        distances = ensemble.scalar.astype(np.float64)
        return normalised(np.exp((distances.min(axis=0) - distances) / self.temperature))
