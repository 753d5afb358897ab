"""Encoders: public, frozen maps from texts to features, the same for every party."""

import hashlib
import io
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from common.arrays import Floats
from common.encoders._shelf import taken, trimmed
from common.failures import FolderError
from common.files import write_bytes
from common.places import cache_bytes

_DIGEST_BYTES = 32
_PRIVATE_FILE, _PRIVATE_FOLDER = 0o600, 0o700


class Encoder(ABC):
    """A recipe for features. It learns nothing, so using it on private texts costs nothing."""

    @abstractmethod
    def encode(
        self, texts: Sequence[str], progress: Callable[[int, int], None] | None = None
    ) -> Floats:
        """Features of shape (N, D), float32, row i for text i.

        Args:
            texts: N texts; any string is allowed, the empty one too.
            progress: called with (texts done, N) now and then.
        """

    @abstractmethod
    def fingerprint(self) -> str:
        """SHA-256 in hex over all that decides the bits of :meth:`encode`."""

    def resolved(self) -> "Encoder":
        """An encoder of the same bits in which nothing is left to the machine's choice."""
        return self


def resolve(encoder: Encoder) -> Encoder:
    """Fix what ``encoder`` leaves open (the number format), once for all parties of a run."""
    return encoder.resolved()


def fingerprint_of(**facts: str | int) -> str:
    """SHA-256 in hex over named facts, whatever their order."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def cache_key(fingerprint: str, texts: Sequence[str]) -> str:
    """SHA-256 in hex over the encoder's fingerprint and the texts, in order."""
    digest = hashlib.sha256(fingerprint.encode())
    for text in texts:
        # Broken texts have a key as well; the lengths keep neighbours apart.
        data = text.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()


def encode_cached(
    encoder: Encoder,
    texts: Sequence[str],
    folder: Path,
    progress: Callable[[int, int], None] | None = None,
) -> Floats:
    """``encoder.encode(texts)``, kept in ``folder`` under its :func:`cache_key`.

    A file that is missing or damaged is computed anew and replaced, so the cache changes
    the time and never the result. The folder is kept below
    :func:`common.places.cache_bytes`; what was not used longest goes first.

    Returns:
        shape (N, D), float32.

    Raises:
        FolderError: the cache cannot be written, or the disk is full.
    """
    path = folder / f"{cache_key(encoder.fingerprint(), texts)}.npy"
    features = _read(path, len(texts))
    if features is None:
        features = encoder.encode(texts, progress)
        _keep(path, features)
    return features


def _keep(path: Path, features: Floats) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=_PRIVATE_FOLDER)
        write_bytes(path, _packed(features), _PRIVATE_FILE)
        trimmed(path.parent, cache_bytes(), path)
    except OSError as error:
        reason = error.strerror or "no reason given"
        raise FolderError(
            f"cannot write {path.parent} ({reason}); set FEDKNOT_CACHE to a folder with room"
        ) from error


def _packed(features: Floats) -> bytes:
    """A .npy file and, behind the part that :func:`numpy.load` reads, the digest of it."""
    file = io.BytesIO()
    np.save(file, features, allow_pickle=False)
    data = file.getvalue()
    return data + hashlib.sha256(data).digest()


def _read(path: Path, rows: int) -> Floats | None:
    """The features in the file, or None where it is not exactly what was written."""
    try:
        raw = taken(path)
    except FileNotFoundError:
        return None
    data, digest = raw[:-_DIGEST_BYTES], raw[-_DIGEST_BYTES:]
    if hashlib.sha256(data).digest() != digest:
        return None
    features: Floats = np.load(io.BytesIO(data), allow_pickle=False)
    whole = features.ndim == 2 and len(features) == rows and features.dtype == np.float32
    return features if whole and bool(np.isfinite(features).all()) else None
