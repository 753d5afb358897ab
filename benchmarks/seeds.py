"""How much do the figures of quickstart move with the seed, and what does each arm buy?

    python benchmarks/seeds.py --seeds 0,1,2,3,4 [--experiment NAME] [--set TOML] [--jsonl FILE]

Every arm of one seed learns from the same released predictions: the first arm is a whole
run (inline, the same bits as on Ray), the others distil anew from its `releases/`. Prints
mean and standard deviation over seeds of accuracy, macro-F1, semantic distance (macro), W1
to the gold label, ECE, the temperature fitted for likelihood, and the semantic distance at
that temperature: a lower distance that a temperature also gives is sharpening, not
geometry. `permuted` is transport over label coordinates in a shuffled order.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from common.encoders import encode_cached
from common.labels import LabelGeometry
from common.places import cache_dir
from common.predictions import Ensemble, Predictions
from common.records import decode
from common.seeds import derive, stream
from common.terms import Terms
from common.transfer import TransferSet
from server.admission import predictions
from server.aggregators import Aggregator
from server.aggregators.keep_all import KeepAll
from server.aggregators.mean import Mean
from server.distil import distil, predict
from server.losses import DistillationLoss
from server.losses.kl import Kl
from server.losses.sinkhorn import Sinkhorn
from server.losses.symmetric_kl import SymmetricKl
from server.losses.transport import Transport
from server.weightings import Weighting
from server.weightings.knot import Knot
from server.weightings.uniform import Uniform
from simulations.events import silent
from simulations.examination import open_examination
from simulations.experiment import Experiment, read
from simulations.provision import divide
from simulations.runner import execute

KEYS = (
    "accuracy",
    "macro_f1",
    "semantic_distance",
    "w1",
    "ece",
    "temperature",
    "semantic_distance_at_temperature",
)
SHORT = ("accuracy", "macro-F1", "SD", "W1", "ECE", "T", "SD at T")

# What the arms vary is fixed in the run that they are compared with.
FIXED = (
    "bounds = true; num_rounds = 1; server.loss = 'transport'",
    "server.weighting = 'knot'; server.aggregator = 'keep_all'",
)

Arm = tuple[Weighting, Aggregator, DistillationLoss]
ARMS: dict[str, Arm] = {
    "uniform, KL to the mean": (Uniform(), Mean(), Kl()),
    "uniform, transport": (Uniform(), KeepAll(), Transport()),
    "knot, KL": (Knot(), KeepAll(), Kl()),
    "knot, symmetric KL": (Knot(), KeepAll(), SymmetricKl()),
    "knot, transport": (Knot(), KeepAll(), Transport()),
    "knot, transport, permuted": (Knot(), KeepAll(), Sinkhorn(epsilon=0.01, sweeps=200)),
    "knot, sinkhorn": (Knot(), KeepAll(), Sinkhorn()),
    "knot (symmetric KL), transport": (Knot(distance="symmetric_kl"), KeepAll(), Transport()),
    "knot (symmetric KL), sinkhorn": (Knot(distance="symmetric_kl"), KeepAll(), Sinkhorn()),
}


def main() -> None:
    """Run the arms on every seed and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", default="0,1,2,3,4")
    parser.add_argument("--experiment", default="quickstart")
    parser.add_argument("--set", action="append", default=[], dest="overrides")
    parser.add_argument("--jsonl", type=Path)
    words = parser.parse_args()
    torch.set_num_threads(1)
    rows: dict[str, list[dict[str, Any]]] = {}
    for seed in map(int, words.seeds.split(",")):
        experiment = read(words.experiment, [*words.overrides, *FIXED], seed)
        for name, metrics in one_seed(experiment).items():
            rows.setdefault(name, []).append(metrics)
        print(f"seed {seed} done", file=sys.stderr)
    print(f"{'mean and deviation over ' + str(len(words.seeds.split(','))) + ' seeds':34}", end="")
    print("".join(f"{key:>15}" for key in SHORT))
    for name, measured in rows.items():
        table = np.array([[m[key] for key in KEYS] for m in measured], dtype=float)
        spread = table.std(axis=0, ddof=1) if len(table) > 1 else np.zeros(len(KEYS))
        cells = (f"{m:8.3f} ±{s:5.3f}" for m, s in zip(table.mean(axis=0), spread, strict=True))
        print(f"{name:34}" + "".join(f"{cell:>15}" for cell in cells))
    _print_pairs(rows)
    if words.jsonl:
        words.jsonl.write_text(json.dumps(rows) + "\n")


def _print_pairs(rows: dict[str, list[dict[str, Any]]]) -> None:
    """What transport changes against each control, seed by seed."""
    print("\nknot, transport minus the control, in pairs: accuracy, SD, SD at T")
    for control in ("knot, KL", "knot, symmetric KL", "knot, transport, permuted"):
        pairs = list(zip(rows["knot, transport"], rows[control], strict=True))
        cells = []
        for key in ("accuracy", "semantic_distance", "semantic_distance_at_temperature"):
            gaps = np.array([one[key] - other[key] for one, other in pairs])
            spread = gaps.std(ddof=1) if len(gaps) > 1 else 0.0
            cells.append(f"{gaps.mean():+8.3f} ±{spread:5.3f} ({(gaps < 0).sum()} lower)")
        print(f"{control:34}" + "  ".join(cells))


def one_seed(experiment: Experiment) -> dict[str, dict[str, Any]]:
    """Metrics on the test rows of every arm and bound, for one seed."""
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home) / "run"
        execute(experiment, "seeds", out=folder, backend="inline", address=None, progress=silent)
        summary = json.loads((folder / "summary.json").read_text())
        rows = {name: arm(experiment, folder, name) for name in ARMS}
    check = rows["knot, transport"]["semantic_distance"]
    assert check == summary["student"]["semantic_distance"], "an arm differs from the run itself"
    teachers = summary["bounds"]["teachers"]
    mean = {key: float(np.mean([t[key] for t in teachers])) for key in KEYS}
    bounds = {name: summary["bounds"][name] for name in ("ensemble", "centralised")}
    return {"mean teacher": mean, **rows, **bounds}


def arm(experiment: Experiment, folder: Path, name: str) -> dict[str, Any]:
    """Distil one arm from the released predictions of a run and grade it."""
    weighting, aggregator, loss = ARMS[name]
    terms = Terms.read(folder / "terms.json")
    corpus, parts = divide(experiment)
    exam = open_examination(folder, terms, corpus, parts, silent)
    texts = TransferSet.read(folder / "transfer.jsonl", terms.transfer_sha256).texts
    features = encode_cached(experiment.clients.encoder, texts, cache_dir() / "features")
    ensemble = Ensemble.stack(_released(folder, terms))
    weights = weighting.weigh(ensemble, weighting.start(terms.num_clients))
    server = derive(experiment.seed, "server")
    student = experiment.server.student.build(
        features.shape[1], len(terms.labels), stream(server, "student")
    )
    geometry = _permuted(exam.geometry) if "permuted" in name else exam.geometry
    distil(
        student,
        features,
        aggregator.combine(ensemble.probs, weights),
        loss,
        geometry,
        experiment.server.schedule,
        stream(server, "distil", 1),
    )
    return exam.grade(predict(student, exam.features), predict(student, exam.slice_features))


def _permuted(geometry: LabelGeometry) -> LabelGeometry:
    """The control: the same coordinates, dealt to the labels in another order."""
    size = len(geometry)
    order = np.concatenate([np.arange(size)[1::2], np.arange(size)[::2]])[::-1]
    return LabelGeometry(
        geometry.names, geometry.points[order], geometry.cost[np.ix_(order, order)]
    )


def _released(folder: Path, terms: Terms) -> dict[int, Predictions]:
    paths = sorted((folder / "releases" / "1").glob("*.bin"))
    records = {int(p.stem): decode(p.read_bytes(), terms.layout, 1, int(p.stem)) for p in paths}
    return {client: predictions(record, terms.bits) for client, record in records.items()}


if __name__ == "__main__":
    main()
