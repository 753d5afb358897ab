"""Have many files on disk at once: one wait instead of thousands."""

import sys
from collections.abc import Sequence
from typing import Final

from common.files import flush_all, flushed

_FEW: Final = 16


def settled(paths: Sequence[str]) -> None:
    """Have the content of these files, and the names in these folders, on disk.

    A file system that writes a journal needs a millisecond or two for each ``fsync``, and three
    thousand of them take seconds. On Linux ``sync`` waits as well, once for all. It takes along
    what others have written, and an error of the disk is not told by it, so a few are flushed one
    by one. Elsewhere ``sync`` does not wait, and all are.

    Args:
        paths: files and folders that are there, in the order in which they should be flushed.
    """
    if len(paths) > _FEW and sys.platform == "linux":
        flush_all()
        return
    for path in paths:
        flushed(path)
