"""How long a run will take and how much memory it needs, guessed from a small rehearsal.

A few things are really done and timed (:mod:`simulations.rehearsal`): a few shared texts are
encoded, one teacher is fitted on as many rows as a client holds on average and, where clients go on
from what the server says back, refined; one client masks its words, where sums are secure; and a
student takes a few steps. The rest is multiplication, by the clients that are really asked in each
round. What is timed is the processor's time, so that other work on the machine while
it is timed does not count, and neither does it count for the run. Start-up and the report are a
constant, measured once on two cores.
"""

import os
from collections import Counter
from collections.abc import Iterable
from typing import Any

import psutil
import torch

from common.blanks import blanks
from common.masked import masked_length
from simulations.datasets import Corpus
from simulations.experiment import Experiment
from simulations.rehearsal import Rehearsal
from simulations.split import Split
from simulations.traffic import cohorts

_FIXED_SECONDS = 16.0
"""Starting Ray and three processes, grading, the report: nearly the same for every run."""
_FIXED_MB = 200.0
"""What Ray and Flower need in a worker beside our own."""
_MEGA = 1e6
_CODE, _NUMBER = 2, 4
"""Bytes of a code and of a number as the server holds them."""

Cohorts = list[frozenset[int]]


def estimate(experiment: Experiment, corpus: Corpus, parts: Split) -> dict[str, Any]:
    """Seconds by phase and megabytes of one process, on the ``ray`` back end of this machine.

    Nothing is taken from the caches, which can only make a run faster, and nobody drops out.

    Returns:
        ``seconds`` with ``fixed``, ``encode``, ``teachers``, ``refine`` and ``mask`` where a run
        has them, ``distil``, ``evaluate`` and ``total``; ``process_mb``, the memory of this
        process after the rehearsal and what Ray adds to it in a worker; ``server_mb``, the same
        with what the server holds of all clients of a round; ``workers``, how many processes
        share the clients.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as in every part of a run
    try:
        return _estimated(experiment, Rehearsal(experiment, corpus, parts))
    finally:
        torch.set_num_threads(threads)  # it is the caller's process


def _estimated(experiment: Experiment, rehearsal: Rehearsal) -> dict[str, Any]:
    asked, clients = cohorts(experiment), experiment.data.num_clients
    workers = min(os.cpu_count() or 1, clients)
    seconds = {"fixed": _FIXED_SECONDS, "encode": _encode(experiment, rehearsal, asked, workers)}
    seconds["teachers"] = _trained(rehearsal, frozenset[int]().union(*asked)) / workers
    if experiment.clients.refinement is not None:
        seconds["refine"] = sum(_trained(rehearsal, c, "refine") for c in asked[1:]) / workers
    if experiment.wire.secure_sum:
        seconds["mask"] = sum(len(c) * rehearsal.mask(len(c)) for c in asked) / workers
    sizes = Counter(map(len, asked))
    seconds["distil"] = sum(count * rehearsal.distil(size) for size, count in sizes.items())
    tested = rehearsal.per_text * len(rehearsal.parts.test)
    # The centralised bound is about as much work as all teachers one after the other.
    bounds = experiment.bounds * _trained(rehearsal, range(clients))
    seconds["evaluate"] = tested + bounds
    process = psutil.Process().memory_info().rss / _MEGA + _FIXED_MB
    return {
        "seconds": {phase: round(value, 2) for phase, value in seconds.items()}
        | {"total": round(sum(seconds.values()), 1)},
        "process_mb": round(process),
        "server_mb": round(process + _held(experiment, rehearsal, max(sizes)) / _MEGA),
        "workers": workers,
    }


def _encode(experiment: Experiment, rehearsal: Rehearsal, asked: Cohorts, workers: int) -> float:
    """Public texts once, private ones by the clients that are ever asked and read features."""
    parts = rehearsal.parts
    public = len(parts.transfer) + len(parts.validation) + len(blanks(experiment.clients.blanks))
    near = "familiarity" in experiment.disclosed
    ever = frozenset[int]().union(*asked)
    reading = sum(near or rehearsal.recipe(client).reads == "features" for client in ever)
    private = reading / len(parts.clients) * len(parts.private)
    return rehearsal.per_text * (public + private / workers)


def _trained(rehearsal: Rehearsal, clients: Iterable[int], what: str = "fit") -> float:
    """Of these clients, one after the other."""
    return float(sum(getattr(rehearsal.taken(client), what) for client in clients))


def _held(experiment: Experiment, rehearsal: Rehearsal, answers: int) -> int:
    """Bytes of what the largest round's clients say, and of what is made of it."""
    rows, labels = len(rehearsal.parts.transfer), rehearsal.labels
    if experiment.wire.secure_sum:
        return answers * masked_length(rows, labels)
    columns = labels * experiment.clients.num_subclasses
    targets = answers if experiment.server.aggregator.keeps_opinions else 1
    said, weights = _CODE * answers * rows * columns, _NUMBER * answers * rows
    return said + weights + _NUMBER * targets * rows * columns
