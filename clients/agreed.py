"""What a client was told and agreed to: its half of the store that refers to public files."""

import hashlib
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from clients.folder import PRIVATE, Folder
from common.files import line_bytes, read_bytes, read_json, write_bytes, write_json
from common.reasons import Reason, Refused
from common.terms import Terms
from common.transfer import TransferSet


class Agreed(Folder):
    """Id, configuration, terms and transfer set of a client, and what it thinks of the latter."""

    def about(self) -> dict[str, Any]:
        """Id, seed, configuration table and the public folder, as they were when first asked."""
        return self._about

    @cached_property
    def _about(self) -> dict[str, Any]:
        made: dict[str, Any] = read_json(f"{self.home}/client.json")
        return made

    def public(self) -> Path:
        """The folder that all parties share."""
        return Path(self.about()["public"])

    def move_public(self, public: Path) -> None:
        """Say where the public folder lies now."""
        about, here = self.about(), str(public.resolve())
        if about["public"] != here:
            write_json(self.root / "client.json", about | {"public": here}, PRIVATE)
            for read in ("_about", "_agreed"):
                self.__dict__.pop(read, None)

    def terms(self) -> Terms:
        """What was agreed on when the store was made, and pinned by hash then; read once.

        Raises:
            Refused: the shared file says something else now.
        """
        return self._agreed

    @cached_property
    def _agreed(self) -> Terms:
        about = self.about()
        path, pinned = f"{about['public']}/terms.json", about["terms_sha256"]
        if digest_of(path) != pinned:
            raise Refused(Reason.wrong_binding)
        return _terms(path, pinned)

    def transfer(self) -> TransferSet:
        """The shared texts, compared with the pinned hash."""
        path = self.public() / "transfer.jsonl"
        return _transfer(path, digest_of(path), self.terms().transfer_sha256)

    def verdict(self) -> dict[str, Any] | None:
        """What this client thinks of the transfer set of its run, or None if that is not known."""
        try:
            found = read_json(f"{self.home}/vetting.json")
        except (OSError, ValueError):
            return None
        whole = isinstance(found, dict) and found.keys() == {"sha256", "objection"}
        return found if whole else None

    def keep_verdict(self, verdict: dict[str, Any]) -> None:
        """Store what this client thinks of the transfer set; it is looked at once.

        A power cut may take it: it follows from what is on disk, and is then found anew.
        """
        path = self.root / "vetting.json"
        write_bytes(path, line_bytes([verdict]), PRIVATE, durable=False)


def digest_of(path: str | Path) -> str:
    """The SHA-256 of a file in hex; a word that is none where there is no such file."""
    try:
        return hashlib.sha256(read_bytes(path)).hexdigest()
    except FileNotFoundError:
        return "missing"


@lru_cache(maxsize=2)  # the clients of one process agreed on the same terms
def _terms(path: str, sha256: str) -> Terms:
    del sha256  # of the bytes, as a key
    return Terms.read(Path(path))


@lru_cache(maxsize=2)  # and on the same texts
def _transfer(path: Path, sha256: str, agreed: str) -> TransferSet:
    del sha256
    return TransferSet.read(path, agreed)
