"""The report's table of what the clients' own models became."""

from collections.abc import Mapping
from typing import Any

_KEYS = ("accuracy", "semantic_distance")


def personal_rows(summary: Mapping[str, Any], pictures: Mapping[str, Any]) -> list[list[str]]:
    """One row a client: name, times refined, then figures before and after.

    Figures are accuracy and semantic distance, on all test texts and on those of the client's
    own group, each as "before → after"; a dash where there is none. Empty where the run had no
    feedback or was not asked for bounds.
    """
    names = (pictures.get("holdings") or {}).get("client_names") or []
    return [
        [_name(names, row["client"]), str(row["refined"]), *_pairs(row), *_pairs(row.get("own"))]
        for row in summary.get("personal") or []
    ]


def _name(names: list[str], client: int) -> str:
    return names[client] if client < len(names) else f"client {client}"


def _pairs(row: Mapping[str, Any] | None) -> list[str]:
    if not row:
        return ["\N{EN DASH}"] * len(_KEYS)
    return [f"{row['before'][key]:.3f} → {row['after'][key]:.3f}" for key in _KEYS]
