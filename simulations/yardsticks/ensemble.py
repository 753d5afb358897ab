"""All clients answer together, whenever anything is asked."""

from typing import ClassVar, Literal, final

from typing_extensions import override

from common.component import component
from simulations.world import World
from simulations.yardsticks import Outcome, Progress, Yardstick


@final
@component
class Ensemble(Yardstick):
    """The mean of the teachers at test time, weighted as the run weighs.

    The same figures as ``bounds.ensemble`` of the run. Every client must be there for every
    question, and sees it.
    """

    crosses: ClassVar[Literal["predictions"]] = "predictions"

    @override
    def measure(self, world: World, progress: Progress) -> Outcome:
        answers = world.opened.together()
        progress(1, 1)
        return Outcome(world.grade(answers), answers[0])
