"""Federated averaging: parameters go down and come up, round by round."""

from typing import ClassVar, Literal, final

from pydantic import Field
from typing_extensions import override

from common.component import component
from simulations.world import World
from simulations.yardsticks import Outcome, Progress, Yardstick
from simulations.yardsticks._local import Pace


@final
@component
class Fedavg(Yardstick):
    """Clients train the student on their own labels; the server averages what comes back.

    Flower's own ``FedAvg`` averages, weighted by examples.

    Attributes:
        pace: how long and how fast.

    Reference: McMahan, Moore, Ramage, Hampson and Agüera y Arcas, *Communication-Efficient
    Learning of Deep Networks from Decentralized Data*, AISTATS 2017, algorithm 1.
    https://arxiv.org/abs/1602.05629
    """

    crosses: ClassVar[Literal["parameters"]] = "parameters"

    pace: Pace = Field(default_factory=Pace)

    @override
    def measure(self, world: World, progress: Progress) -> Outcome:
        # Function level: whoever only reads settings need not import Flower.
        from simulations.yardsticks._federation import averaged

        return averaged(world, self.pace, progress)
