"""Students of a finished run, distilled as its server did, from answers that may be others.

Axes: K clients, P asked texts, C labels.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from torch import nn

from common.arrays import Floats
from common.places import cache_dir
from common.predictions import Ensemble, Predictions
from common.seeds import derive
from server.archive import open_reader
from server.distil import predict
from server.plan import open_classroom
from server.summing import summed_up
from server.teaching import Aim, Method
from simulations.attacks._heard import summed
from simulations.attacks._stores import FinishedRun
from simulations.examination import private_shelf

NOISED = "the server noises what its student learns, and students of shadow models do without"
_SIMULATED = frozenset({"bias", "num_examples", "labels"})


class School:
    """The server's way to learn, without its rounds: teachers are those of the first."""

    def __init__(self, run: FinishedRun) -> None:
        """Read what the student of a run may learn from."""
        self._run, config = run, run.experiment.server
        self._reader = open_reader(run.folder)
        features = self._reader.read(run.texts, cache_dir() / "features")
        room = open_classroom(run.folder, config, run.terms, features, self._reader)
        self._cost = config.geometry.build(run.terms.geometry)
        seed = derive(run.experiment.seed, "server")
        self._method = Method(config, room, self._cost, run.terms.num_clients, seed)

    def student(self, heard: Mapping[int, Predictions]) -> nn.Module:
        """What the server would have made of these answers in one round."""
        student, state = self._method.student(len(self._cost)), self._method.start()
        self._method.teach(student, self._aim(heard), self._cost, state, 1)
        return student

    def read(self, texts: Sequence[str]) -> Floats:
        """Private texts as the students read them, shape (P, D)."""
        return self._reader.read(texts, private_shelf())

    def accuracy(self, student: nn.Module) -> float:
        """On the run's test rows."""
        rows, corpus = self._run.parts.test, self._run.corpus
        said = predict(student, self.read([corpus.texts[row] for row in rows]))
        return float(np.mean(said.argmax(axis=1) == corpus.labels[rows]))

    def _aim(self, heard: Mapping[int, Predictions]) -> Aim:
        if self._run.terms.secure is not None:
            return summed_up(summed(self._run, list(heard.values())), self._run.terms)
        told = Ensemble.stack(dict(heard))
        return self._method.aim(told, self._cost, self._method.start())


def obstacle(run: FinishedRun) -> str | None:
    """Why students of this run cannot be distilled anew; None if they can."""
    if missing := run.experiment.server.weighting.needs - _SIMULATED:
        return f"the server weighs by {', '.join(sorted(missing))}, which shadow models do not say"
    if run.experiment.server.hiding is not None:
        return NOISED
    if run.experiment.clients.num_subclasses > 1:
        return "the student learns pseudo-subclasses, which shadow models do not say"
    return None


def comparable(run: FinishedRun) -> bool:
    """Whether a student of one round differs from the run's own in the answers alone."""
    return run.terms.num_rounds == 1 and obstacle(run) is None
