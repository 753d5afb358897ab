"""The shared texts whose labels are public, as they lie in a run folder."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from common.arrays import Ints
from common.files import read_lines
from server.plan import LABELS


@dataclass(frozen=True, eq=False)
class PublicLabels:
    """M shared texts with their labels, in the order of the transfer set; M may be 0.

    Attributes:
        texts: M of them.
        labels: shape (M,).
    """

    texts: tuple[str, ...]
    labels: Ints


def read_public_labels(folder: Path) -> PublicLabels:
    """What is known in a provisioned run folder."""
    if not (folder / LABELS).exists():
        return PublicLabels((), np.empty(0, dtype=np.int64))
    shared = [line["text"] for line in read_lines(folder / "transfer.jsonl")]
    lines = read_lines(folder / LABELS)
    labels = np.array([line["label"] for line in lines], dtype=np.int64)
    return PublicLabels(tuple(shared[line["row"]] for line in lines), labels)
