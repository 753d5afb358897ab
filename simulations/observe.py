"""The third process: after the last round, open what nobody else may and measure.

It alone reads the test rows and, for the bounds, the clients' stores.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from clients.client import ClientConfig
from clients.store import Store
from common.arrays import Floats, Ints
from common.blanks import blanks
from common.configure import load
from common.encoders import Encoder, encode_cached
from common.failures import DataError
from common.files import read_json, read_lines, write_json
from common.labels import LabelGeometry
from common.metrics import evaluate
from common.places import cache_dir
from common.predictions import Ensemble, Predictions
from common.seeds import derive, stream
from common.sites import forget
from common.terms import Terms
from server.aggregators.mean import Mean
from server.archive import open_student
from server.distil import predict
from simulations.environment import describe
from simulations.events import Progress
from simulations.experiment import Experiment, read
from simulations.folder import read_call
from simulations.pictures import confusion, expected_position, holdings, reliability
from simulations.provision import divide
from simulations.report import write_report
from simulations.split import Split
from simulations.summary import complete

Metrics = dict[str, float | None]


@dataclass(frozen=True, eq=False)
class Examination:
    """The rows on which everything is measured.

    Attributes:
        geometry: the labels.
        features: shape (M, D), of the test texts.
        labels: shape (M,).
        gold: shape (M, C), the raters' distributions, or None.
        slice_features: shape (V, D), of the public validation texts.
        slice_labels: shape (V,).
    """

    geometry: LabelGeometry
    features: Floats
    labels: Ints
    gold: Floats | None
    slice_features: Floats
    slice_labels: Ints

    def grade(self, probs: Floats, on_slice: Floats) -> Metrics:
        """All metrics of predictions on the test rows; temperatures fitted on the slice."""
        return evaluate(
            probs,
            self.labels,
            self.geometry,
            validation=(on_slice, self.slice_labels),
            gold=self.gold,
        )


def observe(folder: Path, progress: Progress) -> None:
    """Measure a served run folder; write pictures, report and, last, the summary."""
    started = time.monotonic()
    experiment = read(str(folder / "experiment.toml"))
    terms = Terms.read(folder / "terms.json")
    forget(terms.site)
    encoder: Encoder = load(Encoder, dict(terms.encoder), "encoder")  # type: ignore[type-abstract]
    corpus, parts = divide(experiment)
    _check_same(folder, parts)
    texts = [corpus.texts[row] for row in parts.test]
    shelf = cache_dir() / "features"
    slice_texts = [row["text"] for row in read_lines(folder / "validation.jsonl")]
    exam = Examination(
        geometry=terms.geometry,
        features=encode_cached(encoder, texts, shelf, lambda d, n: progress("evaluate", d, n)),
        labels=corpus.labels[parts.test],
        gold=None if corpus.gold is None else corpus.gold[parts.test],
        slice_features=encode_cached(encoder, slice_texts, shelf),
        slice_labels=corpus.labels[parts.validation],
    )
    student = open_student(folder)
    probs = predict(student, exam.features)
    metrics = exam.grade(probs, predict(student, exam.slice_features))
    bounds = _Bounds(experiment, folder, exam, encoder) if experiment.bounds else None
    pictures = _pictures(exam, probs, metrics, corpus.labels, parts)
    pictures["holdings"]["client_names"] = _names(corpus.group_names, corpus.groups, parts)
    measured = None
    if bounds is not None:
        measured, teachers, curve = bounds.measure()
        pictures["teachers"], pictures["reliability"]["centralised"] = teachers, curve
    write_json(folder / "pictures.json", pictures)
    write_json(folder / "environment.json", describe())
    call = read_call(folder)
    summary = complete(folder, experiment, metrics, measured, time.monotonic() - started, call)
    write_report(folder, summary)
    summary["seconds"]["total"] = round(time.time() - call["started"], 3)
    write_json(folder / "summary.json", summary)
    progress("evaluate", 1, 1)


class _Bounds:
    """What could be had without the boundary: teachers, their ensemble, all data pooled."""

    def __init__(
        self, experiment: Experiment, folder: Path, exam: Examination, encoder: Encoder
    ) -> None:
        self._experiment, self._exam = experiment, exam
        self._config: ClientConfig = experiment.clients
        self._stores = [
            Store(folder / "clients" / str(k)) for k in range(experiment.data.num_clients)
        ]
        names = blanks(experiment.clients.blanks)
        self._blank_features = encode_cached(encoder, names, cache_dir() / "features")

    def measure(self) -> tuple[dict[str, Any], list[dict[str, Any]], dict[str, Any]]:
        """The ``bounds`` of the summary; for the pictures, teachers and pooled reliability."""
        exam, num_labels = self._exam, len(self._exam.geometry)
        on_test: dict[int, Predictions] = {}
        on_slice: dict[int, Predictions] = {}
        for client, store in enumerate(self._stores):
            tensors = store.teacher()
            if tensors is None:
                continue
            teacher = self._config.teacher.restore(tensors, num_labels)
            bias = teacher.predict(self._blank_features).astype(np.float64).mean(axis=0)
            size = len(store.shard()[1])
            on_test[client] = Predictions(teacher.predict(exam.features), bias, size)
            on_slice[client] = Predictions(teacher.predict(exam.slice_features), bias, size)
        teachers = [
            exam.grade(on_test[c].probs, on_slice[c].probs) if c in on_test else None
            for c in range(len(self._stores))
        ]
        together = self._together(on_test), self._together(on_slice)
        pooled = self._centralised(num_labels)
        bounds = {
            "centralised": exam.grade(*pooled),
            "ensemble": exam.grade(*together),
            "teachers": teachers,
        }
        listed = [
            {"name": f"client {c}", **_pair(graded)}
            for c, graded in enumerate(teachers)
            if graded is not None
        ]
        return bounds, listed, reliability(pooled[0], exam.labels)

    def _together(self, answers: dict[int, Predictions]) -> Floats:
        """The teachers' weighted mean at test time, weighted as the run weights them."""
        ensemble = Ensemble.stack(answers)
        weighting = self._experiment.server.weighting
        weights = weighting.weigh(ensemble, weighting.start(len(self._stores)))
        together: Floats = Mean().combine(ensemble.probs, weights).probs[0]
        return together

    def _centralised(self, num_labels: int) -> tuple[Floats, Floats]:
        """The clients' own teacher recipe, fitted on all private texts together."""
        features = [f for store in self._stores if (f := store.features()) is not None]
        labels = [s.shard()[1] for s in self._stores if s.features() is not None]
        rng = stream(derive(self._experiment.seed, "observer"), "centralised")
        pooled = self._config.teacher.fit(
            np.concatenate(features), np.concatenate(labels), num_labels, rng
        )
        return pooled.predict(self._exam.features), pooled.predict(self._exam.slice_features)


def _pictures(
    exam: Examination, probs: Floats, metrics: Metrics, labels: Ints, parts: Split
) -> dict[str, Any]:
    num_labels = len(exam.geometry)
    line = exam.geometry.points[:, 0].tolist() if exam.geometry.is_line else None
    made: dict[str, Any] = {
        "labels": list(exam.geometry.names),
        "positions": line,
        "holdings": {"clients": holdings([labels[r] for r in parts.clients], num_labels)},
        "confusion": confusion(probs, exam.labels, num_labels),
        "expected_position": expected_position(probs, exam.labels, exam.geometry),
        "reliability": {"student": reliability(probs, exam.labels)},
        "student": _pair(metrics),
    }
    if exam.gold is not None:
        made["human"] = _one_rater(exam.gold, exam.labels, exam.geometry)
    return made


def _one_rater(gold: Floats, labels: Ints, geometry: LabelGeometry) -> dict[str, float]:
    """What to expect of one more human: a label drawn from the raters' distribution."""
    away = np.linalg.norm(geometry.points[None] - geometry.points[labels][:, None], axis=2)
    expected = (gold * away).sum(axis=1)
    per_class = [expected[labels == c].mean() for c in np.unique(labels)]
    hit = gold[np.arange(len(labels)), labels].mean()
    return {"accuracy": float(hit), "semantic_distance": float(np.mean(per_class))}


def _pair(metrics: Metrics) -> Metrics:
    return {key: metrics[key] for key in ("accuracy", "semantic_distance")}


def _names(group_names: tuple[str, ...], groups: Ints, parts: Split) -> list[str]:
    """A client is named by its group where it holds rows of only one."""
    names = []
    for client, rows in enumerate(parts.clients):
        held = np.unique(groups[rows])
        only = f" ({group_names[held[0]]})" if len(held) == 1 else ""
        names.append(f"client {client}{only}")
    return names


def _check_same(folder: Path, parts: Split) -> None:
    """The data must still split as it did when the stores were made."""
    if read_json(folder / "split.json")["test"] != parts.test.tolist():
        raise DataError("the data set has changed since this run was provisioned; run it anew")
