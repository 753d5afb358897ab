"""Reading tables from files: CSV, TSV, JSON lines, Parquet."""

import codecs
import csv
import io
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from common.configure import unknown
from common.failures import ConfigError, DataError
from simulations.datasets._table import Place, Table
from simulations.extras import optional

ENDINGS: Final = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
}


_MARKS: Final = {
    codecs.BOM_UTF32_LE: "utf-32",  # before that of UTF-16, with which it begins
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_SEPARATORS: Final = (",", ";", "\t", "|")


class Layout(NamedTuple):
    """How files are written.

    Attributes:
        format: ``csv``, ``tsv``, ``jsonl`` or ``parquet``; ``auto`` goes by the name's ending.
        encoding: of the text formats.
        delimiter: between the cells of a CSV file.
    """

    format: str = "auto"
    encoding: str = "utf-8-sig"
    delimiter: str = ","


def read_table(path: Path, layout: Layout) -> Table:
    """All rows of a file.

    Args:
        path: of the file.
        layout: of the file.

    Raises:
        DataError: the file is missing, damaged, or not of that layout or encoding; names
            the line and never shows what stands there.
        ConfigError: the ending says nothing, or there is no such encoding.
    """
    kind = _format(path) if layout.format == "auto" else layout.format
    try:
        content = path.read_bytes()
    except OSError as error:
        why = (error.strerror or "no reason given").lower()
        raise DataError(f"{path} cannot be read ({why}); check data.dataset.paths") from error
    if kind == "parquet":
        return _parquet(content, path.name)
    text = _decoded(content, layout.encoding, path.name)
    if kind == "csv":
        return _csv(text, path.name, layout.delimiter)
    return _tsv(text, path.name) if kind == "tsv" else _jsonl(text, path.name)


def _format(path: Path) -> str:
    if path.suffix.lower() not in ENDINGS:
        raise ConfigError(f"{path.name} ends in none of {', '.join(ENDINGS)}; write format = 'csv'")
    return ENDINGS[path.suffix.lower()]


def _decoded(content: bytes, encoding: str, name: str) -> str:
    """The text, without a byte-order mark."""
    marked = next((known for mark, known in _MARKS.items() if content.startswith(mark)), "")
    try:
        if marked and codecs.lookup(encoding).name[:6] != marked:
            raise DataError(f"{name} begins as {marked} does; write encoding = '{marked}'")
        return content.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{name}, line {line}: the bytes there are not {encoding}; write "
            "encoding = 'cp1252' or whatever the file has, or save all of it in one encoding"
        ) from error
    except (LookupError, ValueError) as error:  # a codec that decodes nothing raises either
        known = ("utf-8-sig", "utf-8", "utf-16", "latin-1", "cp1252")
        raise ConfigError(unknown("data.dataset.encoding", encoding, known)) from error


def _csv(text: str, name: str, delimiter: str) -> Table:
    """Commas, quotes where needed, a header line; line ends inside quotes belong to a cell."""
    _check_separated(text, name, delimiter)
    with _long_cells():
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        rows = _numbered(reader, name)
        return _of_cells(list(rows), name)


def _tsv(text: str, name: str) -> Table:
    """Tabs between cells, one row a line, a header line; quotes are ordinary characters."""
    _check_separated(text, name, "\t")
    lines = text.replace("\r\n", "\n").split("\n")
    return _of_cells([(i, line.split("\t")) for i, line in enumerate(lines, 1) if line], name)


def _jsonl(text: str, name: str) -> Table:
    """One object a line; a key that a line lacks is missing there."""
    rows, places = [], []
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            rows.append(_object(line, Place(name, number)))
            places.append(Place(name, number))
    names = dict.fromkeys(key for row in rows for key in row)
    return Table({key: [row.get(key) for row in rows] for key in names}, places, name)


def _parquet(content: bytes, name: str) -> Table:
    parquet = optional("pyarrow.parquet", "parquet", "a Parquet file")
    arrow = optional("pyarrow", "parquet", "a Parquet file")
    try:
        columns = parquet.read_table(io.BytesIO(content)).to_pydict()
    except (arrow.ArrowException, OSError) as error:
        raise DataError(f"{name} is not a whole Parquet file; make it anew") from error
    size = max((len(cells) for cells in columns.values()), default=0)
    return Table(columns, [Place(name, i + 1, "row") for i in range(size)], name)


def _check_separated(text: str, name: str, delimiter: str) -> None:
    """A header line of one cell is none, for text and label are two: is it cut in another way?"""
    header = text.lstrip("\r\n").partition("\n")[0]
    other = max(_SEPARATORS, key=header.count)
    if delimiter not in header and other in header:
        told = "format = 'tsv'" if other == "\t" else f"format = 'csv' and delimiter = '{other}'"
        shown = "tabs" if other == "\t" else f"'{other}'"
        raise DataError(f"{name} seems to be separated by {shown}; write {told}")


def _numbered(reader: Any, name: str) -> Iterator[tuple[int, list[str]]]:
    """Rows with the line they begin in; empty lines are none."""
    start = 1
    try:
        for row in reader:
            if row:
                yield start, row
            start = reader.line_num + 1
    except csv.Error as error:
        raise DataError(
            f"{name}, line {start}: not CSV from here on (an open quote, or one inside a cell "
            "that is not doubled)"
        ) from error


def _of_cells(rows: list[tuple[int, list[str]]], name: str) -> Table:
    if not rows:
        raise DataError(f"{name} is empty; a header line and at least two rows are needed")
    (_, header), *body = rows
    if len(set(header)) < len(header):
        raise DataError(f"{name}: two columns of the header line have the same name")
    for number, row in body:
        if len(row) != len(header):
            raise DataError(
                f"{name}, line {number}: {len(row)} cells, but the header line has {len(header)}"
            )
    columns = {key: [row[i] for _, row in body] for i, key in enumerate(header)}
    return Table(columns, [Place(name, number) for number, _ in body], name)


def _object(line: str, place: Place) -> dict[str, Any]:
    try:
        made = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{place}: not JSON; every line must be one object") from error
    if not isinstance(made, dict):
        raise DataError(f"{place}: every line must be one JSON object")
    return made


@contextmanager
def _long_cells() -> Iterator[None]:
    """The module's limit of 128 KB a cell is global: lift it only while reading."""
    limit = csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    try:
        yield
    finally:
        csv.field_size_limit(limit)
