"""The key of a client's noise on its answers, in its private store."""

import hashlib
import os
from pathlib import Path

from safetensors.numpy import save

from clients.teachers import FittedTeacher
from common.files import write_bytes

_PRIVATE, _BYTES = 0o600, 32


def noise_key(home: Path, teacher: FittedTeacher, texts: tuple[str, ...]) -> bytes:
    """The key for what one teacher says of some texts: the same however often it is asked.

    Another teacher, or other texts, get noise of their own: the difference of two noised answers
    tells nothing that they do not. It is keyed by the teacher and not by what it says, whose last
    bits may depend on the machine.

    Args:
        home: of the client's store; the secret lies there, drawn once from the operating system
            and on disk before anything is noised with it.
        teacher: that is asked.
        texts: about which.
    """
    found = hashlib.sha256(_secret(home))
    for name, tensor in sorted(teacher.tensors().items()):
        found.update(hashlib.sha256(save({name: tensor})).digest())
    for text in texts:
        found.update(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest())
    return found.digest()


def _secret(home: Path) -> bytes:
    path = home / "noise.key"
    known = path.read_bytes() if path.exists() else b""
    if len(known) != _BYTES:
        known = os.urandom(_BYTES)
        write_bytes(path, known, _PRIVATE)
    return known
