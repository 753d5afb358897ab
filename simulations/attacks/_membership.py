"""What all attacks on membership have in common: who is scored, and how it is told."""

from abc import abstractmethod
from typing import Any, ClassVar, Literal

from typing_extensions import override

from common.arrays import Floats
from common.configure import kind_of
from simulations.attacks import Attack, Finding
from simulations.attacks._figures import RATES, membership, most_tpr
from simulations.attacks._scene import Scene, Seen

Place = Literal["overlap", "disjoint"]


class Membership(Attack):
    """Gives every candidate a score; the larger, the likelier it was trained on.

    Attributes:
        place: whether candidates are among the texts that were asked about.
    """

    place: ClassVar[Place] = "overlap"

    @abstractmethod
    def scores(self, scene: Scene, seen: Seen) -> Floats:
        """Shape (T, P)."""

    @override
    def run(self, scene: Scene) -> list[Finding]:
        return [self._judged(scene, seen) for seen in scene.rows]

    def _judged(self, scene: Scene, seen: Seen) -> Finding:
        kind, rng = kind_of(self), scene.game.rng("draws")  # the same models for every row
        found = membership(self.scores(scene, seen), scene.inside, rng)
        return told(kind, seen, self.place, found)


def told(kind: str, seen: Seen, place: str, found: dict[str, Any]) -> Finding:
    """A finding about membership, with what a guarantee allows beside it."""
    figures, fault = dict(found), ""
    if seen.mu is not None:
        figures["bound"] = {str(rate): most_tpr(seen.mu, rate) for rate in RATES}
        for rate in RATES:
            low = found["tpr_interval"][str(rate)][0]
            if low > figures["bound"][str(rate)]:
                fault = (
                    f"{kind} finds {low:.2%} of the members at {rate:.1%} false alarms, more than "
                    f"the guarantee of {seen.defence.name!r} allows"
                )
    return Finding(kind, seen.defence.name, place, figures, in_words(found), fault)


def in_words(found: dict[str, Any]) -> str:
    """One sentence for anybody."""
    rate = RATES[0]
    caught = found["tpr"][str(rate)]
    low, high = found["auc_interval"]
    if low <= 0.5 <= high and caught < 3 * rate:
        return "No better than tossing a coin."
    times = caught / rate
    many = f"{times:.0f} times as many" if times >= 1.5 else "about as many"
    return (
        f"Of two records, one used for training and one not, it picks the right one "
        f"{found['auc']:.0%} of the time; allowed to be wrong about 1 in {round(1 / rate)} "
        f"outsiders, it finds {caught:.1%} of the members, {many} as by chance."
    )
