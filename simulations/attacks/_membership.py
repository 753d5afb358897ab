"""What all attacks on membership have in common: who is scored, and how it is told."""

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, NamedTuple

import numpy as np
from typing_extensions import override

from common.arrays import Floats
from common.configure import kind_of
from simulations.attacks import Attack, Finding
from simulations.attacks._figures import RATES, Masks, curve, excess, membership
from simulations.attacks._scene import Scene, Seen

if TYPE_CHECKING:
    from simulations.attacks._taken import Taken

Place = Literal["overlap", "disjoint"]
UNASKED = "no candidate is among the texts that this run's clients were asked about"
FEWEST: Final = 10
"""Wrongly accused outsiders that a rate must allow before a breach can be told from chance."""


class Ranking(NamedTuple):
    """How likely each candidate of each target is held for a member, and the truth.

    Attributes:
        scores: shape (T, P), the larger, the likelier.
        inside: shape (T, P).
    """

    scores: Floats
    inside: Masks


class Membership(Attack):
    """Gives every candidate a score; the larger, the likelier it was trained on.

    Attributes:
        place: whether candidates are among the texts that were asked about.
        own_only: whether it is played against the experiment's own release and no other.
    """

    place: ClassVar[Place] = "overlap"
    own_only: ClassVar[bool] = False

    @abstractmethod
    def scores(self, scene: Scene, seen: Seen) -> Floats:
        """Shape (T, P)."""

    @override
    def run(self, scene: Scene) -> list[Finding]:
        rows = (scene.own,) if self.own_only else scene.rows
        return [self._judged(scene, seen) for seen in rows]

    @override
    def obstacle_in(self, taken: "Taken") -> str | None:
        return UNASKED if self.place == "overlap" else self.obstacle(taken.first)

    @override
    def against(self, taken: "Taken") -> list[Finding]:
        """Clients are attacked one by one, or as the sum that they gave, and told together."""
        rows = taken.rows
        chosen = [taken.own] if self.own_only else list(rows)
        made = []
        for name in chosen:
            scores = [self.scores(scene, seen) for scene, seen in rows[name]]
            told_apart = np.concatenate([s.reshape(-1, taken.width) for s in scores])
            seen = rows[name][0][1]
            made.append(told_of_run(kind_of(self), seen, self.place, told_apart, taken))
        return made

    def _judged(self, scene: Scene, seen: Seen) -> Finding:
        ranking = Ranking(self.scores(scene, seen), scene.inside)
        rng = scene.game.rng("draws")  # the same models for every row
        return told(kind_of(self), seen, self.place, ranking, rng)


def told(kind: str, seen: Seen, place: str, ranking: Ranking, rng: np.random.Generator) -> Finding:
    """A finding about membership, with what a guarantee allows beside it.

    At a rate that wrongly accuses fewer than :data:`FEWEST` outsiders an interval over models
    means little: below one outsider it is about no false alarm at all. If there is such a rate,
    what is found is also held against the guarantee by a bound that is made for few decisions
    (:func:`simulations.attacks._figures.excess`).
    """
    found = membership(*ranking, rng)
    rates = [rate for rate in RATES if found["negatives"] * rate >= FEWEST]
    breaches = [_at_rate(found, seen, rate) for rate in rates]
    if len(rates) < len(RATES):
        breaches.append(_at_all(ranking, seen))
    more = next((f"{kind} finds {breach}" for breach in breaches if breach), "")
    return Finding(kind, seen.defence.name, place, _beside(found, seen), in_words(found), more)


def _at_rate(found: dict[str, Any], seen: Seen, rate: float) -> str:
    """How a guarantee is broken at one rate of false alarms; empty if it is not."""
    low, bound = found["tpr_interval"][str(rate)][0], seen.allows(rate)
    if bound is None or low <= bound:
        return ""
    return (
        f"{low:.2%} of the members at {rate:.1%} false alarms, more than the guarantee of "
        f"{seen.defence.name!r} allows"
    )


def _at_all(ranking: Ranking, seen: Seen) -> str:
    """The same by the bound for few decisions."""
    over = _over(ranking, seen)
    if over <= 0:
        return ""
    return (
        f"more of the members than the guarantee of {seen.defence.name!r} allows, by {over:.1%} "
        "of them at the least"
    )


def _over(ranking: Ranking, seen: Seen) -> float:
    """By how much at the least more members are found than a guarantee allows; 0 without one."""
    if seen.allows(RATES[0]) is None:
        return 0.0
    scores, inside = ranking.scores.ravel(), ranking.inside.ravel()
    return excess(scores, inside, lambda rate: seen.allows(rate) or 0.0)


def told_of_run(kind: str, seen: Seen, place: str, scores: Floats, taken: "Taken") -> Finding:
    """The same of a finished run, whose clients are few: intervals are over them.

    A promise is broken if at any rate more members are found than it allows, by a bound that
    holds for few decisions as well (:func:`simulations.attacks._figures.excess`).

    Args:
        kind: of the attack.
        seen: of one of the clients; the guarantee is that of all.
        place: what the attacker looked at.
        scores: shape (K, P), of each client's candidates.
        taken: the run.
    """
    inside: Masks = taken.inside
    found = membership(scores, inside, taken.rng("draws")) | _hit(scores, inside, taken)
    fault = ""
    if (over := _over(Ranking(scores, inside), seen)) > 0:
        fault = (
            f"{kind} finds more of the members than the guarantee of this run allows, by "
            f"{over:.1%} of them at the least"
        )
    return Finding(kind, seen.defence.name, place, _beside(found, seen), in_words(found), fault)


def _hit(scores: Floats, inside: Masks, taken: "Taken") -> dict[str, Any]:
    """Each client's own area, and the 1 % of members that were found most surely, by number.

    A candidate here has met one model only, so that nobody can say how often it is told apart.
    """
    ids, one = list(taken.scenes), np.ones((1, scores.shape[1]))
    areas = [float(curve(s, i, one, RATES).auc[0]) for s, i in zip(scores, inside, strict=True)]
    numbers = np.stack([scene.game.pool.numbers for scene in taken.scenes.values()])
    members = [tuple(place) for place in np.argwhere(inside)]
    members.sort(key=lambda place: -float(scores[place]))
    first = members[: max(1, len(members) // 100)]
    return {
        "worst": {"candidates": [], "auc": None},
        "clients": dict(zip(map(str, ids), areas, strict=True)),
        "surest": [[ids[client], int(numbers[client, place])] for client, place in first],
    }


def _beside(found: dict[str, Any], seen: Seen) -> dict[str, Any]:
    bounds = {str(rate): bound for rate in RATES if (bound := seen.allows(rate)) is not None}
    return {**found, "bound": bounds} if bounds else dict(found)


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
