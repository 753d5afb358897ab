"""SCARLET's cache of soft labels."""

from typing import final

from pydantic import Field
from typing_extensions import override

from common.component import component
from server.caches import Cache, Plan


@final
@component
class SoftLabels(Cache):
    r"""The combined soft label of every text, kept by server and clients for some rounds.

    Round :math:`t` draws a random part :math:`P_t` of the shared texts and asks about those that
    were never asked about, or were so last in a round :math:`s` with :math:`t - s > D`. The
    student learns from all of :math:`P_t`, with the kept labels of the others. A feedback says
    back only what is new, and clients keep it, too.

    Departures: the draws follow from the hash of the transfer set, so that neither lists of texts
    nor signals cross. There an expired label is taken out of the cache, and the text's next one is
    used once and not kept; here it is kept at once. A client that missed a feedback is not caught
    up: it learns without the texts whose newest label it never heard.

    Attributes:
        duration: D, in rounds; 0 keeps nothing.
        share: of the shared texts that a round draws, rounded up; 1 draws all.

    Reference: Azuma, Nishio, Kitagawa, Nakano, Tanimura. *Soft-Label Caching and Sharpening for
    Communication-Efficient Federated Distillation*, IEEE TMC 2026, soft-label caching; D = 50 and
    1,000 of 10,000 texts a round in the released code. https://arxiv.org/abs/2504.19602
    """

    duration: int = Field(default=50, ge=0)
    share: float = Field(default=0.2, gt=0, le=1)

    @override
    def plan(self) -> Plan:
        return Plan(self.share, self.duration)
