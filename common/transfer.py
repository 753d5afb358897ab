"""The shared, public, unlabelled texts that knowledge travels on."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from common.failures import DataError
from common.files import read_lines, write_lines


@dataclass(frozen=True)
class TransferSet:
    """Public texts that every party holds, in a fixed order. There are no labels here.

    Attributes:
        texts: the N texts; row i of every prediction is about text i.
    """

    texts: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def sha256(self) -> str:
        """Hash over ids and text bytes in order; clients pin it before they train."""
        digest = hashlib.sha256(b"fedknot transfer set 1")
        for row, text in enumerate(self.texts):
            data = text.encode("utf-8", "surrogatepass")
            digest.update(row.to_bytes(4, "little") + len(data).to_bytes(8, "little") + data)
        return digest.hexdigest()

    def save(self, path: Path) -> None:
        """Write ``transfer.jsonl``: one ``{"id", "text"}`` a line."""
        write_lines(path, ({"id": row, "text": text} for row, text in enumerate(self.texts)))

    @classmethod
    def read(cls, path: Path, sha256: str) -> "TransferSet":
        """Read what :meth:`save` wrote and compare it with the pinned hash.

        Raises:
            DataError: the file does not hold the texts that were agreed on.
        """
        try:
            made = cls(tuple(row["text"] for row in read_lines(path)))
            agreed = made.sha256 == sha256
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            agreed = False
        if not agreed:
            raise DataError(f"{path.name} is not the agreed transfer set; start a new run")
        return made
