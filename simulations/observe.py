"""The third process: after the last round, open what nobody else may, measure and report."""

import time
from pathlib import Path
from typing import Any

import numpy as np

from common.arrays import Floats, Ints
from common.configure import load
from common.encoders import Encoder
from common.files import write_json
from common.intervals import DRAWS, LEVEL
from common.seeds import derive, stream
from common.sites import forget
from common.terms import Terms
from server.archive import open_student
from server.distil import predict
from simulations.bounds import Bounds, measure
from simulations.datasets import Corpus
from simulations.diagnostics import diagnose
from simulations.environment import describe
from simulations.events import Progress
from simulations.examination import Answers, Examination, Intervals, Metrics, open_examination
from simulations.experiment_file import read
from simulations.folder import read_call
from simulations.opened import open_stores
from simulations.personal import before_and_after
from simulations.pictures import confusion, expected_position, holdings, reliability
from simulations.privacy_report import privacy_report
from simulations.redivided import divide_again
from simulations.reporting.report import write_report
from simulations.shards import shards
from simulations.split import Split
from simulations.summary import complete


def observe(folder: Path, progress: Progress) -> None:
    """Measure a served run folder; write pictures, report and, last, the summary."""
    started = time.monotonic()
    experiment, terms = read(str(folder / "experiment.toml")), Terms.read(folder / "terms.json")
    forget(terms.site)  # the run has ended: its clients are asked nothing more
    corpus, parts = divide_again(folder, experiment)
    exam = open_examination(folder, terms, corpus, parts, progress)
    student = open_student(folder)
    answers = predict(student, exam.inputs), predict(student, exam.slice_inputs)
    metrics = exam.grade(*answers)
    encoder: Encoder = load(Encoder, dict(terms.encoder), "encoder")  # type: ignore[type-abstract]
    bounds = measure(experiment, folder, exam, encoder) if experiment.bounds else None
    names = _names(corpus, parts)
    pictures = _pictures(exam, answers[0], metrics, bounds, names)
    held = [shard.labels for shard in shards(experiment, corpus, parts)]
    counts = holdings(held, len(exam.geometry))
    pictures["holdings"] = {"clients": counts, "client_names": names}
    pictures["diagnostics"] = diagnose(folder, terms, experiment.server, student)
    write_json(folder / "pictures.json", pictures)
    write_json(folder / "environment.json", describe())
    call, table = read_call(folder), None if bounds is None else bounds.table()
    intervals = _intervals(experiment.seed, exam, answers, bounds)
    summary = complete(folder, experiment, metrics, table, call, intervals)
    if experiment.bounds and experiment.server.feedback is not None:
        opened = open_stores(experiment, folder, exam, encoder)
        summary["personal"] = before_and_after(opened, corpus, parts)
    summary["seconds"]["evaluate"] = round(time.monotonic() - started, 3)
    # Only the wall clock is the same in all processes of a run, and it may have been set back.
    since = max(time.time() - call["started"], summary["seconds"]["evaluate"])
    summary["seconds"]["total"] = round(since, 3)
    write_json(folder / "privacy.json", privacy_report(folder, summary))
    write_report(folder, summary)
    write_json(folder / "summary.json", summary)
    progress("evaluate", 1, 1)


def _pictures(
    exam: Examination, probs: Floats, metrics: Metrics, bounds: Bounds | None, names: list[str]
) -> dict[str, Any]:
    """The numbers behind the report's figures."""
    geometry, labels = exam.geometry, exam.labels
    made: dict[str, Any] = {
        "labels": list(geometry.names),
        "positions": geometry.points[:, 0].tolist() if geometry.is_line else None,
        "confusion": confusion(probs, labels, len(geometry)),
        "expected_position": expected_position(probs, labels, geometry),
        "reliability": {"student": reliability(probs, labels)},
        "student": _pair(metrics),
    }
    if (human := exam.one_rater()) is not None:
        made["human"] = human
    if bounds is not None:
        told = _with_kinds(names, bounds.kinds)
        graded = [(n, m) for n, m in zip(told, bounds.teachers, strict=True) if m is not None]
        made["teachers"] = [{"name": name, **_pair(m)} for name, m in graded]
        made["reliability"]["centralised"] = reliability(bounds.pooled, labels)
    return made


def _intervals(
    seed: int, exam: Examination, student: Answers, bounds: Bounds | None
) -> dict[str, Any]:
    """The ``intervals`` of ``summary.json``: every arm on the same resampled test rows."""

    def drawn(answers: Answers) -> Intervals:
        return exam.intervals(*answers, stream(derive(seed, "observer"), "bootstrap"))

    yardsticks = None if bounds is None else bounds.answers
    return {
        "level": LEVEL,
        "draws": DRAWS,
        "student": drawn(student),
        "bounds": yardsticks and {name: drawn(answers) for name, answers in yardsticks.items()},
    }


def _pair(metrics: Metrics) -> Metrics:
    return {key: metrics[key] for key in ("accuracy", "semantic_distance")}


def _names(corpus: Corpus, parts: Split) -> list[str]:
    """A client is named by its group where it holds rows of only one."""
    held: list[Ints] = [np.unique(corpus.groups[rows]) for rows in parts.clients]
    return [
        f"client {client}" + (f" ({corpus.group_names[of[0]]})" if len(of) == 1 else "")
        for client, of in enumerate(held)
    ]


def _with_kinds(names: list[str], kinds: list[str]) -> list[str]:
    """Clients are told apart by what they train only where they train different things."""
    if len(set(kinds)) == 1:
        return names
    return [f"{name}, {kind}" for name, kind in zip(names, kinds, strict=True)]
