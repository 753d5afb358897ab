r"""Which arms of a setting may be the best, and which are clearly not.

**Whose turn.** Arms that send predictions compete. Yardsticks and raters are bounds: texts or
parameters cross there, or a person answers.

**Multiple comparisons with the best** (Hsu, *Constrained Simultaneous Confidence Intervals for
Multiple Comparisons with the Best*, Annals of Statistics 12, 1984). Of m arms one is ruled out if
any other is better within seeds by a one-sided paired t-test at the level .05 / (m - 1). Whichever
arm truly is the best, it stands in m - 1 of these tests only, so in 95 of 100 such tables it is not
ruled out, although nobody knew beforehand which one it is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from simulations.comparing.paired import ALPHA, t_test
from simulations.ranking.table import MEASURES

Arm = Mapping[str, Any]
"""An arm of ``league.json``."""

_HIGHER_IS_BETTER = ("accuracy",)


@dataclass(frozen=True)
class Standing:
    """How the competing arms of a setting stand by one measure, best mean first.

    Attributes:
        best: of the largest accuracy, or of the smallest distance.
        tied: the others that may truly be the best, also for want of seeds.
        worse: those that are clearly not.
    """

    best: Arm
    tied: tuple[Arm, ...]
    worse: tuple[Arm, ...]

    def has(self, arm: Arm) -> bool:
        """Whether an arm may be the best."""
        return any(arm["name"] == one["name"] for one in (self.best, *self.tied))


def standing(setting: Mapping[str, Any], measure: str) -> Standing | None:
    """The standing of one setting of ``league.json``; None where nobody competes.

    Args:
        setting: one of them.
        measure: a name of :data:`simulations.ranking.table.MEASURES`.
    """
    arms = ranked([arm for arm in setting["arms"] if arm["role"] == "own"], measure)
    if not arms:
        return None
    values = [_values(arm, measure) for arm in arms]
    best, *others = arms
    level = ALPHA / max(len(others), 1)
    worse = tuple(
        arm
        for n, arm in enumerate(others, start=1)
        if any(_loses(values[n], rival, level, measure) for rival in values[:n])
    )
    return Standing(best, tuple(arm for arm in others if arm not in worse), worse)


def ranked(arms: Sequence[Arm], measure: str) -> list[Arm]:
    """Those arms that have a measure, the best mean first."""
    sign = -1 if measure in _HIGHER_IS_BETTER else 1
    known = [arm for arm in arms if mean(arm, measure) is not None]
    return sorted(known, key=lambda arm: sign * (mean(arm, measure) or 0.0))


def mean(arm: Arm, measure: str) -> float | None:
    """An arm's mean over its seeds, in units of the measure."""
    found = spread(arm, measure)
    return None if found is None else float(found["mean"])


def spread(arm: Arm, measure: str) -> Mapping[str, Any] | None:
    """``mean`` with ``half`` of its 95 % interval, None for one seed."""
    state, key = _PLACES[measure]
    found: Mapping[str, Any] | None = arm[state].get(key)
    return found


def beaten(setting: Mapping[str, Any], reference: str, measure: str) -> list[Arm]:
    """Competing arms whose corrected difference to a reference leaves out zero, for the better."""
    better = "low" if measure in _HIGHER_IS_BETTER else "high"
    sign = 1 if better == "low" else -1
    return [
        arm
        for arm in setting["arms"]
        if arm["role"] == "own"
        for d in arm["differences"]
        if (d["reference"], d["measure"]) == (reference, measure)
        if d[better] is not None and sign * d[better] > 0
    ]


_PLACES = {name: (state, key) for name, state, key in MEASURES}


def _values(arm: Arm, measure: str) -> dict[str, float]:
    state, key = _PLACES[measure]
    return {seed: row[state][key] for seed, row in arm["per_seed"].items()}


def _loses(
    ours: Mapping[str, float], theirs: Mapping[str, float], level: float, measure: str
) -> bool:
    """One-sided, on the seeds that both have, which may rank them otherwise than all seeds."""
    sign = 1 if measure in _HIGHER_IS_BETTER else -1
    gaps = [sign * (ours[seed] - theirs[seed]) for seed in ours if seed in theirs]
    p = t_test(gaps)
    return p is not None and sum(gaps) < 0 and p / 2 < level
