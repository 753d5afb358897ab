"""Which bytes the user's own files hold, whatever their names and dates."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from common.failures import DataError


def digest_of(paths: Iterable[Path]) -> str:
    """One SHA-256 in hex over the SHA-256 of every file, in their order.

    Raises:
        DataError: one cannot be read.
    """
    digest = hashlib.sha256()
    for path in paths:
        try:
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        except OSError as error:
            why = (error.strerror or "no reason given").lower()
            raise DataError(f"{path} cannot be read ({why}); check data.dataset") from error
    return digest.hexdigest()
