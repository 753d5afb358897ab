"""``fedknot bench scale``: more and more clients; what they cost, and how that grows."""

import json
import math
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Any, Final

from common.failures import ConfigError
from common.files import read_json, read_lines
from simulations.benches._command import COMMAND
from simulations.benches._gauge import Sample
from simulations.benches._processes import DRIVER, WORKER
from simulations.benches._promises import OF_WORLDS, PER_CLIENT, THOUSAND, kept, short, verdicts
from simulations.benches._scale_world import NAME, overrides
from simulations.benches._watched import Watched, temporary, watched
from simulations.events import Progress

SAMPLE_SECONDS: Final = 0.25

FIGURES: Final = {
    "start_seconds": "start-up [s]",
    "teachers_seconds": "teachers [s]",
    "round_seconds": "a round [s]",
    "driver_cpu_seconds": "its driver CPU [s]",
    "driver_peak_mb": "driver [MB]",
    "worker_peak_mb": "worker [MB]",
    "workers_peak_mb": "all workers [MB]",
    "total_seconds": "whole run [s]",
}
"""What is measured for each K, and how it is called in the table."""

_SERVE = "serve"


def scale_bench(
    clients: Sequence[int],
    backend: str,
    report: Progress,
    *,
    work: str = "trivial",
    rounds: int = 10,
    every: float | None = None,
    command: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Run the same world with more and more clients, each run in processes of its own.

    Args:
        clients: the K, ascending.
        backend: "ray" or "inline", where server and clients are one process.
        report: told ("<K> clients", rounds that have ended, rounds).
        work: what a client does, see :mod:`simulations.benches._scale_world`.
        rounds: of every run, at least two; the first holds encoding and training.
        every: seconds between two samples; None for :data:`SAMPLE_SECONDS`.
        command: how ``fedknot`` is called; None for :data:`COMMAND`.

    Returns:
        ``runs``: one table for each K with :data:`FIGURES`, None where one cannot be had;
        ``growth``: see :func:`growth`; ``floors``: see :func:`floors`.

    Raises:
        ConfigError: the K do not ascend from 1 on, or there are too few rounds.
        Failure: a run fails or hangs.
    """
    if not clients or min(clients) < 1 or any(a >= b for a, b in pairwise(clients)):
        raise ConfigError("--clients must ascend from 1 on; write for example 10,100,1000")
    if rounds < 2:
        raise ConfigError(f"--rounds is {rounds}; write at least 2, for the first one is left out")
    runs = []
    for count in clients:
        words = [NAME, "--backend", backend, "--set", overrides(work, count, rounds)]
        told = partial(_told, report, f"{count} clients", rounds)
        with temporary("scale") as home:
            seen = watched(words, home, command or COMMAND, every or SAMPLE_SECONDS, told)
            runs.append({"clients": count} | _figures(seen))
    return {
        "schema": 1,
        "plan": {"work": work, "backend": backend, "rounds": rounds, "clients": list(clients)},
        "runs": runs,
        "growth": growth(runs),
        "floors": floors(runs, work),
    }


def counts(text: str) -> list[int]:
    """The K of a list such as ``10,100,1000``.

    Raises:
        ConfigError: it is no such list.
    """
    try:
        return [int(word) for word in text.split(",")]
    except ValueError:
        raise ConfigError(f"--clients is {text!r}; write for example 10,100,1000") from None


def growth(runs: Sequence[dict[str, Any]]) -> dict[str, dict[str, float | None]]:
    """How each figure grows with K.

    Args:
        runs: with ``clients`` and :data:`FIGURES`, K ascending.

    Returns:
        For each figure ``per_client``, the mean increment per client between the least and
        the most clients, and ``exponent``, the slope of log(figure) over log(K) between the
        two largest K: 1 is in proportion to K, 0 not at all. None where there is none.
    """
    return {name: _growth([(run["clients"], run[name]) for run in runs]) for name in FIGURES}


def floors(runs: Sequence[dict[str, Any]], work: str) -> list[dict[str, Any]]:
    """What is promised for 1,000 clients, and what was found; see :func:`kept`."""
    run = next((run for run in runs if run["clients"] == THOUSAND), None)
    if run is None:
        return kept(OF_WORLDS[work], None)
    fewer = [r for r in runs if r["clients"] <= THOUSAND]
    per_client = growth(fewer)["driver_peak_mb"]["per_client"]
    return kept(
        OF_WORLDS[work], run | {PER_CLIENT: None if per_client is None else per_client * 1e3}
    )


def lines(made: dict[str, Any]) -> list[str]:
    """The same for a person."""
    runs, grown = made["runs"], made["growth"]
    head = "".join(f"{run['clients']:>10,}" for run in runs)
    shown = [
        "{work} clients, {backend}, {rounds} rounds".format(**made["plan"]),
        "",
        f"{'clients':20}{head}{'per client':>14}{'exponent':>10}",
    ]
    for name, title in FIGURES.items():
        values = "".join(f"{short(run[name]):>10}" for run in runs)
        step, power = (short(grown[name][key]) for key in ("per_client", "exponent"))
        shown.append(f"{title:20}{values}{step:>14}{power:>10}")
    return shown + verdicts(made["floors"])


def _told(report: Progress, phase: str, rounds: int, done: int) -> None:
    report(phase, done, rounds)


def _figures(seen: Watched) -> dict[str, float | None]:
    """What one run cost, without its first round, in which there is training."""
    summary = read_json(seen.folder / "summary.json")
    seconds, memory = summary["seconds"], summary["memory"]
    later = [line["seconds"] for line in read_lines(seen.folder / "rounds.jsonl")][1:]
    made = {
        "start_seconds": _asked(seen.folder)
        - seen.called
        - seconds["encode"]
        - seconds["teachers"],
        "teachers_seconds": seconds["teachers"],
        "round_seconds": fmean(later),
        "driver_cpu_seconds": cpu_per_round(seen.samples),
        "driver_peak_mb": memory["driver_peak_mb"],
        "worker_peak_mb": memory["worker_peak_mb"],
        "workers_peak_mb": max((s.rss_kb / 1e3 for s in _of(seen.samples, WORKER)), default=None),
        "total_seconds": seen.seconds,
    }
    return {name: None if value is None else round(value, 4) for name, value in made.items()}


def _asked(folder: Path) -> float:
    """When the first question went down, in seconds since the epoch."""
    with (folder / "audit" / "server.jsonl").open() as log:
        return datetime.fromisoformat(json.loads(next(log))["time"]).timestamp()


def cpu_per_round(samples: Sequence[Sample]) -> float | None:
    """CPU seconds of the process with the server, between the ends of two rounds.

    Args:
        samples: of all processes, in the order of time.

    Returns:
        A mean over all rounds that lie between, the first round left out. A round's end is
        seen a sample late, at both ends alike. None if no round lies between.
    """
    driver = _of(samples, _SERVE) or _of(samples, DRIVER)
    ends: dict[int, float] = {}
    for sample in driver:
        ends.setdefault(sample.round, sample.cpu_seconds)
    ends.pop(0, None)
    if len(ends) < 2:
        return None
    first, last = min(ends), max(ends)
    return (ends[last] - ends[first]) / (last - first)


def _of(samples: Sequence[Sample], kind: str) -> list[Sample]:
    return [sample for sample in samples if sample.kind == kind]


def _growth(points: Sequence[tuple[int, float | None]]) -> dict[str, float | None]:
    known = [(count, value) for count, value in points if value is not None]
    if len(known) < 2:
        return {"per_client": None, "exponent": None}
    (least, low), (most, high) = known[0], known[-1]
    (before, a), (last, b) = known[-2:]
    power = math.log(b / a) / math.log(last / before) if a > 0 and b > 0 else None
    return {"per_client": (high - low) / (most - least), "exponent": power}
