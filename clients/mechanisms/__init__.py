"""Mechanisms: what a client does so that its answers tell little about any one example."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from clients.noise import Noise
from clients.teachers import FittedTeacher, Inputs, Teacher
from common.arrays import Floats, Ints

_ROUNDING = 1e-9  # what was planned to cost the limit may come out a bit above


@dataclass(frozen=True, eq=False)
class Holding:
    """What a teacher is trained on, and what everybody knows.

    Attributes:
        inputs: the M private examples, as the recipe reads them.
        labels: shape (M,).
        num_labels: C.
        shared: the N public transfer texts, as the recipe reads them; free to look at.
        consensus: shape (N, C), what the server said of them; None in a first training.
    """

    inputs: Inputs
    labels: Ints
    num_labels: int
    shared: Inputs
    consensus: Floats | None = None


@dataclass(frozen=True)
class Spending:
    """What one training costs, for the ledger.

    Attributes:
        noise_multiplier: z, the noise's standard deviation in units of the sensitivity.
        sampling: the probability with which an example is part of a step; 1 for all of them.
        steps: how many noised sums there were.
        private: whether the noise came from the operating system.
    """

    noise_multiplier: float
    sampling: float
    steps: int
    private: bool


class Mechanism(ABC):
    """Wraps the training of a recipe, or what it answers.

    Attributes:
        unit: what the guarantee is about: ``example``, one example of one client, added or
            removed; ``none`` if there is no guarantee worth its name.
        trains: whether it has a say in the training; one that has not works on answers.
    """

    unit: ClassVar[Literal["example", "none"]] = "none"
    trains: ClassVar[bool] = True

    def check(self, recipe: Teacher) -> None:
        """Say before a run whether this recipe can be trained so.

        Raises:
            ConfigError: it cannot; says which can.
        """
        del recipe

    @property
    def private(self) -> bool:
        """Whether nobody else can draw the noise that is used."""
        return False

    def plan(self) -> Spending | None:
        """What the next training will cost; None if nothing is accounted for."""
        return None

    def failure_probability(self) -> float | None:
        """The delta of the guarantee; None without one."""
        return None

    def limit(self) -> float:
        """The largest epsilon that all trainings of one client together may reach."""
        return float("inf")

    @abstractmethod
    def fit(
        self, recipe: Teacher, holding: Holding, rng: np.random.Generator
    ) -> tuple[FittedTeacher, Spending | None]:
        """Train, and say what it cost.

        Args:
            recipe: what is trained.
            holding: on what; with a consensus it goes on from what that teaches.
            rng: source of all randomness that need not be secret.
        """

    def release(self, probs: Floats, noise: Noise | None = None) -> Floats:
        """What is said instead of these predictions (..., C); their own by default.

        Args:
            probs: float32, rows that sum to 1.
            noise: where noise comes from, if any is needed; a client gives what it can draw
                again, for fresh noise on the same answers could be averaged away. Not given:
                fresh from the operating system.
        """
        del noise
        return probs

    def worst_case(self, rows: int, times: int = 1) -> float | None:
        """The epsilon of noise on answers, if any one example might change all of them.

        Args:
            rows: N, of texts that are answered.
            times: how many teachers of one client answer them.

        Returns:
            None where a mechanism puts no noise on answers.
        """
        del rows, times
        return None

    def epsilon(self, spent: Sequence[Spending]) -> float:
        """The epsilon of all trainings of one client together; infinity without a guarantee."""
        del spent
        return float("inf")

    def exceeds(self, trainings: Sequence[Spending]) -> bool:
        """Whether these trainings together are more than :meth:`limit` allows."""
        return self.epsilon(trainings) > self.limit() * (1 + _ROUNDING)
