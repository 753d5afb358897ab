"""Every client by itself: what there is without any federation."""

from typing import ClassVar, Literal, final

import numpy as np
from typing_extensions import override

from common.component import component
from simulations.world import Grades, World
from simulations.yardsticks import Outcome, Progress, Yardstick


@final
@component
class LocalOnly(Yardstick):
    """Each client's own teacher on everybody's test rows; the figure is the mean over clients."""

    crosses: ClassVar[Literal["nothing"]] = "nothing"

    @override
    def measure(self, world: World, progress: Progress) -> Outcome:
        alone = world.opened.alone()
        found: dict[int, Grades] = {}
        for done, client in enumerate(alone):
            found[client] = world.grade(alone[client])
            progress(done + 1, len(alone))
        return Outcome(_mean(list(found.values())), clients=found)


def _mean(grades: list[Grades]) -> Grades:
    """Over clients, of every metric that all of them have."""

    def over(tables: list[dict[str, float | None]]) -> dict[str, float]:
        known = [k for k in tables[0] if all(t.get(k) is not None for t in tables)]
        return {k: float(np.mean([t[k] for t in tables])) for k in known}

    raw, fitted = over([g.raw for g in grades]), over([dict(g.fitted) for g in grades])
    return Grades(dict(raw), fitted)
