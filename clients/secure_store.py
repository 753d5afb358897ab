"""What a client keeps of its attempts at secure sums, in its private store."""

from dataclasses import dataclass
from pathlib import Path

from clients.masking import new_secret, public_key
from common.files import write_bytes
from common.rosters import Roster

_PRIVATE, _FOLDER = 0o600, 0o700


@dataclass(frozen=True)
class Attempt:
    """Keys, roster and masked record of one attempt of one round.

    Everything here is on disk when the method that writes it returns, so a client that is killed
    sends the same bytes again. The private key is deleted once the masked record is there: nobody
    needs it any more. If a client is killed between the two, :func:`tidied` deletes it.

    Attributes:
        home: the folder of all attempts.
        name: of this one.
    """

    home: Path
    name: str

    @classmethod
    def of(cls, store: Path, server_round: int, attempt: int) -> "Attempt":
        """The one of a round in a client's store."""
        return cls(store / "sums", f"{server_round}-{attempt}")

    def public(self) -> bytes:
        """The public key, 32 bytes; the pair is made now if there is none."""
        if (known := self._read("public")) is not None:
            return known
        self.home.mkdir(mode=_FOLDER, exist_ok=True)
        secret = new_secret()
        # The public one last: where it is, the other was.
        self._write("secret", secret)
        self._write("public", public_key(secret))
        return public_key(secret)

    def named(self) -> bytes | None:
        """The public key, if one was made."""
        return self._read("public")

    def secret(self) -> bytes | None:
        """The private key; None before there is one, and after the masked record was made."""
        return self._read("secret")

    def roster(self) -> Roster | None:
        """The list that this client agreed to in this attempt."""
        data = self._read("roster")
        return None if data is None else Roster.read(data)

    def agree(self, roster: Roster) -> None:
        """Agree to a list, once and for all."""
        self._write("roster", roster.payload)

    def masked(self) -> bytes | None:
        """The masked record, if it was made."""
        return self._read("masked")

    def keep_masked(self, payload: bytes) -> None:
        """Store the masked record and forget the private key."""
        self._write("masked", payload)
        (self.home / f"{self.name}.secret").unlink(missing_ok=True)

    def _read(self, part: str) -> bytes | None:
        path = self.home / f"{self.name}.{part}"
        return path.read_bytes() if path.exists() else None

    def _write(self, part: str, data: bytes) -> None:
        write_bytes(self.home / f"{self.name}.{part}", data, _PRIVATE)


def tidied(store: Path) -> None:
    """Delete private keys that are not needed any more, as a kill may have left one."""
    for path in (store / "sums").glob("*.masked"):
        path.with_suffix(".secret").unlink(missing_ok=True)


def agreed(store: Path) -> list[Roster]:
    """All lists that a client ever agreed to in its run."""
    return [Roster.read(path.read_bytes()) for path in sorted((store / "sums").glob("*.roster"))]
