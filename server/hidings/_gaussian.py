"""What the hidings share: a budget of epsilon at a delta, and where noise comes from."""

from pydantic import Field
from typing_extensions import override

from common.component import component
from server.hidings import Hiding


@component
class Gaussian(Hiding):
    """The settings of a hiding; see its members.

    Attributes:
        epsilon_target: epsilon of one round.
        delta: probability with which the promise may fail; well below 1 / K.
        budget: the largest epsilon of all rounds together; not given: ``epsilon_target``.
        noise_seed: for tests; a run with it is not private, and says so.
    """

    epsilon_target: float = Field(default=8.0, gt=0)
    delta: float = Field(default=1e-3, gt=0, lt=1)
    budget: float | None = Field(default=None, gt=0)
    noise_seed: int | None = Field(default=None, ge=0)

    @property
    @override
    def private(self) -> bool:
        return self.noise_seed is None

    @property
    @override
    def seed(self) -> int | None:
        return self.noise_seed

    @override
    def target_epsilon(self) -> float:
        return self.epsilon_target

    @override
    def failure_probability(self) -> float:
        return self.delta

    @override
    def limit(self) -> float:
        return self.epsilon_target if self.budget is None else self.budget
