"""Yardsticks: what others would reach on the same data, the same split and the same test rows.

Some of them send parameters or texts. They are measured on a run that is over, in the
observer's process; no run ever uses one.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

from common.arrays import Floats
from simulations.examination import Metrics
from simulations.world import Grades, World
from simulations.yardsticks._traffic import Traffic

Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Outcome:
    """What one yardstick reached on one world.

    Attributes:
        grades: on the test rows; where there are several models, the means over them.
        probs: shape (M, C), of the one model on the test rows; None where there are several.
        clients: grades of each client's own model, by client, where a yardstick has such.
        curve: metrics on the public slice before the first round and after each one.
        traffic: what crossed, where it was measured.
    """

    grades: Grades
    probs: Floats | None = None
    clients: dict[int, Grades] | None = None
    curve: tuple[Metrics, ...] = ()
    traffic: Traffic | None = None


class Yardstick(ABC):
    """One way to learn from what the clients hold, with or without the boundary.

    Attributes:
        crosses: what leaves a client, beyond what a run of ours sends.
    """

    crosses: ClassVar[Literal["parameters", "texts", "predictions", "nothing"]]

    @abstractmethod
    def measure(self, world: World, progress: Progress) -> Outcome:
        """Learn, and grade on the test rows; equal worlds give equal bits on one thread.

        Args:
            world: a run that is over. Every draw follows from its seed.
            progress: told (steps done, steps in all).

        Raises:
            ConfigError: training diverged.
        """
