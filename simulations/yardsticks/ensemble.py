"""All clients answer together, whenever anything is asked."""

from typing import ClassVar, Literal, final

from typing_extensions import override

from common.component import component
from simulations.world import World
from simulations.yardsticks import Outcome, Progress, Yardstick


@final
@component
class Ensemble(Yardstick):
    """The mean of the teachers at test time, under the run's weighting.

    All weigh the same where the run learns weights with the student (``govern``, ``gate``,
    ``reinforced``) or finds them in many unlabelled texts (``exp_guard``): of test rows no
    weights are made. The same figures as ``bounds.ensemble`` of the run. Every client must be
    there for every question, and sees it.
    """

    crosses: ClassVar[Literal["predictions"]] = "predictions"

    @override
    def measure(self, world: World, progress: Progress) -> Outcome:
        answers = world.opened.together()
        progress(1, 1)
        return Outcome(world.grade(answers), answers[0])
