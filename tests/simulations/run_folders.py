"""Run folders as a run leaves them behind, without running anything."""

import numpy as np

from common import files
from common.intervals import bootstrap
from common.labels import LabelGeometry
from common.metrics import METRICS, evaluate
from common.seeds import stream
from simulations import pictures

NAMES = ("very negative", "negative", "neutral", "positive", "very positive")
STARS = LabelGeometry.ordinal(NAMES, (-2.2, -1.0, 0.0, 1.0, 2.2))
SITES = ("tweets", "products", "films", "news")
EXPERIMENT = """\
num_rounds = 1
seed = 7
disclose = []

[data]
dataset = "vader"
num_clients = 4

[server]
loss = { kind = "transport" }
weighting = { kind = "knot", distance = "l2" }

[wire]
bits = 8
"""


def arm(skill, samples=1600, seed=0):
    """Labels (N,) and predictions (N, 5) of somebody who knows the labels this well."""
    rng = stream(seed, "arm")
    labels = rng.choice(5, size=samples, p=(0.2, 0.18, 0.2, 0.17, 0.25))
    place = STARS.points[labels, 0] * skill + rng.normal(scale=0.8, size=samples)
    logits = -((place[:, None] - STARS.points[:, 0]) ** 2) * 1.1
    probs = np.exp(logits - logits.max(axis=1, keepdims=True))
    return labels, probs / probs.sum(axis=1, keepdims=True)


def scored(skill, seed=0):
    labels, probs = arm(skill, seed=seed)
    held_out = arm(skill, 200, seed + 100)
    return evaluate(probs, labels, STARS, validation=held_out[::-1], gold=np.eye(5)[labels])


def spread(skill):
    labels, probs = arm(skill)
    held_out, gold = arm(skill, 200, 100)[::-1], np.eye(5)[labels]
    rng = stream(0, "spread")
    return bootstrap(probs, labels, STARS, validation=held_out, gold=gold, draws=200, rng=rng)


def complete(folder, clients=4, teachers=True, seed=0):
    """A run that went well; returns its folder."""
    labels, probs = arm(0.72)
    skills = stream(seed, "skills").uniform(0.25, 0.55, size=clients)
    bounds = [scored(skill, seed=k + 1) for k, skill in enumerate(skills)]
    names = [*SITES, *(f"client {k}" for k in range(4, clients))][:clients]
    summary = skeleton("complete", clients) | {
        "student": scored(0.72),
        "bounds": {
            "centralised": scored(0.85),
            "ensemble": scored(0.75),
            "teachers": bounds if teachers else [],
        },
        "intervals": {
            "level": 0.95,
            "draws": 200,
            "student": spread(0.72),
            "bounds": {"centralised": spread(0.85), "ensemble": spread(0.75)},
        },
        "wire": {
            "bytes_up": 10_156 * clients,
            "envelope_up": 12_000 * clients,
            "bytes_down": 44 * clients,
            "bytes_up_per_client": 10_156,
            "fedavg_bytes_per_client": 199_720,
            "messages": clients,
            "rejected": 0,
        },
        "seconds": dict(
            zip(
                ("start", "encode", "teachers", "predict", "aggregate", "distil", "evaluate"),
                (6.1, 21.4, 3.2, 0.6, 0.02, 5.5, 1.3),
                strict=True,
            )
        )
        | {"total": 38.1},
        "memory": {"driver_peak_mb": 612.3, "worker_peak_mb": 843.9},
        "clients": {"asked": clients, "answered": clients, "lost": 0, "quarantined": 0},
        "hashes": {"student": "ab" * 32, "predictions": "cd" * 32, "transfer_set": "ef" * 32},
    }
    rng = stream(seed, "holdings")
    shards = [rng.choice(5, p=rng.dirichlet(np.full(5, 2.0)), size=1050) for _ in range(clients)]
    drawn = {
        "labels": list(NAMES),
        "positions": STARS.points[:, 0].tolist(),
        "holdings": {"clients": pictures.holdings(shards, 5), "client_names": names},
        "confusion": pictures.confusion(probs, labels, 5),
        "expected_position": pictures.expected_position(probs, labels, STARS),
        "reliability": {
            "student": pictures.reliability(probs, labels),
            "centralised": pictures.reliability(*arm(0.85)[::-1]),
        },
        "teachers": [
            {
                "name": name,
                "accuracy": row["accuracy"],
                "semantic_distance": row["semantic_distance"],
            }
            for name, row in zip(names, bounds, strict=True)
        ],
        "student": summary["student"],
        "human": {"accuracy": 0.71, "semantic_distance": 0.52},
    }
    folder.mkdir(exist_ok=True)
    (folder / "experiment.toml").write_text(EXPERIMENT)
    texts = [{"id": n, "text": "ol\u00e1o " * 15} for n in range(2000)]
    files.write_lines(folder / "transfer.jsonl", texts)
    files.write_json(folder / "summary.json", summary)
    files.write_json(folder / "pictures.json", drawn)
    files.write_lines(
        folder / "rounds.jsonl",
        [
            {
                "round": 1,
                "asked": clients,
                "answered": clients,
                "loss": 0.41,
                "student": summary["student"],
                "bytes_up": 10_156 * clients,
                "seconds": 3.2,
            }
        ],
    )
    rows = [f"{k},answered,,10156,44,3.25" for k in range(clients)]
    clients_csv = "\n".join(["client,status,reason,bytes_up,bytes_down,seconds", *rows])
    (folder / "clients.csv").write_text(clients_csv + "\n")
    files.write_json(
        folder / "environment.json",
        {
            "versions": {"python": "3.11.9", "flwr": "1.41.0", "torch": "2.13.0"},
            "machine": "x86_64, 2 cores",
            "revision": "0123abcd",
        },
    )
    return folder


def unfinished(folder, status):
    """A run that stopped early: ``summary.json`` with null figures and little else."""
    folder.mkdir(exist_ok=True)
    summary = skeleton(status, 4) | {
        "student": dict.fromkeys(METRICS),
        "bounds": None,
        "wire": dict.fromkeys(
            (
                "bytes_up",
                "envelope_up",
                "bytes_down",
                "bytes_up_per_client",
                "fedavg_bytes_per_client",
                "messages",
                "rejected",
            )
        ),
        "seconds": dict.fromkeys(("start", "encode", "teachers", "predict", "total")),
        "memory": {"driver_peak_mb": None, "worker_peak_mb": None},
        "clients": {"asked": 4, "answered": 1, "lost": 3, "quarantined": 0},
        "hashes": {"student": None, "predictions": None, "transfer_set": None},
    }
    files.write_json(folder / "summary.json", summary)
    (folder / "clients.csv").write_text(
        "client,status,reason,bytes_up,bytes_down,seconds\n0,answered,,10156,44,1.0\n"
        + "".join(f"{k},lost,timeout,0,44,60.0\n" for k in (1, 2, 3))
    )
    return folder


def skeleton(status, clients):
    return {
        "schema": 1,
        "status": status,
        "experiment": "quickstart",
        "seed": 7,
        "num_clients": clients,
        "rounds": 1,
        "isolated": True,
        "privacy": {"guarantee": "none", "epsilon": None, "delta": None, "unit": None},
    }
