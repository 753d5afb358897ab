"""FedMD's two steps: learn what all say of the shared texts, then look at one's own again."""

from typing import final

from pydantic import Field
from typing_extensions import override

from clients.refinements import Plan, Refinement, Stage
from common.component import component


@final
@component
class DigestRevisit(Refinement):
    r"""Digest the consensus on the shared texts, then revisit the private ones.

    *Digest* minimises the cross-entropy of the consensus :math:`p` and the teacher's softmax over
    scores :math:`z`, which has the gradient of :math:`KL(p \| q)`:

    .. math:: -\tau^2 \sum_c p_c^{(\tau)} \log \mathrm{softmax}(z / \tau)_c,
       \qquad p^{(\tau)}_c \propto p_c^{1 / \tau}

    *Revisit* minimises the cross-entropy of the private labels. Both go on from the teacher of
    the round before, by AdamW with a constant rate for ``frozen_mlp`` and with each stage's own
    warm-up for the transformers. Teachers that are solved for, and do not take steps
    (``frozen_linear``, ``sklearn``), learn both at once, a shared text counting ``share`` times a
    private one; epochs, rates and batches then mean nothing.

    Departures: the source learns logits with the mean absolute error, and a new random part of
    the shared set in every round. Here probabilities cross, quantised: of all shared texts, or of
    a new part in every round (``server.cache`` with ``duration = 0`` and a ``share``). Logits
    that differ by a constant say the same, so cross-entropy asks for nothing that was not sent.
    In the released code one epoch is digested and several are revisited.

    Attributes:
        digest_epochs: passes over the N shared texts.
        digest_learning_rate: of the digest; the teacher's own if not given.
        revisit_epochs: passes over the M private texts; 0 for a mere distillation (DS-FL, CFD).
        revisit_learning_rate: of the revisit; the teacher's own if not given.
        batch_size: texts per step in both; the teacher's own if not given.
        temperature: :math:`\tau`.
        share: weight of a shared text beside a private one in joint problems.

    Reference: Li, Wang. *FedMD*, 2019,
    algorithm 1. https://arxiv.org/abs/1910.03581; the factor :math:`\tau^2`: Hinton, Vinyals,
    Dean. *Distilling the Knowledge in a Neural Network*, 2015, section 2.
    """

    digest_epochs: int = Field(default=2, ge=0)
    digest_learning_rate: float | None = Field(default=None, gt=0)
    revisit_epochs: int = Field(default=2, ge=0)
    revisit_learning_rate: float | None = Field(default=None, gt=0)
    batch_size: int | None = Field(default=None, ge=1)
    temperature: float = Field(default=1.0, ge=0.05, le=100)
    share: float = Field(default=0.5, gt=0, le=100)

    @override
    def plan(self) -> Plan:
        return Plan(
            Stage(self.digest_epochs, self.digest_learning_rate, self.batch_size),
            Stage(self.revisit_epochs, self.revisit_learning_rate, self.batch_size),
            self.temperature,
            self.share,
        )
