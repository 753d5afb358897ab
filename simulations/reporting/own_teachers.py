"""The report's table of the clients' own teachers: what each is, and how good."""

from collections.abc import Mapping
from typing import Any

MOST_TEACHERS = 50
"""Rows of the table; all others are in ``summary.json``."""

_KEYS = ("accuracy", "macro_f1", "semantic_distance", "ece")
_DASH = "\N{EN DASH}"


def teacher_rows(summary: Mapping[str, Any], pictures: Mapping[str, Any]) -> list[list[str]]:
    """One row a client: name, kind of its teacher, then accuracy, macro-F1, distance and ECE.

    A dash where there is none. Empty where the run was not asked for bounds.
    """
    bounds = summary.get("bounds") or {}
    teachers, kinds = bounds.get("teachers") or [], bounds.get("kinds") or []
    names = (pictures.get("holdings") or {}).get("client_names") or []
    return [
        [_at(names, k, f"client {k}"), _at(kinds, k, _DASH), *_figures(teacher)]
        for k, teacher in enumerate(teachers)
    ]


def _at(given: list[str], place: int, otherwise: str) -> str:
    return given[place] if place < len(given) else otherwise


def _figures(teacher: Mapping[str, Any] | None) -> list[str]:
    found = [(teacher or {}).get(key) for key in _KEYS]
    return [_DASH if value is None else f"{value:.3f}" for value in found]
