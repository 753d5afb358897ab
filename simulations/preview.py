"""``fedknot plan``: who would hold what and what would cross, before anything is trained."""

from typing import Any

import numpy as np

from common.configure import kind_of
from common.transfer import TransferSet
from simulations.corruptions import Shard
from simulations.datasets import Corpus
from simulations.experiment import Experiment
from simulations.hiding import expected_noise
from simulations.pictures import holdings
from simulations.provision import divide, terms_of
from simulations.shards import corrupted, shards
from simulations.skew import (
    copies,
    effective_labels,
    label_transport,
    label_tv,
    size_gini,
    vocabulary_overlap,
)
from simulations.split import Split
from simulations.traffic import loads, traffic

_MOST_COMPARED = 2000
"""Shared texts that are held against all others, evenly spread; exact up to here."""


def preview(experiment: Experiment, rehearsed: bool = False) -> dict[str, Any]:
    """Sizes, label counts, skew, overlap and bytes of an experiment, by what clients hold.

    Args:
        experiment: to be looked at; nothing of it is run but for the rehearsal.
        rehearsed: whether to estimate time and memory, by :func:`simulations.estimate.estimate`.

    Returns:
        A table for JSON. What the measures mean is in :mod:`simulations.skew`; ``skew`` of a
        client is the total variation distance of its labels to those of all clients together.
    """
    corpus, parts = divide(experiment)
    held = list(shards(experiment, corpus, parts))
    num_labels = len(corpus.geometry)
    counts = np.array(holdings([shard.labels for shard in held], num_labels))
    shared = TransferSet(tuple(corpus.texts[row] for row in parts.transfer))
    rounds = loads(experiment, terms_of(experiment, corpus, shared, experiment.clients.encoder))
    made = {
        "labels": list(corpus.geometry.names),
        "labels_without_rows": _without_rows(corpus),
        "rows": {
            "private": int(counts.sum()),
            "transfer": len(parts.transfer),
            "validation": len(parts.validation),
            "test": len(parts.test),
        },
        "clients": _clients(experiment, corpus, parts, held, counts),
        "size_gini": round(size_gini(counts.sum(axis=1)), 4),
        "overlap": _overlap(corpus, parts, held),
        **traffic(rounds),
    }
    if (noise := expected_noise(experiment, len(parts.transfer))) is not None:
        made["hiding"] = noise
    if rehearsed:
        from simulations.estimate import estimate

        made["estimate"] = estimate(experiment, corpus, parts)
    return made


def _without_rows(corpus: Corpus) -> list[str]:
    """Labels that nobody has, in no part: misspelt perhaps, or not in this data."""
    counts = np.bincount(corpus.labels, minlength=len(corpus.geometry))
    return [name for name, count in zip(corpus.geometry.names, counts, strict=True) if not count]


def _clients(
    experiment: Experiment, corpus: Corpus, parts: Split, held: list[Shard], counts: Any
) -> list[dict[str, Any]]:
    transfer = [corpus.texts[row] for row in parts.transfer]
    spoken = vocabulary_overlap([shard.texts for shard in held], transfer)
    columns = {
        "skew": label_tv(counts),
        "transport": label_transport(counts, corpus.geometry),
        "effective_labels": effective_labels(counts),
        "words_shared_with_transfer": spoken.transfer,
        "words_shared_with_rest": spoken.rest,
    }
    what = list(zip(experiment.data.corruptions, corrupted(experiment), strict=True))
    return [
        {"client": client, "rows": int(row.sum()), "counts": row.tolist()}
        | {name: round(float(values[client]), 4) for name, values in columns.items()}
        | {"corruptions": [kind_of(one) for one, hit in what if client in hit]}
        for client, row in enumerate(counts)
    ]


def _overlap(corpus: Corpus, parts: Split, held: list[Shard]) -> dict[str, Any]:
    """How many of the shared texts somebody else has, too."""
    size = len(parts.transfer)
    places = np.unique(np.linspace(0, size - 1, min(size, _MOST_COMPARED)).astype(np.int64))
    looked_at = [corpus.texts[row] for row in parts.transfer[places]]
    others = {
        "private": [text for shard in held for text in shard.texts],
        "test": [corpus.texts[row] for row in parts.test],
    }
    found = {name: copies(looked_at, texts) for name, texts in others.items()}
    return {"texts_compared": len(looked_at)} | {
        name: {"exact": both.exact, "near": both.near} for name, both in found.items()
    }


def table(plan: dict[str, Any], most: int = 40) -> list[str]:
    """The same for a person; shades stand for shares of a client's rows."""
    rows, clients = plan["rows"], plan["clients"]
    made = [
        f"{rows['private']} private rows on {len(clients)} clients, {rows['transfer']} shared "
        f"texts, {rows['validation']} validation, {rows['test']} test",
        *_sent(plan),
        *_warnings(plan),
        "",
        "client   rows   skew  transport  labels  words  "
        + "  ".join(f"{name[:12]:>12}" for name in plan["labels"]),
    ]
    for c in clients[:most]:
        cells = "  ".join(f"{n:>10} {_shade(n, c['rows'])}" for n in c["counts"])
        hit = f"  {' + '.join(c['corruptions'])}" if c["corruptions"] else ""
        made.append(
            f"{c['client']:6}{c['rows']:7}{c['skew']:7.3f}{c['transport']:11.3f}"
            f"{c['effective_labels']:8.2f}{c['words_shared_with_transfer']:7.2f}  {cells}{hit}"
        )
    if len(clients) > most:
        made.append(f"... and {len(clients) - most} more; --json lists all")
    return [*made, "", *_below(plan)]


def _warnings(plan: dict[str, Any]) -> list[str]:
    absent = plan["labels_without_rows"]
    named = ", ".join(map(repr, absent))
    rows = f"warning: no row of the data set has the label {named}; "
    return [rows + "check data.dataset.labels, or leave it out"] if absent else []


def _sent(plan: dict[str, Any]) -> list[str]:
    """Bytes of one client, and messages of all."""
    rounds, clients = plan["rounds"], len(plan["clients"])
    told = []
    for title, verb in (("up", "sends"), ("down", "gets")):
        most, total = plan[f"bytes_{title}_per_client_and_round"], plan[f"bytes_{title}_per_client"]
        same = all(one[title] == most for one in rounds)
        line = f"each client {verb} {most:,} bytes a round" + ("" if same else " at most")
        told.append(line if len(rounds) == 1 else f"{line}, {total:,} bytes in all")
    asked = sum(one["asked"] for one in rounds) / len(rounds)
    if asked < clients:
        ever = plan["clients_asked"]
        told.append(f"a round asks {asked:g} of {clients} clients, all together {ever} of them")
    down = sum(row["messages"] for row in plan["crossing"]["down"])
    up = sum(row["messages"] for row in plan["crossing"]["up"])
    rest = "" if up == plan["messages"] else f" ({plan['messages']:,} of them answers)"
    told.append(f"if nobody drops out, {up:,} messages come up{rest} and {down:,} go down")
    return told


def _below(plan: dict[str, Any]) -> list[str]:
    """What is one number for all clients, and what the columns are."""
    shared, clients = plan["overlap"], plan["clients"]
    mean = {key: np.mean([c[key] for c in clients]) for key in ("skew", "transport")}
    told = [
        f"mean skew {mean['skew']:.3f} (total variation), transport {mean['transport']:.3f} (in "
        f"label distance), Gini of sizes {plan['size_gini']:.3f}",
        "labels: effective number (exp of entropy); words: overlap with the shared texts (Jaccard)",
        f"of {shared['texts_compared']} shared texts, {shared['private']['exact']} are also "
        f"private ({shared['private']['near']} nearly), {shared['test']['exact']} also test "
        f"({shared['test']['near']} nearly)",
    ]
    if "hiding" in plan:
        told.append(f"a trusted server hides whole clients: {plan['hiding']}")
    if "estimate" in plan:
        guess = plan["estimate"]
        phases = ", ".join(f"{name} {s:.1f}" for name, s in guess["seconds"].items())
        told.append(f"estimate, from a rehearsal on this machine, in seconds: {phases}")
        told.append(
            f"estimate of memory: {guess['process_mb']} MB for each of {guess['workers']} workers, "
            f"{guess['server_mb']} MB for the server"
        )
    return told


def _shade(count: int, total: int) -> str:
    return " .:-=+*#%@"[min(9, int(10 * count / max(total, 1)))]
