"""One client's private folder: texts, features, teacher, releases. Nobody else opens it."""

import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from clients.agreed import Agreed, digest_of
from clients.folder import FOLDER, PRIVATE, closed, opened
from clients.released import Released
from clients.taught import Taught
from common.arrays import Floats, Ints
from common.files import line_bytes, read_lines, write_bytes, write_fresh


@dataclass(frozen=True)
class Store(Agreed, Taught, Released):
    """A client's folder, mode 0700, and what it refers to outside: public files only."""

    @classmethod
    def create(
        cls,
        root: Path,
        *,
        client: int,
        seed: int,
        config: dict[str, Any],
        public: Path,
        texts: Sequence[str],
        labels: Ints,
    ) -> "Store":
        """Write a new store: three inodes, which are on disk for sure once they are sealed.

        Args:
            root: the folder to make.
            client: the client's id.
            seed: the client's own seed; the experiment's is not in the store.
            config: the table of the client's configuration.
            public: the folder with ``terms.json``, ``transfer.jsonl`` and ``audit/``.
            texts: the M private texts.
            labels: shape (M,).
        """
        root.mkdir(parents=True, mode=FOLDER)
        rows = ({"text": t, "label": int(y)} for t, y in zip(texts, labels, strict=True))
        write_fresh(root / "shard.jsonl", line_bytes(rows), PRIVATE)
        about = {
            "client": client,
            "seed": seed,
            "config": config,
            "public": str(public.resolve()),
            "terms_sha256": digest_of(public / "terms.json"),
        }
        write_fresh(root / "client.json", line_bytes([about]), PRIVATE)
        return cls(root)

    def shard(self) -> tuple[list[str], Ints]:
        """The private texts and their labels, shape (M,)."""
        rows = read_lines(self.root / "shard.jsonl")
        return [row["text"] for row in rows], np.array([row["label"] for row in rows], np.int64)

    def features(self) -> Floats | None:
        """Features of the private texts, shape (M, D), or None if there are none undamaged."""
        path = self.root / "features.npy"
        data = opened(path.read_bytes() if path.exists() else b"")
        if data is None:
            return None
        made: Floats = np.load(io.BytesIO(data), allow_pickle=False)
        return made

    def keep_features(self, features: Floats) -> None:
        """Store the features of the private texts, with a digest behind the array.

        A power cut may take or damage them: the digest tells, and they are computed anew.
        """
        file = io.BytesIO()
        np.save(file, features, allow_pickle=False)
        write_bytes(self.root / "features.npy", closed(file.getvalue()), PRIVATE, durable=False)

    def note(self, text: str) -> None:
        """Append to the client's own log, which nobody else reads."""
        handle = os.open(self.root / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND, PRIVATE)
        with os.fdopen(handle, "ab") as log:
            log.write(text.encode("utf-8", "backslashreplace"))
