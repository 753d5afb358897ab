"""Federated averaging of clients that are held near the global model."""

from typing import ClassVar, Literal, final

from pydantic import Field
from typing_extensions import override

from common.component import component
from common.failures import ConfigError
from simulations.world import World
from simulations.yardsticks import Outcome, Progress, Yardstick
from simulations.yardsticks._local import Pace


@final
@component
class Fedprox(Yardstick):
    """As ``fedavg``, with ``mu/2 ||w - w_t||^2`` in what clients minimise.

    Flower's own ``FedProx`` averages and sends mu; the term itself is the client's. It is the
    squared norm of the paper, over all parameters together.

    Attributes:
        mu: weight of the term; 0 is ``fedavg``, to the last bit.
        pace: how long and how fast.

    Reference: Li, Sahu, Zaheer, Sanjabi, Talwalkar and Smith, *Federated Optimization in
    Heterogeneous Networks*, MLSys 2020, section 3.2. https://arxiv.org/abs/1812.06127
    """

    crosses: ClassVar[Literal["parameters"]] = "parameters"

    mu: float = Field(default=0.001, ge=0)
    pace: Pace = Field(default_factory=Pace)

    def __post_init__(self) -> None:
        # A gradient step down the term alone multiplies the distance by 1 - rate * mu.
        if self.pace.optimiser == "sgd" and self.pace.learning_rate * self.mu >= 2:
            raise ConfigError(
                f"mu = {self.mu} throws sgd back and forth at a learning_rate of "
                f"{self.pace.learning_rate}; write mu less than {2 / self.pace.learning_rate:g}"
            )

    @override
    def measure(self, world: World, progress: Progress) -> Outcome:
        # Function level: whoever only reads settings need not import Flower.
        from simulations.yardsticks._federation import held_near

        return held_near(world, self.mu, self.pace, progress)
