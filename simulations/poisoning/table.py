"""``poison.json``: every rule under every lie, with intervals over seeds."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from common.configure import dump
from simulations.comparing.arms import Arm, written
from simulations.comparing.standings import columns
from simulations.poisoning.asked import Case, Plan
from simulations.sweeping.table import LEVEL, STATES, over_seeds

Rows = dict[tuple[Arm, Case, int], dict[str, Any]]
"""What is kept of a student, by rule, case and seed."""


def tabulate(name: str, made: Plan, seeds: Sequence[int], rows: Rows) -> dict[str, Any]:
    """The content of ``poison.json``; a pure function of the rows.

    Args:
        name: of the experiment.
        made: what was tried.
        seeds: one base run each.
        rows: of every rule, case and seed.
    """
    return {
        "schema": 1,
        "experiment": Path(name).stem,
        "seeds": list(seeds),
        "clients": made.base.data.num_clients,
        "counts": list(made.counts),
        "poisons": [written(poison) for poison in made.poisons],
        "arms": [_name(arm) for arm in made.arms],
        "confidence": LEVEL,
        "notes": list(made.notes),
        "settings": dump(made.base),
        "cells": [_cell(arm, case, seeds, rows) for arm in made.arms for case in made.cases],
    }


def _cell(arm: Arm, case: Case, seeds: Sequence[int], rows: Rows) -> dict[str, Any]:
    found = [rows[arm, case, seed] for seed in seeds]
    refused = next((row["refused"] for row in found if "refused" in row), None)
    cell: dict[str, Any] = {
        "arm": _name(arm),
        "columns": columns(arm),
        "poison": None if case.poison is None else written(case.poison),
        "attackers": case.attackers,
        "refused": refused,
        "weight": _mean([row["weight"] for row in found]),
        "per_seed": {},
    }
    if refused is not None:
        return cell | {state: {} for state in STATES} | {"change": {}}
    kept = [{s: row[s] for s in (*STATES, "student", "weight")} for row in found]
    honest = [rows[arm, Case(None, 0), seed] for seed in seeds]
    return cell | {
        "per_seed": {str(seed): row for seed, row in zip(seeds, kept, strict=True)},
        **{state: over_seeds([row[state] for row in found]) for state in STATES},
        "change": {state: _change(found, honest, state) for state in STATES},
    }


def _change(
    found: Sequence[Mapping[str, Any]], honest: Sequence[Mapping[str, Any]], state: str
) -> dict[str, Any]:
    """What the lie does, seed by seed: a metric under it minus the same with nobody lying."""
    if any(state not in row for row in honest):
        return {}
    return over_seeds([_gaps(a[state], b[state]) for a, b in zip(found, honest, strict=True)])


def _gaps(under: Mapping[str, Any], honest: Mapping[str, Any]) -> dict[str, float]:
    known = [k for k, value in under.items() if value is not None and honest.get(k) is not None]
    return {key: under[key] - honest[key] for key in known}


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _name(arm: Arm) -> str:
    return arm.name(with_aggregator=True)
