"""The teachers in a client's store, each with what it took of the client's privacy."""

import hashlib
import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.numpy import load, save

from clients.folder import PRIVATE, Folder
from common.files import write_bytes

_SPENT = "spent"  # in the metadata of a teacher's file: what it took of the client's privacy
_SEAL = "sha256"  # in the metadata of a teacher's file: of the same tensors without metadata


class Taught(Folder):
    """One teacher for the first round, and one for every later round that refined it."""

    def teacher(self, server_round: int = 1) -> dict[str, Any] | None:
        """The tensors of the teacher of a round, or None if there is none undamaged.

        There is one of the first round, and one of every later round in which it was refined.
        """
        path = self._teacher(server_round)
        return _checked(path.read_bytes()) if path.exists() else None

    def keep_teacher(
        self, tensors: dict[str, Any], server_round: int = 1, spent: str | None = None
    ) -> None:
        """Store a teacher; it is loaded from now on and never made again.

        Args:
            tensors: of the teacher.
            server_round: in which it was made.
            spent: what of the client's privacy its training took, in the same file, so that
                neither can be there without the other.
        """
        about = {} if spent is None else {_SPENT: spent}
        sealed = save(tensors, about | {_SEAL: _seal(tensors, spent)})
        write_bytes(self._teacher(server_round), sealed, PRIVATE)

    def spendings(self) -> list[str]:
        """What the training of every teacher took of the client's privacy, by round."""
        paths = [self._teacher(number) for number in self.teacher_rounds()]
        heads = [_head(path.read_bytes()) for path in paths]
        return [head[_SPENT] for head in heads if _SPENT in head]

    def teacher_rounds(self) -> list[int]:
        """The rounds of which there is a teacher, damaged or not, ascending."""
        stems = (path.stem.partition("-") for path in self.root.glob("teacher*.safetensors"))
        return sorted(int(number or 1) for _, _, number in stems)

    def _teacher(self, server_round: int) -> Path:
        return self.root / f"teacher{f'-{server_round}' * (server_round > 1)}.safetensors"


def _checked(data: bytes) -> dict[str, Any] | None:
    """The tensors of a teacher's file, or None where they are not what was written."""
    try:
        tensors, head = load(data), _head(data)
    except (SafetensorError, ValueError):
        return None
    return tensors if head.get(_SEAL) == _seal(tensors, head.get(_SPENT)) else None


def _head(data: bytes) -> dict[str, str]:
    """What a safetensors file says beside its tensors."""
    told: dict[str, str] = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")]).get(
        "__metadata__", {}
    )
    return told


def _seal(tensors: dict[str, Any], spent: str | None) -> str:
    """The digest of a teacher's content."""
    return hashlib.sha256(save(tensors) + (spent or "").encode()).hexdigest()
