"""One finished run, learned from again: its released predictions, and an exam for every arm."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from common.arrays import Floats
from common.failures import FolderError
from common.labels import LabelGeometry
from common.metrics import at_temperature, evaluate
from common.places import cache_dir
from common.predictions import Ensemble
from common.reasons import Refused
from common.records import decode
from common.seeds import derive, stream
from common.terms import Terms
from common.transfer import TransferSet
from server.admission import predictions
from server.aggregators import Aggregator, Targets
from server.archive import open_reader
from server.distil import distil, predict
from server.students import fingerprint
from server.weightings import Weighting
from simulations.comparing.arms import Arm
from simulations.events import silent
from simulations.examination import Examination, Metrics, open_examination
from simulations.experiment import Experiment
from simulations.folder import summary_of
from simulations.provision import divide

_TEMPERATURES = {"fitted": "temperature", "sharpened": "sharpening_temperature"}


@dataclass(eq=False)
class Replay:
    """The server's view of one round, and the observer's test rows.

    Every arm starts from the run's own first weights and sees its batches, so that arms
    differ in nothing but what they are. Weights and targets are formed once for all arms.

    Attributes:
        experiment: of the run.
        ensemble: what the clients released.
        features: shape (N, D), of the transfer set, as the student reads it.
        exam: the test rows.
    """

    experiment: Experiment
    ensemble: Ensemble
    features: Floats
    exam: Examination
    _weights: dict[Weighting, Floats] = field(default_factory=dict)
    _targets: dict[tuple[Any, ...], Targets] = field(default_factory=dict)

    def learn(self, arm: Arm) -> nn.Module:
        """The student of one arm: what the run's own server would have trained.

        Raises:
            ConfigError: the arm cannot serve these labels, or training diverged.
        """
        server = derive(self.experiment.seed, "server")
        cost = arm.cost(self.exam.geometry)
        student = self.experiment.server.student.build(
            self.features.shape[1], len(cost), stream(server, "student")
        )
        distil(
            student,
            self.features,
            self._aimed(arm, cost),
            arm.loss,
            cost,
            self.experiment.server.schedule,
            stream(server, "distil", 1),
            refine=None if arm.geometry is None else arm.geometry.refine,
        )
        return student

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
        exam, warmed = self.exam, at_temperature(probs, temperature)
        found = evaluate(warmed, exam.labels, exam.geometry, validation=None, gold=exam.gold)
        return {key: value for key, value in found.items() if value is not None}

    def _aimed(self, arm: Arm, cost: LabelGeometry) -> Targets:
        key: tuple[Aggregator, Weighting, Any, Any]
        key = (arm.aggregator, arm.weighting, arm.geometry, arm.over)
        if key not in self._targets:
            weights = self._believed(arm.weighting)
            self._targets[key] = arm.aggregator.combine(self.ensemble.probs, weights, cost)
        return self._targets[key]

    def _believed(self, weighting: Weighting) -> Floats:
        if weighting not in self._weights:
            fresh = weighting.start(self.experiment.data.num_clients)
            self._weights[weighting] = weighting.weigh(self.ensemble, fresh)
        return self._weights[weighting]


def open_replay(folder: Path, experiment: Experiment) -> Replay:
    """Read a finished run.

    Raises:
        FolderError: its releases are not those of the run.
    """
    terms = Terms.read(folder / "terms.json")
    corpus, parts = divide(experiment)
    texts = TransferSet.read(folder / "transfer.jsonl", terms.transfer_sha256).texts
    return Replay(
        experiment,
        _released(folder, terms),
        open_reader(folder).read(texts, cache_dir() / "features"),
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
    return Ensemble.stack({k: predictions(r, terms.bits) for k, r in records.items()})
