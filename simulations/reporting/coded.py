"""The report's table of what a coder would have sent."""

from pathlib import Path
from typing import Any

from common.reasons import Refused
from common.terms import Terms
from simulations.delta_coding import coded

MOST_CODED = 50
"""Clients whose messages are counted; `fedknot inspect` counts all."""


def coded_rows(folder: Path) -> list[dict[str, Any]]:
    """Of the first clients, :func:`simulations.delta_coding.coded`.

    Empty where messages were not kept, or are damaged: what lies there is judged elsewhere.
    """
    try:
        terms = Terms.read(folder / "terms.json")
        return coded(folder, terms, range(min(terms.num_clients, MOST_CODED)))
    except (OSError, ValueError, KeyError, TypeError, Refused):
        return []
