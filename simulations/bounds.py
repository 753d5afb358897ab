"""What could be had without the boundary: teachers, their ensemble, all data pooled.

Only the observer may ask: this opens the clients' stores. What it finds there is what the
clients hold, corrupted where the experiment corrupts; so "centralised" is the best of the same
data in one place, noise included, and not of the clean data that nobody holds. The test rows
are clean. Where clients follow several recipes, "centralised" follows the first.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np

from clients.config import configured
from clients.store import Store
from clients.teachers import FittedTeacher, Inputs, Teacher
from common.arrays import Floats
from common.blanks import blanks
from common.configure import kind_of
from common.encoders import Encoder, encode_cached
from common.labels import LabelGeometry
from common.places import cache_dir
from common.predictions import Ensemble, Predictions
from common.seeds import derive, stream
from server.aggregators.mean import Mean
from simulations.examination import Answers, Examination, Metrics, private_shelf
from simulations.experiment import Experiment

Where = Literal["test", "slice", "quiet"]


@dataclass(frozen=True, eq=False)
class Bounds:
    """Yardsticks of a run, on the test rows.

    Attributes:
        teachers: metrics of each client's teacher; None where a client has none.
        ensemble: metrics of the teachers' mean at test time, weighted as the run weighs.
        centralised: metrics of the clients' recipe on all private texts together, with texts
            and labels as the clients hold them.
        answers: what "centralised" and "ensemble" predicted.
        kinds: of each client's teacher, in the order of the clients.
    """

    teachers: list[Metrics | None]
    ensemble: Metrics
    centralised: Metrics
    answers: dict[str, Answers]
    kinds: list[str]

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
            "kinds": self.kinds,
        }


def measure(
    experiment: Experiment, folder: Path, exam: Examination, encoder: Encoder
) -> Bounds | None:
    """Grade every yardstick of a served run folder; None if no client has a teacher."""
    stores = [Store(folder / "clients" / str(k)) for k in range(experiment.data.num_clients)]
    recipes, labels = [_recipe(store) for store in stores], len(exam.geometry)
    teachers = _teachers(recipes, stores, labels)
    if not teachers:
        return None
    room = _Room(exam, encoder, blanks(experiment.clients.blanks))
    sizes = {k: len(stores[k].shard()[1]) for k in teachers}
    on_test, on_slice = (
        {k: room.answer(recipes[k], t, where, sizes[k]) for k, t in teachers.items()}
        for where in ("test", "slice")
    )
    pooled = _centralised(experiment, recipes[0], stores, labels, encoder)
    together = (
        _together(experiment, on_test, exam.geometry),
        _together(experiment, on_slice, exam.geometry),
    )
    on_all = (
        pooled.predict(room.inputs(recipes[0], "test")),
        pooled.predict(room.inputs(recipes[0], "slice")),
    )
    return Bounds(
        teachers=[
            exam.grade(on_test[k].probs, on_slice[k].probs) if k in teachers else None
            for k in range(len(stores))
        ],
        ensemble=exam.grade(*together),
        centralised=exam.grade(*on_all),
        answers={"centralised": on_all, "ensemble": together},
        kinds=[kind_of(recipe) for recipe in recipes],
    )


@dataclass(frozen=True, eq=False)
class _Room:
    """Test rows, public slice and blanks, as a teacher of whatever kind wants them.

    Attributes:
        exam: the rows.
        encoder: of the run.
        quiet: the blanks.
    """

    exam: Examination
    encoder: Encoder
    quiet: tuple[str, ...]

    def answer(
        self, recipe: Teacher, teacher: FittedTeacher, where: Where, size: int
    ) -> Predictions:
        """What the client would have answered about these rows, unquantised."""
        bias = teacher.predict(self.inputs(recipe, "quiet")).astype(np.float64).mean(axis=0)
        return Predictions(teacher.predict(self.inputs(recipe, where)), bias, size)

    def inputs(self, recipe: Teacher, where: Where) -> Inputs:
        """Texts, or their features, as the recipe reads."""
        rows = {"test": self.exam.texts, "slice": self.exam.slice_texts, "quiet": self.quiet}
        return rows[where] if recipe.reads == "texts" else self._features[where]

    @cached_property
    def _features(self) -> dict[str, Floats]:
        public = cache_dir() / "features"
        return {
            "test": encode_cached(self.encoder, self.exam.texts, private_shelf()),
            "slice": encode_cached(self.encoder, self.exam.slice_texts, public),
            "quiet": encode_cached(self.encoder, self.quiet, public),
        }


def _recipe(store: Store) -> Teacher:
    """What this client was told to train."""
    about = store.about()
    return configured(about["config"]).of(int(about["client"]))


def _teachers(
    recipes: Sequence[Teacher], stores: Sequence[Store], num_labels: int
) -> dict[int, FittedTeacher]:
    tensors = [store.teacher() for store in stores]
    return {k: recipes[k].restore(t, num_labels) for k, t in enumerate(tensors) if t is not None}


def _together(
    experiment: Experiment, answers: dict[int, Predictions], geometry: LabelGeometry
) -> Floats:
    """Shape (M, C): the answers' mean under the run's own weighting."""
    ensemble, weighting = Ensemble.stack(answers), experiment.server.weighting
    weights = weighting.weigh(ensemble, weighting.start(experiment.data.num_clients))
    mixture: Floats = Mean().combine(ensemble.probs, weights, geometry).probs[0]
    return mixture


def _centralised(
    experiment: Experiment,
    recipe: Teacher,
    stores: Sequence[Store],
    num_labels: int,
    encoder: Encoder,
) -> FittedTeacher:
    """One recipe, the first where clients follow several, on everything in one place."""
    given = [(_held(store, recipe, encoder), store) for store in stores]
    held = [(inputs, store.shard()[1]) for inputs, store in given if inputs is not None]
    labels = np.concatenate([labels for _, labels in held])
    rng = stream(derive(experiment.seed, "observer"), "centralised")
    if recipe.reads == "texts":
        return recipe.fit([text for texts, _ in held for text in texts], labels, num_labels, rng)
    return recipe.fit(np.concatenate([rows for rows, _ in held]), labels, num_labels, rng)


def _held(store: Store, recipe: Teacher, encoder: Encoder) -> Inputs | None:
    """What a client that took part holds, as the recipe reads it; None of one that did not."""
    features = store.features()
    if features is not None and recipe.reads == "features":
        return features
    if store.teacher() is None:
        return None
    texts, _ = store.shard()
    return texts if recipe.reads == "texts" else encoder.encode(texts)
