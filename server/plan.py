"""All that the server is given: public terms, public texts, its own settings and seed."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from common.arrays import Floats
from common.blanks import blanks
from common.configure import load
from common.encoders import Encoder
from common.files import read_json, read_lines, write_json
from common.places import cache_dir
from common.predictions import UNKNOWN
from common.terms import Terms
from common.transfer import TransferSet
from server.archive import Archive
from server.config import ServerConfig
from server.coordinator import Coordinator
from server.pretraining import Classroom
from server.progress import Progress
from server.reading import Reader
from server.validation import Validation

LABELS = "labels.jsonl"
"""In the run folder: the transfer texts whose labels the server knows, if there are any."""


@dataclass(frozen=True)
class ServerPlan:
    """What *provision* hands to the server: no path, seed or loader of private or test data.

    Attributes:
        config: the table of the server's configuration.
        seed: the server's own seed.
    """

    config: dict[str, Any]
    seed: int

    def save(self, folder: Path) -> None:
        """Write ``checkpoint/plan.json``."""
        write_json(folder / "checkpoint" / "plan.json", {"config": self.config, "seed": self.seed})

    @classmethod
    def read(cls, folder: Path) -> "ServerPlan":
        """Read what :meth:`save` wrote."""
        return cls(**read_json(folder / "checkpoint" / "plan.json"))


def open_coordinator(folder: Path, progress: Progress) -> tuple[Coordinator, Terms]:
    """The coordinator of a provisioned run folder, and the terms of the run."""
    plan, terms = ServerPlan.read(folder), Terms.read(folder / "terms.json")
    transfer = TransferSet.read(folder / "transfer.jsonl", terms.transfer_sha256)
    encoder: Encoder = load(Encoder, dict(terms.encoder), "encoder")  # type: ignore[type-abstract]
    labelled = read_lines(folder / "validation.jsonl")
    config, shelf = load(ServerConfig, plan.config, "server"), cache_dir() / "features"
    reader = config.student.reader(encoder, transfer.texts)
    validation = Validation(
        reader.read([row["text"] for row in labelled], shelf),
        np.array([row["label"] for row in labelled], dtype=np.int64),
        terms.geometry,
    )
    coordinator = Coordinator(
        config,
        terms,
        open_classroom(folder, config, terms, reader.read(transfer.texts, shelf), reader),
        validation,
        Archive(folder, range(terms.num_clients)),
        plan.seed,
        progress,
    )
    return coordinator, terms


def open_classroom(
    folder: Path, config: ServerConfig, terms: Terms, features: Floats, reader: Reader
) -> Classroom:
    """What a student of a provisioned run folder may learn from, beside opinions.

    Args:
        folder: the run folder.
        config: the server's half; the content-free texts are read only if it needs them.
        terms: of the run.
        features: shape (N, D), of the transfer texts, as the student reads them.
        reader: how the student reads texts.
    """
    labels, quiet = None, None
    if (path := folder / LABELS).exists():
        labels = np.full(len(features), UNKNOWN, dtype=np.int64)
        for line in read_lines(path):
            labels[line["row"]] = line["label"]
    if config.pretraining is not None and "bias" in terms.disclosed:
        quiet = reader.read(blanks(terms.blanks), cache_dir() / "features")
    return Classroom(features, labels, quiet, terms.bias)
