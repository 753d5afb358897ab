"""``league.json``: means with simultaneous intervals, and differences within a seed.

**Correction.** In one setting m arms stand side by side. Each mean has two intervals, both
Student's: at the level .05, for one arm alone, and at .05 / m (Bonferroni), with which in 95 of
100 such tables no interval of a metric misses its mean over all seeds. Differences to a reference
are taken seed by seed; all of a setting, every arm, reference and measure, are corrected together
by Holm's procedure (:mod:`simulations.comparing.paired`).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from simulations.comparing.paired import ALPHA, differences, half_width
from simulations.ranking.cells import STATES
from simulations.ranking.definition import Arm, League, Setting, Stage

MEASURES = (
    ("accuracy", "raw", "accuracy"),
    ("distance", "raw", "semantic_distance"),
    ("distance_fitted", "fitted", "semantic_distance"),
)
"""What is compared within a seed: name, state and key."""

Rows = Mapping[tuple[str, int], Mapping[str, Any]]
"""The rows of one setting by arm and seed; see :func:`simulations.ranking.cells.cell`."""


def tabulate(
    name: str,
    league: League,
    stage: Stage,
    found: Mapping[str, Rows],
    skipped: Mapping[str, str],
) -> dict[str, Any]:
    """The content of ``league.json``.

    Args:
        name: of the league.
        league: what was asked for.
        stage: which rows graded.
        found: by setting, all that is measured.
        skipped: by setting, why it was not run.
    """
    return {
        "schema": 1,
        "league": name,
        "stage": stage,
        "graded_on": "validation" if stage == "choose" else "test",
        "digest": league.digest(stage),
        "confidence": 1 - ALPHA,
        "correction": {"means": "bonferroni", "differences": "holm"},
        "references": list(league.references),
        "settings": [
            _setting(league, setting, stage, found.get(setting.name, {}))
            | {"skipped": skipped.get(setting.name)}
            for setting in league.settings
        ],
    }


def _setting(league: League, setting: Setting, stage: Stage, rows: Rows) -> dict[str, Any]:
    arms = league.arms_of(setting)
    good = {arm.name: _good(arm, league, stage, rows) for arm in arms}
    shown = [arm for arm in arms if good[arm.name]]
    paired = _paired(shown, league.references, good)
    refused = {
        arm.name: why for arm in arms if (why := _refusal(arm, league, stage, rows)) is not None
    }
    return {
        "name": setting.name,
        "title": setting.title,
        "compared": len(shown),
        "arms": [
            _arm(arm, good[arm.name], len(shown))
            | {"differences": paired[arm.name], "gap_closed": _gaps(arm, league, good)}
            for arm in shown
        ],
        "refused": refused,
        "missing": [arm.name for arm in arms if not good[arm.name]],
        "unmeasured": [
            {"arm": arm.name, "title": arm.title, "seeds": seeds, "why": refused.get(arm.name)}
            for arm in arms
            if (seeds := [s for s in league.seeds_of(arm, stage) if s not in good[arm.name]])
        ],
    }


def _good(arm: Arm, league: League, stage: Stage, rows: Rows) -> dict[int, Mapping[str, Any]]:
    """What is measured of an arm, by seed."""
    known = {seed: rows.get((arm.name, seed)) for seed in league.seeds_of(arm, stage)}
    return {seed: row for seed, row in known.items() if row is not None and "refused" not in row}


def _refusal(arm: Arm, league: League, stage: Stage, rows: Rows) -> str | None:
    known = [rows.get((arm.name, seed), {}) for seed in league.seeds_of(arm, stage)]
    return next((row["refused"] for row in known if "refused" in row), None)


def _arm(arm: Arm, rows: Mapping[int, Mapping[str, Any]], compared: int) -> dict[str, Any]:
    tables = {state: [row[state] for row in rows.values()] for state in STATES}
    costs = [{k: row[k] for k in ("bytes", "seconds")} for row in rows.values()]
    return {
        "name": arm.name,
        "title": arm.title,
        "role": "human" if arm.human else "own" if arm.yardstick is None else "yardstick",
        "seeds": list(rows),
        "per_seed": {str(seed): dict(row) for seed, row in rows.items()},
        **{state: summarised(found, compared) for state, found in tables.items()},
        "cost": summarised(costs, compared),
    }


def summarised(tables: Sequence[Mapping[str, Any]], compared: int) -> dict[str, dict[str, Any]]:
    """Of each metric that all seeds have: n, mean, and two intervals.

    Args:
        tables: one for each seed.
        compared: m, how many arms stand in the table.

    Returns:
        By metric ``n``, ``mean``, and halves of intervals: ``half`` for this arm alone,
        ``half_corrected`` for all m together; both None for one seed.
    """
    made = {}
    for key in tables[0]:
        if any(table.get(key) is None for table in tables):
            continue
        values = [float(table[key]) for table in tables]
        mean = float(np.mean(values))
        alone, all_of = (
            half_width(values, level) if len(values) > 1 else None
            for level in (ALPHA, ALPHA / compared)
        )
        made[key] = {"n": len(values), "mean": mean, "half": alone, "half_corrected": all_of}
    return made


def _paired(
    arms: Sequence[Arm],
    references: Sequence[str],
    good: Mapping[str, Mapping[int, Mapping[str, Any]]],
) -> dict[str, list[dict[str, Any]]]:
    """Every difference of a setting; the correction covers all of them together."""
    wanted, gaps = [], []
    for arm in arms:
        for reference in references:
            seeds = [seed for seed in good[arm.name] if seed in good.get(reference, {})]
            for measure, state, key in MEASURES:
                ours = [good[arm.name][seed][state].get(key) for seed in seeds]
                theirs = [good[reference][seed][state].get(key) for seed in seeds]
                told = seeds and not arm.human and None not in (*ours, *theirs)
                if arm.name != reference and told:
                    wanted.append((arm.name, reference, measure, seeds))
                    gaps.append([a - b for a, b in zip(ours, theirs, strict=True)])
    made: dict[str, list[dict[str, Any]]] = {arm.name: [] for arm in arms}
    for (name, reference, measure, seeds), found in zip(wanted, differences(gaps), strict=True):
        width = found.half_width
        made[name].append(
            {
                "reference": reference,
                "measure": measure,
                "seeds": seeds,
                "mean": found.mean,
                "low": None if width is None else found.mean - width,
                "high": None if width is None else found.mean + width,
                "p_holm": found.p_holm,
            }
        )
    return made


def _gaps(
    arm: Arm, league: League, good: Mapping[str, Mapping[int, Mapping[str, Any]]]
) -> dict[str, float] | None:
    """Share of the way from the first reference to the second, by means over common seeds."""
    if len(league.references) < 2 or arm.name in league.references or arm.human:
        return None
    start, end = (good.get(name, {}) for name in league.references[:2])
    seeds = [seed for seed in good[arm.name] if seed in start and seed in end]
    made = {}
    for measure, state, key in MEASURES:
        means = [
            [rows[seed][state].get(key) for seed in seeds] for rows in (good[arm.name], start, end)
        ]
        if seeds and not any(None in values for values in means):
            ours, first, last = (float(np.mean(values)) for values in means)
            if last != first:
                made[measure] = (ours - first) / (last - first)
    return made or None
