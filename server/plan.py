"""All that the server is given: public terms, public texts, its own settings and seed."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from common.configure import load
from common.encoders import Encoder
from common.files import read_json, read_lines, write_json
from common.places import cache_dir
from common.terms import Terms
from common.transfer import TransferSet
from server.archive import Archive
from server.config import ServerConfig
from server.coordinator import Coordinator, Progress, Validation


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
    )
    coordinator = Coordinator(
        config,
        terms,
        reader.read(transfer.texts, shelf),
        validation,
        Archive(folder, range(terms.num_clients)),
        plan.seed,
        progress,
    )
    return coordinator, terms
