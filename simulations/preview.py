"""``fedknot plan``: who would hold what and what would cross, before anything is trained."""

from typing import Any

import numpy as np

from common.records import Flags, Layout
from simulations.experiment import Experiment
from simulations.pictures import holdings
from simulations.provision import divide


def preview(experiment: Experiment) -> dict[str, Any]:
    """Sizes, label counts, skew and bytes of an experiment.

    The skew of a client is the total variation distance, in [0, 1], between its label
    distribution and that of all private rows together.
    """
    corpus, parts = divide(experiment)
    num_labels = len(corpus.geometry)
    counts = np.array(holdings([corpus.labels[rows] for rows in parts.clients], num_labels))
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    overall = counts.sum(axis=0) / max(counts.sum(), 1)
    flags = Flags.none
    for name in experiment.disclosed:
        flags |= Flags[name]
    layout = Layout(len(parts.transfer), num_labels, experiment.wire.bits, flags, bytes(32))
    return {
        "labels": list(corpus.geometry.names),
        "rows": {
            "private": int(counts.sum()),
            "transfer": len(parts.transfer),
            "validation": len(parts.validation),
            "test": len(parts.test),
        },
        "clients": [
            {
                "client": client,
                "rows": int(row.sum()),
                "counts": row.tolist(),
                "skew": round(float(np.abs(share - overall).sum() / 2), 4),
            }
            for client, (row, share) in enumerate(zip(counts, shares, strict=True))
        ],
        "bytes_up_per_client_and_round": layout.length,
        "bytes_up": layout.length * experiment.data.num_clients * experiment.num_rounds,
    }


def table(plan: dict[str, Any], most: int = 40) -> list[str]:
    """The same for a person; shades stand for shares of a client's rows."""
    rows, clients = plan["rows"], plan["clients"]
    made = [
        f"{rows['private']} private rows on {len(clients)} clients, {rows['transfer']} shared "
        f"texts, {rows['validation']} validation, {rows['test']} test",
        f"each client sends {plan['bytes_up_per_client_and_round']:,} bytes a round",
        "",
        "client   rows   skew  " + "  ".join(f"{name[:12]:>12}" for name in plan["labels"]),
    ]
    for c in clients[:most]:
        cells = "  ".join(f"{n:>10} {_shade(n, c['rows'])}" for n in c["counts"])
        made.append(f"{c['client']:6}{c['rows']:7}{c['skew']:7.3f}  {cells}")
    if len(clients) > most:
        made.append(f"... and {len(clients) - most} more; --json lists all")
    return made


def _shade(count: int, total: int) -> str:
    return " .:-=+*#%@"[min(9, int(10 * count / max(total, 1)))]
