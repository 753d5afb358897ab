"""``compare.json``: every arm's figures over seeds, its differences to its controls, a verdict."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from common.configure import dump
from simulations.comparing.arms import Arm, written
from simulations.comparing.evidence import MEASURES, Evidence
from simulations.comparing.lineup import Entry
from simulations.comparing.paired import ALPHA, Difference, differences
from simulations.comparing.verdicts import Verdict, verdict
from simulations.experiment import Experiment

STATES = ("raw", "fitted", "sharpened")
"""As they are; at the temperature fitted for likelihood; at the one fitted for distance."""

Rows = Mapping[tuple[Arm, int], Mapping[str, Any]]
"""What was measured of an arm on a seed: a dict of metrics for each of :data:`STATES`, the
student's hash, or the reason why there is no student under ``refused``."""

Pairs = dict[Arm, dict[tuple[str, str], Difference]]


def standings(
    name: str, base: Experiment, seeds: Sequence[int], entries: Sequence[Entry], rows: Rows
) -> dict[str, Any]:
    """The content of ``compare.json``, without notes and bounds.

    Args:
        name: of the experiment.
        base: the experiment that every seed's predictions come from.
        seeds: those of ``rows``.
        entries: the arms.
        rows: one for each arm that is served and each seed.
    """
    refused = {entry.arm: _refused(entry, seeds, rows) for entry in entries}
    pairs = _pairs(entries, seeds, rows, refused)
    own = next(entry for entry in entries if entry.arm == _own(base))
    names = {entry.arm: entry.name for entry in entries}
    return {
        "schema": 1,
        "experiment": Path(name).stem,
        "settings": {key: value for key, value in dump(base).items() if key != "seed"},
        "seeds": list(seeds),
        "base": {
            "arm": own.name,
            "students": {str(seed): rows[own.arm, seed]["student"] for seed in seeds},
        },
        "confidence": 1 - ALPHA,
        "comparisons": sum(map(len, pairs.values())),
        "correction": "holm",
        "arms": [_arm(entry, seeds, rows, refused, pairs, names) for entry in entries],
    }


def measured(row: Mapping[str, Any], measure: str) -> float:
    """One of :data:`simulations.comparing.evidence.MEASURES` of an arm on a seed."""
    if measure == "accuracy":
        return float(row["raw"]["accuracy"])
    return float(row[measure]["semantic_distance"])


def spread(tables: Sequence[Mapping[str, Any]]) -> tuple[dict[str, float], dict[str, float | None]]:
    """Mean and standard deviation over seeds (n - 1) of each metric that all seeds have."""
    keys = [k for k in tables[0] if all(table.get(k) is not None for table in tables)]
    values = {key: [float(table[key]) for table in tables] for key in keys}
    means = {key: float(np.mean(column)) for key, column in values.items()}
    several = len(tables) > 1
    deviations = {k: float(np.std(c, ddof=1)) if several else None for k, c in values.items()}
    return means, deviations


def _own(base: Experiment) -> Arm:
    server = base.server
    return Arm(server.loss, server.weighting, server.aggregator, server.geometry).bare()


def _refused(entry: Entry, seeds: Sequence[int], rows: Rows) -> str | None:
    if entry.refused is not None:
        return entry.refused
    return next((r for seed in seeds if (r := rows[entry.arm, seed].get("refused"))), None)


def _pairs(
    entries: Sequence[Entry],
    seeds: Sequence[int],
    rows: Rows,
    refused: Mapping[Arm, str | None],
) -> Pairs:
    """Every comparison of the report; the correction covers all of them together."""
    wanted = [
        (entry.arm, name, control, measure)
        for entry in entries
        for name, control in entry.controls.items()
        if refused[entry.arm] is None and refused[control] is None
        for measure in MEASURES
    ]
    gaps = [
        [measured(rows[arm, s], measure) - measured(rows[control, s], measure) for s in seeds]
        for arm, _, control, measure in wanted
    ]
    made: Pairs = {}
    for (arm, name, _, measure), found in zip(wanted, differences(gaps), strict=True):
        made.setdefault(arm, {})[name, measure] = found
    return made


def _arm(
    entry: Entry,
    seeds: Sequence[int],
    rows: Rows,
    refused: Mapping[Arm, str | None],
    pairs: Pairs,
    names: Mapping[Arm, str],
) -> dict[str, Any]:
    made: dict[str, Any] = {
        "name": entry.name,
        "role": entry.role,
        "settings": entry.arm.settings,
        "columns": columns(entry.arm),
        "uses_geometry": entry.arm.geometry is not None,
        "refused": refused[entry.arm],
        "controls": {key: names[arm] for key, arm in entry.controls.items()},
        "per_seed": {},
        "mean": None,
        "std": None,
        "differences": [],
        "verdict": None,
    }
    if refused[entry.arm] is not None:
        return made
    kept = {seed: {s: dict(rows[entry.arm, seed][s]) for s in STATES} for seed in seeds}
    spreads = {state: spread([kept[seed][state] for seed in seeds]) for state in STATES}
    found = pairs.get(entry.arm, {})
    return made | {
        "per_seed": {
            str(seed): {"student": rows[entry.arm, seed]["student"], **kept[seed]} for seed in seeds
        },
        "mean": {state: means for state, (means, _) in spreads.items()},
        "std": {state: deviations for state, (_, deviations) in spreads.items()},
        "differences": [_difference(*key, found[key]) for key in found],
        "verdict": _verdict(entry, len(seeds), found, refused),
    }


def columns(arm: Arm) -> dict[str, str]:
    """The varied keys of an arm, as ``results.csv`` writes them."""
    return {
        "loss": written(arm.loss),
        "weighting": written(arm.weighting),
        "aggregator": written(arm.aggregator),
        "geometry": arm.costs or "none",
    }


def _difference(control: str, measure: str, found: Difference) -> dict[str, Any]:
    width = found.half_width
    return {
        "control": control,
        "measure": measure,
        "values": list(found.values),
        "mean": found.mean,
        "low": None if width is None else found.mean - width,
        "high": None if width is None else found.mean + width,
        "level": found.level,
        "p": found.p,
        "p_holm": found.p_holm,
    }


def _verdict(
    entry: Entry,
    seeds: int,
    found: Mapping[tuple[str, str], Difference],
    refused: Mapping[Arm, str | None],
) -> dict[str, Any] | None:
    if not entry.controls:
        return None
    missing = {key: why for key, arm in entry.controls.items() if (why := refused[arm])}
    said: Verdict = verdict(Evidence(entry.name, seeds, found, missing))
    return {
        "finding": said.finding,
        "geometry_did_something": said.did_something,
        "sentence": said.sentence,
    }
