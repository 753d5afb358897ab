"""Randomised response on every text's favourite label: obfuscation, no guarantee."""

import math
from typing import final

import numpy as np
from pydantic import Field
from typing_extensions import override

from clients.mechanisms._answering import Answering, source
from clients.noise import Noise
from common.arrays import Floats
from common.component import component


@final
@component
class RandomisedAnswers(Answering):
    r"""A client says its favourite label, or one of the others by chance.

    .. math:: P(\text{say } c) = \frac{e^\varepsilon}{e^\varepsilon + C - 1}
              \ \text{ if } c \text{ is the favourite, else }\ \frac1{e^\varepsilon + C - 1}

    This hides one answer with epsilon. But one example may change all N answers of a teacher that
    is trained as usual, so N rows cost :math:`N \varepsilon` (basic composition) or, at ``delta``,
    :math:`\rho + 2 \sqrt{\rho \ln(1 / \delta)}` with :math:`\rho = N \varepsilon^2 / 2`
    (zero-concentrated), whichever is less; the summary and the report print it beside "none".
    Answers are one-hot: with ``wire.bits = 1`` nothing less is said.

    The chance is drawn from the operating system, once for a teacher and a text: asked again, in
    any round, a client says the same.

    Attributes:
        row_epsilon: epsilon of one answer.
        delta: at which the worst case is told.
        noise_seed: for tests; a run with it is **not private**, and says so.

    Reference: Kairouz, Oh, Viswanath. *Extremal Mechanisms for Local Differential Privacy*,
    JMLR 2016, equation 12, https://arxiv.org/abs/1407.1338; that the same is said when asked
    again: Erlingsson, Pihur, Korolova. *RAPPOR*, CCS 2014, section 2; the composition: Bun and
    Steinke. *Concentrated Differential Privacy*, TCC 2016, propositions 1.3 and 1.4,
    https://arxiv.org/abs/1605.02065.
    """

    row_epsilon: float = Field(default=1.0, gt=0, le=50)
    delta: float = Field(default=1e-5, gt=0, lt=1)
    noise_seed: int | None = Field(default=None, ge=0)

    @property
    @override
    def private(self) -> bool:
        return self.noise_seed is None

    @override
    def release(self, probs: Floats, noise: Noise | None = None) -> Floats:
        drawn = source(self.noise_seed, noise, probs).uniform(*probs.shape[:-1], 2)
        labels = probs.shape[-1]
        truth = math.exp(self.row_epsilon) / (math.exp(self.row_epsilon) + labels - 1)
        away = 1 + np.minimum((drawn[..., 1] * (labels - 1)).astype(np.int64), labels - 2)
        said = (probs.argmax(axis=-1) + np.where(drawn[..., 0] < truth, 0, away)) % labels
        made: Floats = np.eye(labels, dtype=np.float32)[said]
        return made

    @override
    def worst_case(self, rows: int, times: int = 1) -> float:
        basic = self.row_epsilon * rows * times
        rho = rows * times * self.row_epsilon**2 / 2
        return min(basic, rho + 2 * math.sqrt(rho * math.log(1 / self.delta)))
