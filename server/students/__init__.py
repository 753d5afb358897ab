"""Students: recipes for the model the server trains and publishes."""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn

from common.encoders import Encoder
from server.reading import Features, Reader

HEAD = "head.safetensors"


class Student(ABC):
    """A recipe for a student; the model itself is a :class:`torch.nn.Module`.

    A student of frozen features writes :meth:`build` and no more. One that reads texts also
    says how they become numbers, and which files it is published in.

    Attributes:
        reads: ``features`` of the run's encoder, or the ``texts`` themselves.
    """

    reads: ClassVar[Literal["features", "texts"]] = "features"

    @abstractmethod
    def build(self, num_features: int, num_labels: int, rng: np.random.Generator) -> nn.Module:
        """An untrained student whose first weights are drawn from ``rng`` alone.

        Args:
            num_features: D, the columns of what :meth:`reader` gives.
            num_labels: C.
            rng: source of all randomness.

        Returns:
            A module from rows (B, D), float32, to log-probabilities (B, C): the softmax of what
            its last :class:`torch.nn.Linear` makes of a vector per text, which is the student's
            own representation (:mod:`server.representing`).
        """

    def reader(self, encoder: Encoder, shared: Sequence[str]) -> Reader:
        """How this student sees a text.

        Args:
            encoder: of the run.
            shared: the N public texts, from which words may be learned.
        """
        del shared
        return Features(encoder)

    def files(self, module: nn.Module, reader: Reader, about: dict[str, Any]) -> dict[str, bytes]:
        """What ``student/`` holds, by name.

        Args:
            module: of :meth:`build`, trained.
            reader: its reader.
            about: what is needed to build it anew; :func:`server.archive.open_student` looks
                for it in ``config.json``, there or under ``fedknot``.
        """
        del reader
        tensors = {name: tensor.contiguous() for name, tensor in module.state_dict().items()}
        return {"config.json": as_json(about), HEAD: save(tensors)}

    def stored(self, home: Path) -> dict[str, Tensor]:
        """The state of the module whose :meth:`files` lie in ``home``."""
        return load_file(home / HEAD)


def as_json(table: dict[str, Any]) -> bytes:
    """The content of a file that people read, too."""
    return (json.dumps(table, indent=1, allow_nan=False) + "\n").encode()


def count_parameters(module: nn.Module) -> int:
    """Number of trainable parameters."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


def fingerprint(module: nn.Module) -> str:
    """SHA-256, in hexadecimal, over parameters and buffers sorted by name.

    Each tensor contributes its name, dtype, shape and bytes; equal fingerprints mean equal
    bits, whatever file the tensors came from.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        dtype = str(tensor.dtype).removeprefix("torch.")
        digest.update(f"{name}\0{dtype}\0{list(tensor.shape)}\0".encode())
        # Bytes by view, since numpy has no bfloat16.
        plain = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(plain.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
