"""One finished run, learned from again: its released predictions, and an exam for every arm."""

import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import nn

from common.arrays import Floats
from common.failures import FolderError
from common.labels import LabelGeometry
from common.places import cache_dir
from common.predictions import Ensemble
from common.reasons import Refused
from common.records import decode
from common.seeds import derive
from common.state import State
from common.terms import Terms
from common.transfer import TransferSet
from server.admission import predictions
from server.aggregators import Aggregator
from server.archive import open_reader
from server.distil import predict
from server.geometries.given import Given
from server.plan import open_classroom
from server.pretraining import Classroom
from server.students import fingerprint
from server.teaching import Aim, Method
from server.weightings import Weighting
from simulations.comparing.arms import Arm
from simulations.events import silent
from simulations.examination import Examination, Metrics, open_examination
from simulations.experiment import Experiment
from simulations.folder import summary_of
from simulations.redivided import divide_again

_TEMPERATURES = {"fitted": "temperature", "sharpened": "sharpening_temperature"}


@dataclass(eq=False)
class Replay:
    """The server's view of one round, and the observer's test rows.

    Every arm starts from the run's own first weights and sees its batches, so that arms
    differ in nothing but what they are. Weights and targets are formed once for all arms.

    Attributes:
        experiment: of the run.
        ensemble: what the clients released.
        room: the shared texts as the student reads them, and what else is public about them.
        exam: the test rows.
    """

    experiment: Experiment
    ensemble: Ensemble
    room: Classroom
    exam: Examination
    _aims: dict[tuple[Any, ...], Aim] = field(default_factory=dict)

    def learn(self, arm: Arm) -> nn.Module:
        """The student of one arm: what the run's own server would have trained.

        Raises:
            ConfigError: the arm cannot serve these labels, or training diverged.
        """
        cost = arm.cost(self.exam.geometry)
        method = self._method(arm, cost)
        student, state = method.student(len(cost)), method.start()
        method.teach(student, self._aimed(arm, method, cost, state), cost, state, 1)
        return student

    def _method(self, arm: Arm, cost: LabelGeometry) -> Method:
        experiment = self.experiment
        config = replace(
            experiment.server,
            loss=arm.loss,
            weighting=arm.weighting,
            aggregator=arm.aggregator,
            geometry=Given() if arm.geometry is None else arm.geometry,
        )
        seed, clients = derive(experiment.seed, "server"), experiment.data.num_clients
        subclasses = experiment.clients.num_subclasses
        return Method(config, self.room, cost, clients, seed, subclasses)

    def grade(self, student: nn.Module) -> dict[str, Any]:
        """Metrics on the test rows, raw and at both fitted temperatures; and the student's hash."""
        probs = predict(student, self.exam.inputs)
        raw = self.exam.grade(probs, predict(student, self.exam.slice_inputs))
        made: dict[str, Any] = {"student": fingerprint(student), "raw": raw}
        for name, key in _TEMPERATURES.items():
            made[name] = self._at(probs, raw[key])
        return made

    def _at(self, probs: Floats, temperature: float | None) -> Metrics:
        assert temperature is not None, "the public slice fits one for every arm"
        return dict(self.exam.warmed(probs, temperature))

    def _aimed(self, arm: Arm, method: Method, cost: LabelGeometry, state: State) -> Aim:
        key: tuple[Aggregator, Weighting, Any, Any]
        key = (arm.aggregator, arm.weighting, arm.geometry, arm.over)
        if key not in self._aims:
            self._aims[key] = method.aim(self.ensemble, cost, state)
        return self._aims[key]


def open_replay(folder: Path, experiment: Experiment) -> Replay:
    """Read a finished run.

    Raises:
        FolderError: its releases are not those of the run.
    """
    terms = Terms.read(folder / "terms.json")
    corpus, parts = divide_again(folder, experiment)
    texts = TransferSet.read(folder / "transfer.jsonl", terms.transfer_sha256).texts
    reader = open_reader(folder)
    features = reader.read(texts, cache_dir() / "features")
    return Replay(
        experiment,
        _released(folder, terms),
        open_classroom(folder, experiment.server, terms, features, reader),
        open_examination(folder, terms, corpus, parts, silent),
    )


def _released(folder: Path, terms: Terms) -> Ensemble:
    """What the clients gave away in the only round, checked against the run's own hash."""
    paths = {int(path.stem): path for path in (folder / "releases" / "1").glob("*.bin")}
    payloads = {client: paths[client].read_bytes() for client in sorted(paths)}
    digest = hashlib.sha256(b"".join(payloads.values())).hexdigest()
    if digest != summary_of(folder)["hashes"]["predictions"]:
        raise FolderError(f"{folder / 'releases'} has been changed; delete {folder} to run it anew")
    try:
        records = {k: decode(bytes_, terms.layout, 1, k) for k, bytes_ in payloads.items()}
    except Refused as refusal:
        raise FolderError(f"{folder / 'releases'} is damaged; delete {folder}") from refusal
    return Ensemble.stack(
        {k: predictions(r, terms.bits, terms.subclasses) for k, r in records.items()}
    )
