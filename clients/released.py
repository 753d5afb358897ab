"""What crossed, in a client's store: its releases, and what the server said back."""

import contextlib
import itertools
import os
from collections.abc import Iterator

from clients.folder import FOLDER, PRIVATE, Folder, closed, opened
from common.files import read_bytes, write_bytes
from common.reasons import Reason, Refused


class Released(Folder):
    """Every file with a digest behind, so that what is damaged is never taken for what was said."""

    def release(self, server_round: int) -> bytes | None:
        """What this client released in a round, or None.

        Raises:
            Refused: the file is damaged. What was said may have arrived, so nothing else is
                said instead.
        """
        try:
            sealed = read_bytes(self.release_paths(server_round)[0])
        except FileNotFoundError:
            return None
        payload = opened(sealed)
        if payload is None:
            raise Refused(Reason.client_error)
        return payload

    def releases(self, first: int = 0) -> Iterator[tuple[int, bytes]]:
        """Round and bytes of every undamaged release, by round, each read when it is asked for.

        Args:
            first: the round of the one that comes before all of them, if it is there.
        """
        for server_round in itertools.chain([first], self._released()):
            with contextlib.suppress(Refused):
                if (payload := self.release(server_round)) is not None:
                    yield server_round, payload

    def _released(self) -> Iterator[int]:
        """The rounds of which there is a release, damaged or not; looked up only when asked for."""
        shelf = f"{self.home}/releases"
        names = os.listdir(shelf) if os.path.isdir(shelf) else []
        whole = (name.removesuffix(".bin") for name in names if name.endswith(".bin"))
        yield from sorted(int(stem) for stem in whole if stem.isdecimal())

    def keep_release(self, server_round: int, payload: bytes) -> None:
        """Store a release and its digest, so that asking again gets the same bytes again.

        Before the bytes leave the client, :meth:`release_paths` are to be on disk.
        """
        path, shelf = self.release_paths(server_round)
        with contextlib.suppress(FileExistsError):
            os.mkdir(shelf, FOLDER)
        write_bytes(path, closed(payload), PRIVATE, durable=False)

    def consensus(self, server_round: int) -> bytes | None:
        """What the server said before a round; None if nothing was kept, or it is damaged."""
        path = self.root / "consensus" / f"{server_round}.bin"
        return opened(path.read_bytes()) if path.exists() else None

    def keep_consensus(self, server_round: int, payload: bytes) -> None:
        """Store what the server said before a round, with a digest; it is on disk on return."""
        shelf = self.root / "consensus"
        shelf.mkdir(mode=FOLDER, exist_ok=True)
        write_bytes(shelf / f"{server_round}.bin", closed(payload), PRIVATE)

    def release_paths(self, server_round: int) -> tuple[str, str]:
        """The file of a release, and its folder."""
        shelf = f"{self.home}/releases"
        return f"{shelf}/{server_round}.bin", shelf
