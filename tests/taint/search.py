"""Look for secrets in files, in what files pack, and in the memory of processes."""

import base64
import itertools
import os
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.taint.canaries import Needle

CHUNK = 1 << 24
PAGE = os.sysconf("SC_PAGE_SIZE")
DEPTH = 4
_ZLIB = re.compile(rb"\x78[\x01\x5e\x9c\xda]")
_BASE64 = re.compile(rb"[A-Za-z0-9+/]{40,}={0,2}")
_LARGEST = 1 << 26


@dataclass(frozen=True, order=True)
class Find:
    """A secret at a place where it should not be.

    Attributes:
        place: a file or a process.
        client: whose secret it is.
        what: "text", "row", "weight", "path", "label" or "examples".
        form: how it was spelt there.
    """

    place: str
    client: int
    what: str
    form: str


class Searcher:
    """Searches for many needles at once: first for what several of them begin with."""

    def __init__(self, needles: Iterable[Needle]) -> None:
        groups: dict[bytes, list[Needle]] = {}
        for needle in needles:
            groups.setdefault(needle.data[:3], []).append(needle)
        self._groups = [(_lead(group), group) for group in groups.values()]
        self.longest = max(len(n.data) for _, group in self._groups for n in group)

    def inside(self, data: bytes) -> set[Needle]:
        """The needles that are in ``data`` as it stands."""
        found: set[Needle] = set()
        for lead, group in self._groups:
            at = data.find(lead)
            while at >= 0:
                found.update(n for n in group if data.startswith(n.data, at))
                at = data.find(lead, at + 1)
        return found

    def deep(self, data: bytes) -> set[Needle]:
        """The needles in ``data`` and in everything that is packed in it."""
        found: set[Needle] = set()
        for layer in layers(data):
            found |= self.inside(layer)
        return found


def _lead(group: list[Needle]) -> bytes:
    first, last = (pick(needle.data for needle in group) for pick in (min, max))
    same = (a == b for a, b in zip(first, last, strict=False))
    return first[: len(list(itertools.takewhile(bool, same)))]


def layers(data: bytes, depth: int = DEPTH) -> Iterator[bytes]:
    """The data, and what gzip, zlib, zip, PNG and base64 hold inside it, however nested."""
    yield data
    if depth:
        for inner in _unpacked(data):
            yield from layers(inner, depth - 1)


def _unpacked(data: bytes) -> Iterator[bytes]:
    for at in _all(data, b"\x1f\x8b\x08"):
        yield from _inflated(data[at:], 31)
    for match in _ZLIB.finditer(data):
        yield from _inflated(data[match.start() :], 15)
    for at in _all(data, b"PK\x03\x04"):
        head = data[at : at + 30]
        if len(head) == 30 and head[8:10] == b"\x08\x00":
            skip = int.from_bytes(head[26:28], "little") + int.from_bytes(head[28:30], "little")
            yield from _inflated(data[at + 30 + skip :], -15)
    if data.startswith(b"\x89PNG"):  # a picture's stream is cut into chunks
        yield from _inflated(b"".join(_chunks(data)), 15)
    for match in _BASE64.finditer(data):
        text = match.group().rstrip(b"=")
        yield base64.b64decode(text[: len(text) // 4 * 4])


def _inflated(data: bytes, window: int) -> Iterator[bytes]:
    try:
        made = zlib.decompressobj(window).decompress(data, _LARGEST)
    except zlib.error:
        return
    if made:
        yield made


def _chunks(data: bytes) -> Iterator[bytes]:
    at = 8
    while at + 8 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        if data[at + 4 : at + 8] == b"IDAT":
            yield data[at + 8 : at + 8 + length]
        at += length + 12


def _all(data: bytes, sign: bytes) -> Iterator[int]:
    at = data.find(sign)
    while at >= 0:
        yield at
        at = data.find(sign, at + 1)


def files(root: Path, searcher: Searcher, but: tuple[str, ...] = ()) -> set[Find]:
    """Search every file under ``root``, names included, but for some top folders."""
    found: set[Find] = set()
    for path in sorted(root.rglob("*")):
        place = path.relative_to(root)
        if place.parts[0] not in but and path.is_file():
            data = path.read_bytes() + b"\n" + str(place).encode("utf-8", "surrogateescape")
            found |= {Find(str(place), n.client, n.what, n.form) for n in searcher.deep(data)}
    return found


def numbers(root: Path, counts: dict[int, int], but: tuple[str, ...] = ()) -> set[Find]:
    """Where a number of examples stands in a file of text, or as four bytes in a release.

    Args:
        root: everything below it is searched,
        counts: for the number of each client,
        but: except for these folders.
    """
    found: set[Find] = set()
    for path in sorted(p for p in root.rglob("*") if p.is_file()):
        place = path.relative_to(root)
        if not any(place.is_relative_to(folder) for folder in but):
            found |= counted(path.read_bytes(), str(place), counts, path.suffix == ".bin")
    return found


def counted(data: bytes, place: str, counts: dict[int, int], binary: bool = False) -> set[Find]:
    """The numbers of examples in data that is text, or a release."""
    return {
        Find(place, client, "examples", form)
        for client, count in counts.items()
        for form, pattern in _spelt(count, binary)
        if re.search(pattern, data)
    }


def _spelt(count: int, binary: bool) -> Iterator[tuple[str, bytes]]:
    if binary:
        yield "u32", re.escape(count.to_bytes(4, "little"))
        yield "u32, big-endian", re.escape(count.to_bytes(4, "big"))
    else:
        for form, text in (("decimal", f"{count}"), ("with a comma", f"{count:,}")):
            yield form, rb"(?<![0-9A-Za-z.])" + text.encode() + rb"(?![0-9A-Za-z])"


def memory(pid: int, place: str, searcher: Searcher) -> set[Find]:
    """Search all that a live process has in memory, but for files of code that it maps.

    Raises:
        PermissionError: this machine does not let us.
    """
    found: set[Find] = set()
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as mem:
        for start, end in _regions(pid):
            for data in _pieces(mem.fileno(), start, end, searcher.longest):
                found |= {Find(place, n.client, n.what, n.form) for n in searcher.inside(data)}
    return found


def _regions(pid: int) -> Iterator[tuple[int, int]]:
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        where, mode, _, _, inode, *name = line.split(maxsplit=5)
        special = bool(name) and name[0].startswith(("[vvar", "[vsyscall", "[vdso"))
        if mode[0] == "r" and not special and (mode[1] == "w" or inode == "0"):
            start, end = (int(part, 16) for part in where.split("-"))
            yield from _present(pid, start, end)


def _present(pid: int, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The parts of a region that hold anything: much is reserved and never touched."""
    with Path(f"/proc/{pid}/pagemap").open("rb", buffering=0) as table:
        entries = os.pread(table.fileno(), 8 * ((end - start) // PAGE), 8 * (start // PAGE))
    used = np.frombuffer(entries, dtype="<u8") >> np.uint64(62) != 0  # in memory, or swapped
    edges = np.flatnonzero(np.diff(used.astype(np.int8), prepend=0, append=0))
    for first, last in edges.reshape(-1, 2).tolist():
        yield start + first * PAGE, start + last * PAGE


def _pieces(handle: int, start: int, end: int, overlap: int) -> Iterator[bytes]:
    at = start
    while at < end:
        try:
            data = os.pread(handle, min(CHUNK, end - at), at)
        except OSError:  # a region that is gone by now, or of a device
            return
        if not data:
            return
        yield data
        at += len(data) if at + len(data) >= end else max(1, len(data) - overlap)
