"""What the observer finds in the clients' stores, and what it would be worth without the boundary.

Only the observer may ask. What a client holds is what it was given, corrupted where the
experiment corrupts; so "pooled" is the best of the same data in one place, noise included,
and not of the clean data that nobody holds. Where clients follow several recipes, "pooled"
follows the first.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from clients.config import configured
from clients.store import Store
from clients.teachers import FittedTeacher, Inputs, Teacher
from common.arrays import Floats
from common.biases import Bias, biased_towards
from common.blanks import blanks
from common.encoders import Encoder, encode_cached
from common.places import cache_dir
from common.predictions import UNKNOWN, Ensemble, Predictions
from common.seeds import derive, stream
from server.aggregators.mean import Mean
from server.weightings.uniform import Uniform
from simulations.examination import Answers, Examination, private_shelf
from simulations.experiment import Experiment
from simulations.public_labels import PublicLabels, read_public_labels

Where = Literal["test", "slice", "quiet", "known"]


@dataclass(frozen=True, eq=False)
class Opened:
    """The stores of a run whose last round is over.

    Attributes:
        experiment: of the run.
        exam: the test rows and the public slice.
        encoder: of the run.
        stores: of clients 0 .. K-1.
        recipes: what each client was told to train.
        known: shared texts whose labels are public.
    """

    experiment: Experiment
    exam: Examination
    encoder: Encoder
    stores: tuple[Store, ...]
    recipes: tuple[Teacher, ...]
    known: PublicLabels

    @cached_property
    def teachers(self) -> dict[int, FittedTeacher]:
        """Of the clients that have one."""
        tensors = {k: store.teacher() for k, store in enumerate(self.stores)}
        labels = len(self.exam.geometry)
        return {k: self.recipes[k].restore(t, labels) for k, t in tensors.items() if t is not None}

    def alone(self) -> dict[int, Answers]:
        """What each client's own teacher predicts."""
        return {
            k: (self._on["test"][k].probs, self._on["slice"][k].probs) for k in self._on["test"]
        }

    def together(self) -> Answers:
        """The teachers' mean at test time, under the run's weighting where it goes text by text.

        All weigh the same where weights are learned while the student learns (``govern``,
        ``gate``, ``reinforced``), or come from many unlabelled texts (``exp_guard``).
        """
        return self._mixed("test"), self._mixed("slice")

    def pooled(self) -> Answers:
        """What one recipe predicts, trained on everything that clients hold, in one place."""
        model, recipe = self._centralised(), self.recipes[0]
        test, public = (
            model.predict(self._room.inputs(recipe, where)) for where in ("test", "slice")
        )
        return test, public

    def predicted(self, client: int, tensors: dict[str, Any]) -> Answers:
        """What a stored teacher of a client predicts, of whatever round."""
        recipe, exam = self.recipes[client], self.exam
        teacher = recipe.restore(tensors, len(exam.geometry))
        test, public = (
            teacher.predict(self._room.inputs(recipe, where)) for where in ("test", "slice")
        )
        return test, public

    @cached_property
    def _room(self) -> "_Room":
        clients, known = self.experiment.clients, self.known.texts
        return _Room(self.exam, self.encoder, blanks(clients.blanks), known, clients.bias)

    @cached_property
    def _on(self) -> dict[Where, dict[int, Predictions]]:
        """The teachers' answers about the test rows, and about the slice."""
        return {"test": self._answers("test"), "slice": self._answers("slice")}

    def _answers(self, where: Where) -> dict[int, Predictions]:
        sizes = {k: len(self.stores[k].shard()[1]) for k in self.teachers}
        return {
            k: self._room.answer(self.recipes[k], teacher, where, sizes[k])
            for k, teacher in self.teachers.items()
        }

    def _mixed(self, where: Where) -> Floats:
        """Shape (M, C): the answers' mean under the run's own weighting.

        Where it goes by known labels, those of the shared texts stand before the rows, as in the
        run; the rows' own labels are never looked at. A rule over many texts without labels would
        find its weights in the rows themselves, which are there to be graded: then all are equal.
        """
        weighting, labels = self.experiment.server.weighting, None
        if weighting.sees_all_samples and "labels" not in weighting.needs:
            weighting = Uniform()
        asked: tuple[Where, ...] = (where,)
        if "labels" in weighting.needs and len(self.known.labels):
            asked = ("known", where)
        parts = [self._ensemble(part) for part in asked]
        probs = np.concatenate([part.probs for part in parts], axis=1)
        behind = probs.shape[1] - parts[-1].probs.shape[1]
        if behind:
            labels = np.full(probs.shape[1], UNKNOWN, dtype=np.int64)
            labels[:behind] = self.known.labels
        whole = replace(parts[-1], probs=probs, labels=labels)
        weights = weighting.weigh(whole, weighting.start(self.experiment.data.num_clients))
        mean = Mean().combine(parts[-1].probs, weights[:, behind:], self.exam.geometry)
        mixture: Floats = mean.probs[0]
        return mixture

    def _ensemble(self, where: Where) -> Ensemble:
        """What all would have said about these rows, how near they are to it among it."""
        answers = self._on[where] if where in self._on else self._answers(where)
        if "familiarity" not in self.experiment.disclosed:
            return Ensemble.stack(answers)
        near = {k: self._room.distances(self.stores[k], where) for k in answers}
        return Ensemble.stack({k: replace(said, scalar=near[k]) for k, said in answers.items()})

    def _centralised(self) -> FittedTeacher:
        """One recipe, the first where clients follow several, on everything in one place."""
        recipe, num_labels = self.recipes[0], len(self.exam.geometry)
        given = [(_held(store, recipe, self.encoder), store) for store in self.stores]
        held = [(inputs, store.shard()[1]) for inputs, store in given if inputs is not None]
        labels = np.concatenate([labels for _, labels in held])
        rng = stream(derive(self.experiment.seed, "observer"), "centralised")
        if recipe.reads == "texts":
            texts = [text for texts, _ in held for text in texts]
            return recipe.fit(texts, labels, num_labels, rng)
        return recipe.fit(np.concatenate([rows for rows, _ in held]), labels, num_labels, rng)


def open_stores(
    experiment: Experiment, folder: Path, exam: Examination, encoder: Encoder
) -> Opened:
    """Open every client's store of a served run folder."""
    clients = range(experiment.data.num_clients)
    stores = tuple(Store(folder / "clients" / str(k)) for k in clients)
    recipes, known = tuple(map(_recipe, stores)), read_public_labels(folder)
    return Opened(experiment, exam, encoder, stores, recipes, known)


@dataclass(frozen=True, eq=False)
class _Room:
    """Test rows, public slice and blanks, as a teacher of whatever kind wants them.

    Attributes:
        exam: the rows.
        encoder: of the run.
        quiet: the blanks.
        known: shared texts whose labels are public.
        bias: what is said of the blanks.
    """

    exam: Examination
    encoder: Encoder
    quiet: Sequence[str]
    known: Sequence[str]
    bias: Bias

    def answer(
        self, recipe: Teacher, teacher: FittedTeacher, where: Where, size: int
    ) -> Predictions:
        """What the client would have answered about these rows, unquantised."""
        bias = biased_towards(teacher.predict(self.inputs(recipe, "quiet")), self.bias)
        return Predictions(teacher.predict(self.inputs(recipe, where)), bias, size)

    def inputs(self, recipe: Teacher, where: Where) -> Inputs:
        """Texts, or their features, as the recipe reads."""
        exam = self.exam
        rows: dict[Where, Sequence[str]] = {
            "test": exam.texts,
            "slice": exam.slice_texts,
            "quiet": self.quiet,
            "known": self.known,
        }
        return rows[where] if recipe.reads == "texts" else self._features[where]

    def distances(self, store: Store, where: Where) -> Floats:
        """What the client would have declared of these rows, unquantised, shape (M,)."""
        private = store.features()
        if private is None:
            private = self.encoder.encode(store.shard()[0])
        told = configured(store.about()["config"]).familiarity
        return told.distances(self._features[where], private)

    @cached_property
    def _features(self) -> dict[str, Floats]:
        public = cache_dir() / "features"
        shared = {"quiet": self.quiet} | ({"known": self.known} if self.known else {})
        return {
            "test": encode_cached(self.encoder, self.exam.texts, private_shelf()),
            "slice": encode_cached(self.encoder, self.exam.slice_texts, public),
        } | {name: encode_cached(self.encoder, texts, public) for name, texts in shared.items()}


def _recipe(store: Store) -> Teacher:
    """What this client was told to train."""
    about = store.about()
    return configured(about["config"]).of(int(about["client"]))


def _held(store: Store, recipe: Teacher, encoder: Encoder) -> Inputs | None:
    """What a client that took part holds, as the recipe reads it; None of one that did not."""
    features = store.features()
    if features is not None and recipe.reads == "features":
        return features
    if store.teacher() is None:
        return None
    texts, _ = store.shard()
    return texts if recipe.reads == "texts" else encoder.encode(texts)
