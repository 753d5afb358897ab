"""What the server writes into the run folder: releases, audit log, rounds, student."""

import csv
import hashlib
import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save

from common.arrays import Floats, Ints
from common.audit import AuditLog
from common.configure import load
from common.failures import FolderError
from common.files import read_json, write_bytes, write_json, write_text
from common.labels import LabelGeometry
from common.reasons import Reason
from common.terms import Terms
from server.students import Student

CARD = """# A student of fedknot

A head of {parameters} parameters on the frozen encoder `{encoder}`, distilled from the soft
predictions of {clients} clients. It tells {classes} classes apart: {labels}.

It is not private by itself: what soft predictions reveal about their teachers' training
texts has to be measured, see the project's `docs/privacy.md`.

Load it with `simulations.load(<run folder>).student(texts)`; `head.safetensors` holds the
tensors, `config.json` the encoder, the labels and the recipe.
"""


STATUSES = ("answered", "lost", "quarantined")


@dataclass
class Tally:
    """What happened to one client over the run.

    Attributes:
        status: of its last round.
        reason: of that status.
        ever: every status it has had; distinct clients are counted by it.
        bytes_up: of all its accepted payloads.
        bytes_down: of all questions to it.
        seconds: from the questions to its accepted answers, others' turns included.
    """

    status: str = "lost"
    reason: str = Reason.timeout.name
    ever: set[str] = field(default_factory=set)
    bytes_up: int = 0
    bytes_down: int = 0
    seconds: float = 0.0

    def note(self, status: str, reason: Reason) -> None:
        """Set the status of this round."""
        self.status, self.reason = status, reason.name
        self.ever.add(status)


class Archive:
    """The server's hand in the run folder; opens nothing under ``clients/``."""

    def __init__(self, folder: Path, clients: range) -> None:
        self._folder = folder
        (folder / "audit" / "server.jsonl").touch()  # there, even if nobody is asked anything
        self.audit = AuditLog(folder / "audit" / "server.jsonl")
        self.tallies = {client: Tally() for client in clients}
        self._released: set[tuple[int, int]] = set()

    def keep_release(self, server_round: int, client: int, payload: bytes) -> None:
        """Keep an accepted byte string exactly as it crossed."""
        home = self._folder / "releases" / str(server_round)
        home.mkdir(parents=True, exist_ok=True)
        write_bytes(home / f"{client}.bin", payload)
        self._released.add((server_round, client))

    def keep_round(self, line: dict[str, Any]) -> None:
        """Append one line to ``rounds.jsonl``."""
        with (self._folder / "rounds.jsonl").open("a") as file:
            file.write(json.dumps(line, allow_nan=False) + "\n")

    def keep_beliefs(self, geometry: LabelGeometry, clients: Ints, weights: Floats) -> None:
        """Keep what the server believed in its last round; the round before is replaced.

        Args:
            geometry: the ground cost as it was after the last step.
            clients: shape (K,), who answered.
            weights: shape (K, N), as the weighting gave them.
        """
        home = self._folder / "checkpoint"
        told = {
            "names": list(geometry.names),
            "points": geometry.points.tolist(),
            "cost": geometry.cost.tolist(),
        }
        write_json(home / "geometry.json", told)
        tensors = {
            "clients": torch.tensor(clients, dtype=torch.int64),
            "weights": torch.tensor(weights, dtype=torch.float32),
        }
        write_bytes(home / "weights.safetensors", save(tensors))

    def keep_tallies(self) -> None:
        """Write ``clients.csv``: one line a client, nothing about its data."""
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(["client", "status", "reason", "bytes_up", "bytes_down", "seconds"])
        for client, t in self.tallies.items():
            row = [client, t.status, t.reason, t.bytes_up, t.bytes_down, round(t.seconds, 3)]
            table.writerow(row)
        write_text(self._folder / "clients.csv", text.getvalue())

    def keep_student(self, student: torch.nn.Module, recipe: dict[str, Any], terms: Terms) -> None:
        """Write ``student/``: tensors, what is needed to rebuild them, a model card."""
        home = self._folder / "student"
        home.mkdir(exist_ok=True)
        tensors = {name: tensor.contiguous() for name, tensor in student.state_dict().items()}
        config = {
            "recipe": recipe,
            "encoder": terms.encoder,
            "labels": list(terms.labels),
            "points": terms.points,
            "num_features": next(iter(student.parameters())).shape[1],
        }
        write_json(home / "config.json", config)
        write_bytes(home / "head.safetensors", save(tensors))
        card = CARD.format(
            parameters=sum(p.numel() for p in student.parameters()),
            encoder=terms.encoder.get("model", terms.encoder["kind"]),
            clients=terms.num_clients,
            classes=len(terms.labels),
            labels=", ".join(terms.labels),
        )
        write_text(home / "README.md", card)

    def predictions_hash(self) -> str:
        """SHA-256 over the bytes of all payloads, sorted by (round, client)."""
        digest = hashlib.sha256()
        for server_round, client in sorted(self._released):
            path = self._folder / "releases" / str(server_round) / f"{client}.bin"
            digest.update(path.read_bytes())
        return digest.hexdigest()

    def keep_outcome(self, outcome: dict[str, Any]) -> None:
        """Write what the observer needs to know of the server: last, so its presence is proof."""
        write_json(self._folder / "checkpoint" / "server.json", outcome)


def open_student(folder: Path) -> torch.nn.Module:
    """The student that a run left behind, ready to predict from features.

    Raises:
        FolderError: there is none.
    """
    home = folder / "student"
    if not (home / "config.json").exists():
        raise FolderError(f"{folder} holds no student; the run has not ended well")
    config = read_json(home / "config.json")
    recipe: Student = load(Student, config["recipe"], "student")  # type: ignore[type-abstract]
    rng = np.random.default_rng(0)  # the weights drawn here are replaced on the next line
    student = recipe.build(config["num_features"], len(config["labels"]), rng)
    student.load_state_dict(load_file(home / "head.safetensors"))
    return student.eval()


def open_geometry(folder: Path) -> LabelGeometry:
    """The ground cost that the student of a served run was given last."""
    told = read_json(folder / "checkpoint" / "geometry.json")
    return LabelGeometry(tuple(told["names"]), np.array(told["points"]), np.array(told["cost"]))


def open_weights(folder: Path) -> tuple[Ints, Floats]:
    """Who answered the last round of a served run, (K,), and their weights (K, N), float32."""
    tensors = load_file(folder / "checkpoint" / "weights.safetensors")
    return tensors["clients"].numpy(), tensors["weights"].numpy()
