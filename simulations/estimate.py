"""How long a run will take and how much memory it needs, guessed from a small rehearsal.

Three things are really done and timed: a few shared texts are encoded, one teacher is fitted
on as many rows as a client holds on average, and a student takes a few steps. The rest is
multiplication. What is timed is the processor's time, so that other work on the machine while
it is timed does not count, and neither does it count for the run. Start-up and the report are a
constant, measured once on two cores.
"""

import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch

from clients.teachers import Teacher
from common.arrays import Floats
from common.blanks import blanks
from common.encoders import Encoder, resolve
from common.labels import LabelGeometry
from common.seeds import stream
from server.distil import distil
from simulations.datasets import Corpus
from simulations.experiment import Experiment
from simulations.split import Split

Probe = tuple[list[str], Floats]
"""A few texts and their features."""

PROBE = 128
_STEPS = 20
_LONG = 2.0  # seconds; what takes longer is done once only
_FIXED_SECONDS = 16.0
"""Starting Ray and three processes, grading, the report: nearly the same for every run."""
_FIXED_MB = 200.0
"""What Ray and Flower need in a worker beside our own."""
_MOST_OPINIONS = 64  # more teachers than that are not rehearsed; a step grows with their number


def estimate(experiment: Experiment, corpus: Corpus, parts: Split) -> dict[str, Any]:
    """Seconds by phase and megabytes of one process, on the ``ray`` back end of this machine.

    Nothing is taken from the caches, which can only make a run faster.

    Returns:
        ``seconds`` with ``fixed``, ``encode``, ``teachers``, ``distil``, ``evaluate`` and
        ``total``; ``process_mb``, the memory of this process after the rehearsal and what Ray
        adds to it in a worker; ``workers``, how many processes share the clients.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as in every part of a run
    try:
        return _rehearse(experiment, corpus, parts)
    finally:
        torch.set_num_threads(threads)  # it is the caller's process


def _rehearse(experiment: Experiment, corpus: Corpus, parts: Split) -> dict[str, Any]:
    workers = min(os.cpu_count() or 1, len(parts.clients))
    encoder = resolve(experiment.clients.encoder)
    texts = _some(corpus, parts)
    encoder.encode(texts[:1])  # loads the model
    started = time.process_time()
    probe = texts, encoder.encode(texts)
    per_text = (time.process_time() - started) / len(texts)
    recipes = [recipe.resolved(encoder) for recipe in experiment.clients.recipes]
    followers = np.bincount(np.arange(len(parts.clients)) % len(recipes), minlength=len(recipes))
    taken = [_fit_seconds(recipe, experiment.seed, probe, corpus, parts) for recipe in recipes]
    fits = float(followers @ taken)
    public = len(parts.transfer) + len(parts.validation) + len(blanks(experiment.clients.blanks))
    near = "familiarity" in experiment.disclosed
    read = [near or recipe.reads == "features" for recipe in recipes]
    reading = float(followers @ read) / len(parts.clients)
    seconds: dict[str, float] = {
        "fixed": _FIXED_SECONDS,
        "encode": per_text * (public + reading * len(parts.private) / workers),
        "teachers": fits / workers,
        "distil": experiment.num_rounds * _distil_seconds(experiment, encoder, texts, corpus),
        # The centralised bound is about as much work as all teachers one after the other.
        "evaluate": per_text * len(parts.test) + experiment.bounds * fits,
    }
    return {
        "seconds": {phase: round(value, 2) for phase, value in seconds.items()}
        | {"total": round(sum(seconds.values()), 1)},
        "process_mb": round(psutil.Process().memory_info().rss / 1e6 + _FIXED_MB),
        "workers": workers,
    }


def _seconds(act: Callable[[], object]) -> float:
    """Processor time of one call."""
    started = time.process_time()
    act()
    return time.process_time() - started


def _some(corpus: Corpus, parts: Split) -> list[str]:
    """Shared texts, evenly spread."""
    places = np.linspace(0, len(parts.transfer) - 1, PROBE).astype(np.int64)
    return [corpus.texts[row] for row in parts.transfer[places]]


def _fit_seconds(recipe: Teacher, seed: int, probe: Probe, corpus: Corpus, parts: Split) -> float:
    """One teacher, on a mean number of rows; which rows does not matter for the time."""
    texts, features = probe
    size = max(1, len(parts.private) // len(parts.clients))
    rows, labels = np.arange(size) % len(texts), corpus.labels[parts.private[:size]]
    inputs = features[rows] if recipe.reads == "features" else [texts[row] for row in rows]

    def fit() -> object:
        return recipe.fit(inputs, labels, len(corpus.geometry), stream(seed, "rehearsal"))

    first = _seconds(fit)  # which also loads libraries
    return first if first > _LONG else _seconds(fit)


def _distil_seconds(
    experiment: Experiment, encoder: Encoder, texts: list[str], corpus: Corpus
) -> float:
    """One round's steps, each on a whole batch and as many opinions as there are clients."""
    server, rng = experiment.server, stream(experiment.seed, "rehearsal")
    with tempfile.TemporaryDirectory(prefix="fedknot-plan-") as shelf:
        read = server.student.reader(encoder, texts).read(texts, Path(shelf))
    rows: Floats = np.resize(read, (server.schedule.batch_size, read.shape[1]))
    geometry: LabelGeometry = server.geometry.build(corpus.geometry)
    opinions = min(experiment.data.num_clients, _MOST_OPINIONS)
    probs = rng.dirichlet(np.ones(len(geometry)), (opinions, len(rows)))
    weights = np.full((opinions, len(rows)), 1 / opinions)
    targets = server.aggregator.combine(probs, weights, geometry)
    student = server.student.build(rows.shape[1], len(geometry), rng)

    def take(steps: int) -> float:
        schedule = replace(server.schedule, steps=steps)
        return _seconds(
            lambda: distil(student, rows, targets, server.loss, geometry, schedule, rng)
        )

    take(1)  # loads the solver
    steps = min(_STEPS, server.schedule.steps)
    seconds = take(steps)
    grown = experiment.data.num_clients / opinions if len(targets.probs) == opinions else 1.0
    return seconds / steps * server.schedule.steps * grown
