"""What the server writes into the run folder: releases, audit log, rounds, student."""

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from common.arrays import Floats, Ints
from common.audit import START, AuditLog, Mark, cut
from common.configure import load
from common.encoders import Encoder
from common.failures import Failure, FolderError
from common.files import (
    json_bytes,
    read_json,
    read_lines,
    write_bytes,
    write_fresh,
    write_json,
    write_lines,
    write_text,
)
from common.flushing import settled
from common.labels import LabelGeometry
from common.rosters import Roster
from common.terms import Terms
from common.transfer import TransferSet
from server.checkpoint import Checkpoint, commit, newest
from server.draws import Draws
from server.heads import about_heads, files_of, rebuilt
from server.memory import pack_geometry
from server.reading import Reader
from server.students import Student, fingerprint
from server.tallies import Tally, from_json, to_json, to_table

_BELIEFS = ("geometry.json", "weights.safetensors")

CARD = """# A student of fedknot

A head of {parameters} parameters on the frozen encoder `{encoder}`, distilled from the soft
predictions of {clients} clients. It tells {classes} classes apart: {labels}.

It is not private by itself: what soft predictions reveal about their teachers' training
texts has to be measured, see the project's `docs/privacy.md`.

Load it with `simulations.load(<run folder>).student(texts)`; `head.safetensors` holds the
tensors, `config.json` the encoder, the labels and the recipe.
"""

CARD_OF_TEXTS = """# A student of fedknot

A transformer of {parameters} parameters, distilled from the soft predictions of {clients}
clients. It tells {classes} classes apart: {labels}.

It is not private by itself: what soft predictions reveal about their teachers' training
texts has to be measured, see the project's `docs/privacy.md`.

Load it with `simulations.load(<run folder>).student(texts)`, or this folder with
`AutoTokenizer` and `AutoModelForSequenceClassification.from_pretrained` of `transformers`.
"""


class Archive:
    """The server's hand in the run folder; opens nothing under ``clients/``."""

    def __init__(self, folder: Path, clients: range) -> None:
        self._folder = folder
        self._log = folder / "audit" / "server.jsonl"
        self._log.touch()  # there, even if nobody is asked anything
        self.audit = AuditLog(self._log)
        self.draws = Draws(folder)
        self.tallies = {client: Tally() for client in clients}
        self._lines: list[dict[str, Any]] = []
        self._releases = f"{folder}/releases"
        self._shelf: str | None = None  # of the newest round, made already

    def keep_release(self, server_round: int, client: int, payload: bytes) -> None:
        """Keep an accepted byte string exactly as it crossed.

        The file is whole and on disk once the round is committed; before that nobody reads it, and
        a run that goes on makes the round's folder anew.
        """
        shelf = f"{self._releases}/{server_round}"
        if shelf != self._shelf:
            os.makedirs(shelf, exist_ok=True)
            self._shelf = shelf
        write_fresh(f"{shelf}/{client}.bin", payload)

    def keep_roster(self, name: str, payload: bytes) -> None:
        """Keep a list of a secure sum for good, before it is sent."""
        home = self._folder / "sums"
        home.mkdir(exist_ok=True)
        write_bytes(home / f"{name}.roster", payload)

    def rosters(self) -> list[Roster]:
        """All lists that were ever sent, those of rounds that were undone too."""
        return [Roster.read(p.read_bytes()) for p in (self._folder / "sums").glob("*.roster")]

    def keep_sum(self, server_round: int, data: bytes) -> None:
        """Keep what the clients of a round add up to."""
        write_bytes(self._folder / "sums" / f"{server_round}.sum", data)

    def keep_round(self, line: dict[str, Any]) -> None:
        """Append one line to ``rounds.jsonl``."""
        with (self._folder / "rounds.jsonl").open("a") as file:
            file.write(json.dumps(line, allow_nan=False) + "\n")
        self._lines.append(line)

    def commit(
        self, run: str, server_round: int, parts: dict[str, bytes], counts: dict[str, Any]
    ) -> None:
        """Commit a round: from now on it is never done again.

        Args:
            run: the id of the run.
            server_round: which round has ended.
            parts: student, weighting, ground cost and weights.
            counts: of the server, as JSON.
        """
        self._settle(server_round)
        mark = self.audit.mark
        record = {
            "audit": {"length": mark.length, "head": mark.head},
            "rounds": self._lines,
            "tallies": to_json(self.tallies),
            "counts": counts,
        }
        parts = parts | {"record.json": json.dumps(record, allow_nan=False).encode()}
        commit(self._folder, run, Checkpoint(server_round, parts))

    def _settle(self, server_round: int) -> None:
        """Have on disk what the checkpoint will name: first all is written, then waited for."""
        shelf, home = f"{self._releases}/{server_round}", self._folder / "checkpoint"
        releases = [f"{shelf}/{name}" for name in os.listdir(shelf)]
        beliefs = [str(home / name) for name in _BELIEFS if (home / name).exists()]
        settled([*releases, shelf, self._releases, *beliefs])
        self.audit.settle()

    def rewind(self, checkpoint: Checkpoint | None) -> None:
        """Bring everything that grows back to a committed round, or to the start.

        What the log holds beyond is moved to ``audit/server-cut.jsonl``. The releases of
        later rounds are dropped: who made them has them, and sends the same bytes again.
        """
        number, mark = 0, Mark(0, START)
        if checkpoint is not None:
            record = checkpoint.record
            number, mark = checkpoint.round, checkpoint.mark
            self._lines, self.tallies = record["rounds"], from_json(record["tallies"])
            write_lines(self._folder / "rounds.jsonl", self._lines)
        else:
            (self._folder / "rounds.jsonl").unlink(missing_ok=True)
        (self._folder / "checkpoint" / "server.json").unlink(missing_ok=True)
        cut(self._log, mark, self._log.with_name("server-cut.jsonl"))
        self._shelf = None
        self.audit = AuditLog(self._log)
        for home in (self._folder / "releases").iterdir():
            if home.is_dir() and home.name.isdecimal() and int(home.name) > number:
                shutil.rmtree(home)

    def keep_beliefs(self, geometry: LabelGeometry, weights: bytes) -> None:
        """Keep what the server believed in its last round; the round before is replaced.

        It is on disk once the round is committed; the checkpoint holds it, too.

        Args:
            geometry: the ground cost as it was after the last step.
            weights: who answered and whom it believed (:func:`server.memory.pack_weights`).
        """
        home = self._folder / "checkpoint"
        told = {
            "names": list(geometry.names),
            "points": geometry.points.tolist(),
            "cost": geometry.cost.tolist(),
        }
        for name, data in zip(_BELIEFS, (json_bytes(told), weights), strict=True):
            write_bytes(home / name, data, durable=False)

    def keep_tallies(self) -> None:
        """Write ``clients.csv``."""
        write_text(self._folder / "clients.csv", to_table(self.tallies))

    def keep_student(self, student: torch.nn.Module, recipe: dict[str, Any], terms: Terms) -> None:
        """Write ``student/``: tensors, what is needed to rebuild them, a model card."""
        home = self._folder / "student"
        home.mkdir(exist_ok=True)
        about = {
            "recipe": recipe,
            "encoder": terms.encoder,
            "labels": list(terms.labels),
            "points": terms.points,
            "num_features": next(iter(student.parameters())).shape[1],
            **about_heads(student, terms.labels),
        }
        made, reader = _reading(self._folder, about)
        for name, data in files_of(made, student, reader, about).items():
            write_bytes(home / name, data)
        card = (CARD if made.reads == "features" else CARD_OF_TEXTS).format(
            parameters=sum(p.numel() for p in student.parameters()),
            encoder=terms.encoder.get("model", terms.encoder["kind"]),
            clients=terms.num_clients,
            classes=len(terms.labels),
            labels=", ".join(terms.labels),
        )
        write_text(home / "README.md", card)

    def predictions_hash(self) -> str:
        """SHA-256 over the bytes of all payloads, sorted by (round, client); or of secure sums."""
        digest = hashlib.sha256()
        # Masks are new in every run; what they hide adds up to the same.
        sums = sorted((self._folder / "sums").glob("*.sum"), key=lambda path: int(path.stem))
        if sums:
            return hashlib.sha256(b"".join(path.read_bytes() for path in sums)).hexdigest()
        kept = (self._folder / "releases").glob("*/*.bin")
        for path in sorted(kept, key=lambda path: (int(path.parent.name), int(path.stem))):
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
    about = _about_student(folder)
    recipe, _ = _recipe_of(about)
    return rebuilt(recipe, about, recipe.stored(folder / "student"))


def open_reader(folder: Path) -> Reader:
    """How the student that a run left behind is given texts.

    Raises:
        FolderError: there is none.
    """
    return _reading(folder, _about_student(folder))[1]


def _about_student(folder: Path) -> dict[str, Any]:
    home = folder / "student"
    if not (home / "config.json").exists():
        raise FolderError(f"{folder} holds no student; the run has not ended well")
    config: dict[str, Any] = read_json(home / "config.json")
    about: dict[str, Any] = config.get("fedknot", config)  # a model of Hugging Face owns the file
    return about


def _recipe_of(about: dict[str, Any]) -> tuple[Student, Encoder]:
    recipe: Student = load(Student, about["recipe"], "student")  # type: ignore[type-abstract]
    encoder: Encoder = load(Encoder, about["encoder"], "encoder")  # type: ignore[type-abstract]
    return recipe, encoder


def _reading(folder: Path, about: dict[str, Any]) -> tuple[Student, Reader]:
    """A student's recipe and its reader, which may have learned words from the shared texts."""
    recipe, encoder = _recipe_of(about)
    shared: tuple[str, ...] = ()
    if recipe.reads == "texts":
        agreed = Terms.read(folder / "terms.json").transfer_sha256
        shared = TransferSet.read(folder / "transfer.jsonl", agreed).texts
    return recipe, recipe.reader(encoder, shared)


def is_served(folder: Path, terms: Terms) -> bool:
    """Whether the server came to its end, and all it left is still as it was."""
    checkpoint, _ = newest(folder, terms.run)
    if checkpoint is None or checkpoint.round < terms.num_rounds:
        return False
    record = checkpoint.record
    try:
        outcome = read_json(folder / "checkpoint" / "server.json")
        student = fingerprint(open_student(folder)) == outcome["student_sha256"]
        rounds = read_lines(folder / "rounds.jsonl") == record["rounds"]
        tallies = (folder / "clients.csv").read_text() == to_table(from_json(record["tallies"]))
        geometry = pack_geometry(open_geometry(folder)) == checkpoint.parts["geometry.safetensors"]
        weights = (folder / "checkpoint" / "weights.safetensors").read_bytes()
    except (OSError, ValueError, LookupError, TypeError, RuntimeError, SafetensorError, Failure):
        return False
    believed = weights == checkpoint.parts["weights.safetensors"]
    return all((student, rounds, tallies, geometry, believed))


def open_geometry(folder: Path) -> LabelGeometry:
    """The ground cost that the student of a served run was given last."""
    told = read_json(folder / "checkpoint" / "geometry.json")
    return LabelGeometry(tuple(told["names"]), np.array(told["points"]), np.array(told["cost"]))


def open_weights(folder: Path) -> tuple[Ints, Floats]:
    """Who answered the last round of a served run, (K,), and their weights (K, N), float32."""
    tensors = load_file(folder / "checkpoint" / "weights.safetensors")
    return tensors["clients"].numpy(), tensors["weights"].numpy()
