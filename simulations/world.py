"""A finished run as a yardstick finds it: who holds what, and the rows that grade everything."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from torch import nn

from common.arrays import Floats, Ints
from common.configure import load
from common.encoders import Encoder
from common.failures import DataError
from common.metrics import evaluate
from common.seeds import derive, stream
from common.terms import Terms
from server.archive import open_reader, open_student
from server.distil import predict
from server.reading import Reader
from simulations.events import silent
from simulations.examination import Answers, Examination, Metrics, open_examination
from simulations.experiment import Experiment
from simulations.experiment_file import read
from simulations.opened import Opened, open_stores
from simulations.redivided import divide_again


@dataclass(frozen=True, eq=False)
class Grades:
    """Metrics of one model on the test rows.

    Attributes:
        raw: as they are; the temperatures are fitted on the public slice.
        fitted: at the temperature fitted for likelihood, without those that belong to one.
    """

    raw: Metrics
    fitted: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class World:
    """What a yardstick may use of a run that is over; only the observer has one.

    Attributes:
        experiment: of the run, with its seed.
        folder: of the run.
        exam: the test rows and the public slice, as the student reads them.
        opened: the clients' stores.
        reader: how the student is given texts.
    """

    experiment: Experiment
    folder: Path
    exam: Examination
    opened: Opened
    reader: Reader

    @cached_property
    def shards(self) -> dict[int, tuple[Floats, Ints]]:
        """Of each client that took part: rows (M, D) as the student reads them, labels (M,)."""
        found = {k: self._shard(k) for k in self.opened.teachers}
        return {k: shard for k, shard in found.items() if len(shard[1])}

    def student(self) -> nn.Module:
        """The run's own student before its first step: the same recipe, the same weights."""
        rng = stream(derive(self.experiment.seed, "server"), "student")
        width, labels = self.exam.inputs.shape[1], len(self.exam.geometry)
        return self.experiment.server.student.build(width, labels, rng)

    def distilled(self) -> nn.Module:
        """The run's own student after its last step."""
        return open_student(self.folder)

    def answers(self, model: nn.Module) -> Answers:
        """What a student's module predicts on the test rows and on the slice."""
        return predict(model, self.exam.inputs), predict(model, self.exam.slice_inputs)

    def grade(self, answers: Answers) -> Grades:
        """Grade a model as the observer grades the run's own student."""
        raw = self.exam.grade(*answers)
        temperature = raw["temperature"]
        assert temperature is not None, "the public slice fits one for every model"
        return Grades(raw, self.exam.warmed(answers[0], temperature))

    def on_slice(self, model: nn.Module) -> Metrics:
        """Metrics on the public slice, where nothing is fitted; for curves and for choices."""
        exam = self.exam
        probs = predict(model, exam.slice_inputs)
        return evaluate(probs, exam.slice_labels, exam.geometry, validation=None)

    def _shard(self, client: int) -> tuple[Floats, Ints]:
        store = self.opened.stores[client]
        texts, labels = store.shard()
        features = store.features() if self.experiment.server.student.reads == "features" else None
        # Nothing of private texts is put on a shelf.
        return self.reader.read(texts) if features is None else features, labels


def open_world(folder: Path) -> World:
    """Open a complete run folder with all its stores, as the observer does.

    Raises:
        FolderError: the run has left no student.
        DataError: the data set has changed since, or no client holds anything.
    """
    experiment, terms = read(str(folder / "experiment.toml")), Terms.read(folder / "terms.json")
    reader = open_reader(folder)
    exam = open_examination(folder, terms, *divide_again(folder, experiment), silent)
    encoder: Encoder = load(Encoder, dict(terms.encoder), "encoder")  # type: ignore[type-abstract]
    opened = open_stores(experiment, folder, exam, encoder)
    if not opened.teachers:
        raise DataError(f"{folder}: no client has a teacher, so nothing can be measured; run anew")
    return World(experiment, folder, exam, opened, reader)
