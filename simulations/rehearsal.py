"""A rehearsal: parts of a run that are really done, on few texts, and timed.

What is timed is the processor's time of this process, on one thread.
"""

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from clients.masking import mask, new_secret, public_key
from clients.refinements import Lesson
from clients.teachers import FittedTeacher, Teacher
from common.arrays import Floats
from common.encoders import resolve
from common.fixed_point import EXTRA
from common.labels import LabelGeometry
from common.rosters import Roster
from common.seeds import stream
from server.aggregators import Targets
from server.distil import distil
from server.heads import Headed, build
from server.subclasses import fine, heads_for
from simulations.datasets import Corpus
from simulations.experiment import Experiment
from simulations.split import Split

PROBE = 128
_STEPS = 20
_LONG = 2.0  # seconds; what takes longer is done once only
_MOST_OPINIONS = 64  # more teachers than that are not rehearsed; a step grows with their number


@dataclass(frozen=True)
class Taken:
    """Seconds of one client: to fit its teacher, and to refine it once."""

    fit: float
    refine: float


class Rehearsal:
    """The parts of one experiment, on this machine."""

    def __init__(self, experiment: Experiment, corpus: Corpus, parts: Split) -> None:
        """Encode a few texts."""
        self._experiment, self._corpus, self.parts = experiment, corpus, parts
        self.labels = len(corpus.geometry)
        self._encoder = resolve(experiment.clients.encoder)
        self._texts = self._some()
        self._encoder.encode(self._texts[:1])  # loads the model
        started = time.process_time()
        self._features: Floats = self._encoder.encode(self._texts)
        self.per_text = (time.process_time() - started) / len(self._texts)
        self._recipes = [recipe.resolved(self._encoder) for recipe in experiment.clients.recipes]
        self._timed = cache(self._timed_of)

    def recipe(self, client: int) -> Teacher:
        """Which teacher a client trains."""
        return self._recipes[self._experiment.clients.place(client)]

    def taken(self, client: int) -> Taken:
        """Seconds of a client, on a mean number of rows."""
        return self._timed(self._experiment.clients.place(client))

    def mask(self, members: int) -> float:
        """Seconds in which one of so many members of a secure sum masks its words."""
        own, other = new_secret(), new_secret()
        parties = [(0, public_key(own)), *((k, public_key(other)) for k in range(1, members))]
        roster = Roster(1, 1, bytes(32), tuple(parties))
        words = np.zeros((len(self.parts.transfer), self.labels + EXTRA), dtype=np.uint32)
        return _seconds(lambda: mask(words, own, 0, roster))

    def distil(self, clients: int) -> float:
        """Seconds of one round's steps, each on a whole batch of so many clients' opinions."""
        experiment, corpus = self._experiment, self._corpus
        server, rng, rows = experiment.server, self._rng(), self._batch()
        opinions = 1 if experiment.wire.secure_sum else min(clients, _MOST_OPINIONS)
        subclasses = experiment.clients.num_subclasses
        heads = heads_for(server, opinions, subclasses)
        geometry = server.geometry.build(corpus.geometry)
        geometry = geometry if heads is None else fine(geometry, subclasses)
        targets = self._targets(heads.number if heads else opinions, rows, geometry, heads is None)
        student = build(server.student, rows.shape[1], self.labels, heads, rng)
        pupil = student.taught_by(np.arange(opinions)) if isinstance(student, Headed) else student

        def take(steps: int) -> float:
            schedule = replace(server.schedule, steps=steps)
            return _seconds(
                lambda: distil(pupil, rows, targets, server.loss, geometry, schedule, rng)
            )

        take(1)  # loads the solver
        steps = min(_STEPS, server.schedule.steps)
        grown = clients / opinions if len(targets.probs) == opinions > 1 else 1.0
        return take(steps) / steps * server.schedule.steps * grown

    def _some(self) -> list[str]:
        """Shared texts, evenly spread."""
        places = np.linspace(0, len(self.parts.transfer) - 1, PROBE).astype(np.int64)
        return [self._corpus.texts[row] for row in self.parts.transfer[places]]

    def _timed_of(self, number: int) -> Taken:
        """One teacher; which rows does not matter for the time."""
        recipe, parts, rng = self._recipes[number], self.parts, self._rng()
        size = max(1, len(parts.private) // len(parts.clients))
        inputs, labels = self._read(recipe, size), self._corpus.labels[parts.private[:size]]
        refinement, made = self._experiment.clients.refinement, list[FittedTeacher]()
        fit = _again(lambda: made.append(recipe.fit(inputs, labels, self.labels, rng)))
        if refinement is None:
            return Taken(fit, 0.0)
        shared = self._read(recipe, len(parts.transfer))
        consensus = np.full((len(parts.transfer), self.labels), 1 / self.labels)
        lesson, plan = Lesson(shared, consensus, inputs, labels), refinement.plan()
        return Taken(fit, _again(lambda: recipe.refine(made[-1], lesson, plan, rng)))

    def _read(self, recipe: Teacher, size: int) -> Any:
        """So many texts or features, of the few that there are."""
        rows = np.arange(size) % len(self._texts)
        reads = recipe.reads == "features"
        return self._features[rows] if reads else [self._texts[row] for row in rows]

    def _batch(self) -> Floats:
        """What a student reads in one step."""
        server = self._experiment.server
        with tempfile.TemporaryDirectory(prefix="fedknot-plan-") as shelf:
            reader = server.student.reader(self._encoder, self._texts)
            read = reader.read(self._texts, Path(shelf))
        rows: Floats = np.resize(read, (server.schedule.batch_size, read.shape[1]))
        return rows

    def _targets(
        self, opinions: int, rows: Floats, geometry: LabelGeometry, merged: bool
    ) -> Targets:
        """Of so many opinions drawn at random; ``merged`` as the aggregator would."""
        size, aggregator = len(rows), self._experiment.server.aggregator
        probs = self._rng().dirichlet(np.ones(len(geometry)), (opinions, size))
        weights = np.full((opinions, size), 1 / opinions)
        if merged and opinions > 1:
            return aggregator.combine(probs, weights, geometry)
        return Targets(probs.astype(np.float32), weights.astype(np.float32))

    def _rng(self) -> np.random.Generator:
        return stream(self._experiment.seed, "rehearsal")


def _again(act: Callable[[], object]) -> float:
    """Seconds of a second call, for the first one also loads libraries."""
    first = _seconds(act)
    return first if first > _LONG else _seconds(act)


def _seconds(act: Callable[[], object]) -> float:
    """Processor time of one call."""
    started = time.process_time()
    act()
    return time.process_time() - started
