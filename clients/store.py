"""One client's private folder: texts, features, teacher, releases. Nobody else opens it."""

import contextlib
import hashlib
import io
import itertools
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from common.arrays import Floats, Ints
from common.files import (
    line_bytes,
    read_bytes,
    read_json,
    read_lines,
    write_bytes,
    write_fresh,
    write_json,
)
from common.reasons import Reason, Refused
from common.terms import Terms
from common.transfer import TransferSet

_PRIVATE, _FOLDER = 0o600, 0o700
_DIGEST_BYTES = 32
_SPENT = "spent"  # in the metadata of a teacher's file: what it took of the client's privacy
_SEAL = "sha256"  # in the metadata of a teacher's file: of the same tensors without metadata


@dataclass(frozen=True)
class Store:
    """A client's folder, mode 0700, and what it refers to outside: public files only."""

    root: Path

    @classmethod
    def create(
        cls,
        root: Path,
        *,
        client: int,
        seed: int,
        config: dict[str, Any],
        public: Path,
        texts: Sequence[str],
        labels: Ints,
    ) -> "Store":
        """Write a new store: three inodes, which are on disk for sure once they are sealed.

        Args:
            root: the folder to make.
            client: the client's id.
            seed: the client's own seed; the experiment's is not in the store.
            config: the table of the client's configuration.
            public: the folder with ``terms.json``, ``transfer.jsonl`` and ``audit/``.
            texts: the M private texts.
            labels: shape (M,).
        """
        root.mkdir(parents=True, mode=_FOLDER)
        rows = ({"text": t, "label": int(y)} for t, y in zip(texts, labels, strict=True))
        write_fresh(root / "shard.jsonl", line_bytes(rows), _PRIVATE)
        about = {
            "client": client,
            "seed": seed,
            "config": config,
            "public": str(public.resolve()),
            "terms_sha256": _sha256(public / "terms.json"),
        }
        write_fresh(root / "client.json", line_bytes([about]), _PRIVATE)
        return cls(root)

    @cached_property
    def home(self) -> str:
        """The folder as a string: pathlib takes longer over a name than the system over a file."""
        return os.fspath(self.root)

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
            write_json(self.root / "client.json", about | {"public": here}, _PRIVATE)
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
        if _sha256(path) != pinned:
            raise Refused(Reason.wrong_binding)
        return _terms(path, pinned)

    def transfer(self) -> TransferSet:
        """The shared texts, compared with the pinned hash."""
        path = self.public() / "transfer.jsonl"
        return _transfer(path, _sha256(path), self.terms().transfer_sha256)

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
        write_bytes(path, line_bytes([verdict]), _PRIVATE, durable=False)

    def shard(self) -> tuple[list[str], Ints]:
        """The private texts and their labels, shape (M,)."""
        rows = read_lines(self.root / "shard.jsonl")
        return [row["text"] for row in rows], np.array([row["label"] for row in rows], np.int64)

    def features(self) -> Floats | None:
        """Features of the private texts, shape (M, D), or None if there are none undamaged."""
        path = self.root / "features.npy"
        data = _opened(path.read_bytes() if path.exists() else b"")
        if data is None:
            return None
        made: Floats = np.load(io.BytesIO(data), allow_pickle=False)
        return made

    def keep_features(self, features: Floats) -> None:
        """Store the features of the private texts, with a digest behind the array.

        A power cut may take or damage them: the digest tells, and they are computed anew.
        """
        file = io.BytesIO()
        np.save(file, features, allow_pickle=False)
        data = file.getvalue()
        sealed = data + hashlib.sha256(data).digest()
        write_bytes(self.root / "features.npy", sealed, _PRIVATE, durable=False)

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
        write_bytes(self._teacher(server_round), sealed, _PRIVATE)

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

    def note(self, text: str) -> None:
        """Append to the client's own log, which nobody else reads."""
        handle = os.open(self.root / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND, _PRIVATE)
        with os.fdopen(handle, "ab") as log:
            log.write(text.encode("utf-8", "backslashreplace"))

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
        payload = _opened(sealed)
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
            os.mkdir(shelf, _FOLDER)
        sealed = payload + hashlib.sha256(payload).digest()
        write_bytes(path, sealed, _PRIVATE, durable=False)

    def consensus(self, server_round: int) -> bytes | None:
        """What the server said before a round; None if nothing was kept, or it is damaged."""
        path = self.root / "consensus" / f"{server_round}.bin"
        return _opened(path.read_bytes()) if path.exists() else None

    def keep_consensus(self, server_round: int, payload: bytes) -> None:
        """Store what the server said before a round, with a digest; it is on disk on return."""
        shelf = self.root / "consensus"
        shelf.mkdir(mode=_FOLDER, exist_ok=True)
        sealed = payload + hashlib.sha256(payload).digest()
        write_bytes(shelf / f"{server_round}.bin", sealed, _PRIVATE)

    def release_paths(self, server_round: int) -> tuple[str, str]:
        """The file of a release, and its folder."""
        shelf = f"{self.home}/releases"
        return f"{shelf}/{server_round}.bin", shelf


def _sha256(path: str | Path) -> str:
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


def _opened(sealed: bytes) -> bytes | None:
    """What stands before a digest of it, or None where it does not fit."""
    data, digest = sealed[:-_DIGEST_BYTES], sealed[-_DIGEST_BYTES:]
    return data if hashlib.sha256(data).digest() == digest else None


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
