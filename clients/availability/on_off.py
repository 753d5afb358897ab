"""Clients that are away for several rounds in a row."""

from typing import final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from typing_extensions import override

from clients.availability import Availability
from common.component import component


@final
@component
class OnOff(Availability):
    """A two-state Markov chain: times on and off are geometric, and drop-outs come in bursts.

    The chain starts in its stationary distribution, so that the expected share of clients
    that are there is ``on / (on + off)`` in every round.

    Attributes:
        on: mean number of rounds in a row that a client answers.
        off: mean number of rounds in a row that it does not.
    """

    on: float = Field(default=8.0, ge=1, allow_inf_nan=False)
    off: float = Field(default=2.0, ge=1, allow_inf_nan=False)

    @override
    def draw(self, rng: np.random.Generator, num_rounds: int) -> NDArray[np.bool_]:
        chance = rng.random(num_rounds)
        there = np.empty(num_rounds, dtype=np.bool_)
        state = chance[0] < self.on / (self.on + self.off)
        for number in range(num_rounds):
            if number:
                state = chance[number] >= 1 / self.on if state else chance[number] < 1 / self.off
            there[number] = state
        return there
