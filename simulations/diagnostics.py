"""The numbers behind the report's pictures of transport: the ground cost, and the disputes.

Made by the observer from what is public or was released, and from nothing else: the terms,
the transfer texts, ``releases/``, the student, and what the server believed of them.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from common.arrays import Floats, Ints
from common.configure import kind_of
from common.labels import LabelGeometry
from common.places import cache_dir
from common.records import decode
from common.terms import Terms
from common.transfer import TransferSet
from server.admission import predictions
from server.archive import open_geometry, open_reader, open_weights
from server.config import ServerConfig
from server.distil import predict
from server.transport.cost import LabelCost, label_cost
from server.weightings import normalised
from simulations.disputes import exact, most_disputed, plan
from simulations.reporting.plane import in_plane, on_line

SAMPLES, TEACHERS, LETTERS = 3, 4, 160
"""How many samples are shown, how many teachers of each, and how much of a text."""

_LEAST = 5e-4  # mass that no picture could show


def diagnose(
    folder: Path, terms: Terms, config: ServerConfig, student: torch.nn.Module
) -> dict[str, Any]:
    """What ``pictures.json`` holds under ``diagnostics``, of a served run folder.

    Args:
        folder: the run folder; only its public and released parts are opened.
        terms: of the run.
        config: the server's half of the experiment.
        student: as the last round left it.
    """
    geometry = open_geometry(folder)
    clients, weights = open_weights(folder)
    theirs = clients < terms.num_clients  # a teacher of the server's own released nothing
    clients, weights = clients[theirs], weights[theirs]
    transfer = TransferSet.read(folder / "transfer.jsonl", terms.transfer_sha256)
    inputs = open_reader(folder).read(transfer.texts, cache_dir() / "features")
    asked, texts = terms.asked(terms.num_rounds), transfer.texts
    rows = np.arange(len(texts)) if asked is None else asked
    said = [_released(folder, terms, int(client)) for client in clients]
    return {
        "loss": kind_of(config.loss),
        "loss_uses_cost": config.loss.uses_geometry,
        "geometry": kind_of(config.geometry),
        **geometries(geometry, terms.geometry),
        # Of a secure sum nobody knows who said what.
        "disputes": _placed(
            rows,
            disputes(
                predict(student, inputs[rows]),
                np.stack(said),
                clients,
                weights,
                geometry,
                [texts[row] for row in rows],
            ),
        )
        if said and len(rows)
        else [],
    }


def geometries(used: LabelGeometry, given: LabelGeometry) -> dict[str, Any]:
    """The ground cost the student was trained with, and the data set's own if it is another."""
    same = np.allclose(used.cost, given.cost)
    return {"used": _drawn(used.cost), "given": None if same else _drawn(given.cost)}


def disputes(
    student: Floats,
    teachers: Floats,
    clients: Ints,
    weights: Floats,
    geometry: LabelGeometry,
    texts: Sequence[str],
) -> list[dict[str, Any]]:
    """The most disputed samples with the plans of their heaviest teachers.

    Args:
        student: shape (N, C).
        teachers: shape (K, N, C).
        clients: shape (K,), their ids.
        weights: shape (K, N), non-negative.
        geometry: whose cost is to be paid.
        texts: the N public texts.
    """
    cost, w = label_cost(geometry), normalised(weights)
    return [
        {
            "row": found.row,
            "text": shortened(texts[found.row]),
            "cost": _kept(found.mean),
            "student": _listed(exact(student[found.row])),
            "teachers": [
                {"client": int(clients[k]), "weight": _kept(w[k, found.row])}
                | _against(student[found.row], teachers[k, found.row], found.costs[k], cost)
                for k in np.argsort(-w[:, found.row], kind="stable")[:TEACHERS]
            ],
            "num_teachers": len(clients),
        }
        for found in most_disputed(student, teachers, w, cost, SAMPLES)
    ]


def _placed(rows: Ints, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Disputes about some of the texts, with their places among all of them."""
    return [dispute | {"row": int(rows[dispute["row"]])} for dispute in found]


def shortened(text: str) -> str:
    """One line of at most :data:`LETTERS` letters that any page can hold."""
    whole = text.encode("utf-8", "replace").decode()
    line = " ".join("".join(c if c.isprintable() else " " for c in whole).split())
    return line if len(line) <= LETTERS else line[: LETTERS - 1].rstrip() + "…"


def _released(folder: Path, terms: Terms, client: int) -> Floats:
    """Shape (N, C): what a client said in the last round, as it crossed; of the texts asked."""
    path = folder / "releases" / str(terms.num_rounds) / f"{client}.bin"
    layout = terms.layout_of(terms.num_rounds)
    record = decode(path.read_bytes(), layout, terms.num_rounds, client)
    return predictions(record, terms.bits, terms.subclasses).probs


def _drawn(cost: Floats) -> dict[str, Any]:
    points, stress = in_plane(cost)
    return {
        "cost": [[_kept(value) for value in row] for row in cost],
        "points": [[_kept(value) for value in point] for point in points],
        "stress": _kept(stress),
        "line": on_line(cost) is not None,
    }


def _against(student: Floats, teacher: Floats, price: float, cost: LabelCost) -> dict[str, Any]:
    """One teacher's prediction, its cost, and the plan as (from, to, mass)."""
    q, p = exact(student), exact(teacher)
    moves = plan(q, p, cost)
    shown = np.argwhere(moves >= _LEAST)
    return {
        "cost": _kept(price),
        "probs": _listed(p),
        "moves": [[int(a), int(b), round(float(moves[a, b]), 4)] for a, b in shown],
    }


def _listed(probs: Floats) -> list[float]:
    return [round(float(value), 4) for value in probs]


def _kept(value: float) -> float:
    """Six digits: more than a picture shows, fewer than a file need hold."""
    return float(f"{value:.6g}")
