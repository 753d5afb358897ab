"""What could be had without the boundary: teachers, their ensemble, all data pooled.

Only the observer may ask: this opens the clients' stores.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from clients.store import Store
from clients.teachers import FittedTeacher
from common.arrays import Floats
from common.blanks import blanks
from common.encoders import Encoder, encode_cached
from common.labels import LabelGeometry
from common.places import cache_dir
from common.predictions import Ensemble, Predictions
from common.seeds import derive, stream
from server.aggregators.mean import Mean
from simulations.examination import Answers, Examination, Metrics
from simulations.experiment import Experiment


@dataclass(frozen=True, eq=False)
class Bounds:
    """Yardsticks of a run, on the test rows.

    Attributes:
        teachers: metrics of each client's teacher; None where a client has none.
        ensemble: metrics of the teachers' mean at test time, weighted as the run weighs.
        centralised: metrics of the clients' recipe on all private texts together.
        answers: what "centralised" and "ensemble" predicted.
    """

    teachers: list[Metrics | None]
    ensemble: Metrics
    centralised: Metrics
    answers: dict[str, Answers]

    @property
    def pooled(self) -> Floats:
        """Shape (M, C), the centralised model's predictions on the test rows."""
        return self.answers["centralised"][0]

    def table(self) -> dict[str, object]:
        """The ``bounds`` of ``summary.json``."""
        return {
            "centralised": self.centralised,
            "ensemble": self.ensemble,
            "teachers": self.teachers,
        }


def measure(
    experiment: Experiment, folder: Path, exam: Examination, encoder: Encoder
) -> Bounds | None:
    """Grade every yardstick of a served run folder; None if no client has a teacher."""
    stores = [Store(folder / "clients" / str(k)) for k in range(experiment.data.num_clients)]
    teachers = _teachers(experiment, stores, len(exam.geometry))
    if not teachers:
        return None
    quiet = encode_cached(encoder, blanks(experiment.clients.blanks), cache_dir() / "features")
    sizes = {k: len(stores[k].shard()[1]) for k in teachers}
    on_test, on_slice = (
        {k: _answer(t, rows, quiet, sizes[k]) for k, t in teachers.items()}
        for rows in (exam.features, exam.slice_features)
    )
    pooled = _centralised(experiment, stores, len(exam.geometry))
    together = (
        _together(experiment, on_test, exam.geometry),
        _together(experiment, on_slice, exam.geometry),
    )
    on_all = pooled.predict(exam.features), pooled.predict(exam.slice_features)
    return Bounds(
        teachers=[
            exam.grade(on_test[k].probs, on_slice[k].probs) if k in teachers else None
            for k in range(len(stores))
        ],
        ensemble=exam.grade(*together),
        centralised=exam.grade(*on_all),
        answers={"centralised": on_all, "ensemble": together},
    )


def _teachers(
    experiment: Experiment, stores: list[Store], num_labels: int
) -> dict[int, FittedTeacher]:
    recipe, tensors = experiment.clients.teacher, [store.teacher() for store in stores]
    return {k: recipe.restore(t, num_labels) for k, t in enumerate(tensors) if t is not None}


def _answer(teacher: FittedTeacher, features: Floats, quiet: Floats, size: int) -> Predictions:
    """What the client would have answered about these rows, unquantised."""
    bias = teacher.predict(quiet).astype(np.float64).mean(axis=0)
    return Predictions(teacher.predict(features), bias, size)


def _together(
    experiment: Experiment, answers: dict[int, Predictions], geometry: LabelGeometry
) -> Floats:
    """Shape (M, C): the answers' mean under the run's own weighting."""
    ensemble, weighting = Ensemble.stack(answers), experiment.server.weighting
    weights = weighting.weigh(ensemble, weighting.start(experiment.data.num_clients))
    mixture: Floats = Mean().combine(ensemble.probs, weights, geometry).probs[0]
    return mixture


def _centralised(experiment: Experiment, stores: list[Store], num_labels: int) -> FittedTeacher:
    held = [(f, s.shard()[1]) for s in stores if (f := s.features()) is not None]
    features, labels = (np.concatenate(part) for part in zip(*held, strict=True))
    rng = stream(derive(experiment.seed, "observer"), "centralised")
    return experiment.clients.teacher.fit(features, labels, num_labels, rng)
