"""Rows of cells, wherever they come from: what a cell means, where it stands."""

import difflib
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from typing_extensions import override

from common.failures import DataError

_HARMLESS = re.compile(r"[\w .:/-]{1,40}")
_WHOLE = re.compile(r"(0|-?[1-9][0-9]*)\.0+")
_MOST_NAMED = 3


class Place(NamedTuple):
    """Where a row stands, for messages: ``reviews.csv, line 7``.

    Attributes:
        source: the name of a file or of a split.
        number: counted from 1.
        unit: ``line`` or ``row``.
    """

    source: str
    number: int
    unit: str = "line"

    @override
    def __str__(self) -> str:
        return f"{self.source}, {self.unit} {self.number}"


@dataclass(frozen=True, eq=False)
class Table:
    """M rows.

    Attributes:
        columns: M cells of each column, by its name.
        places: where each row stands.
        source: the file or split it is of, or several and the setting that names them; for
            messages.
    """

    columns: dict[str, list[Any]]
    places: list[Place]
    source: str = "the data"

    def __len__(self) -> int:
        return len(self.places)

    def column(self, name: str, setting: str) -> list[Any]:
        """The cells of a column.

        Args:
            name: of the column.
            setting: the key under which the user named it, for messages.

        Raises:
            DataError: there is no such column; names those there are.
        """
        if name in self.columns:
            return self.columns[name]
        close = difflib.get_close_matches(name, self.columns, n=1, cutoff=0.6)
        hint = f"did you mean {close[0]!r}? " if close and _HARMLESS.fullmatch(close[0]) else ""
        raise DataError(
            f"columns.{setting} = {name!r}, but {self.source} has no such column; {hint}"
            f"there are: {', '.join(map(_shown, self.columns)) or 'none'}"
        )

    def rows(self, chosen: Sequence[int]) -> "Table":
        """Some of the rows, in the given order."""
        columns = {name: [cells[i] for i in chosen] for name, cells in self.columns.items()}
        return Table(columns, [self.places[i] for i in chosen], self.source)


def stacked(tables: Sequence[Table], setting: str) -> Table:
    """The rows of several tables, one after the other; only columns that all of them have.

    Args:
        tables: one or more.
        setting: the key under which the user named them, for messages.
    """
    names = [name for name in tables[0].columns if all(name in t.columns for t in tables)]
    columns = {name: [cell for t in tables for cell in t.columns[name]] for name in names}
    return Table(columns, [place for t in tables for place in t.places], _listed(tables, setting))


def unrolled(table: Table, text: str, document: str) -> Table:
    """A row whose text cell is a list becomes one row per entry, all of one document.

    So dialogues are stored. Every other cell that is a list of the same length is unrolled
    with it, the rest is repeated. The column ``document`` numbers the rows that were there
    before; without a list nothing changes.

    Raises:
        DataError: some text cells are lists and some are not, or a list beside it is shorter.
    """
    cells = table.columns.get(text, [])
    if not any(isinstance(cell, list) for cell in cells):
        return table
    rows: list[dict[str, Any]] = []
    places: list[Place] = []
    for row, (cell, place) in enumerate(zip(cells, table.places, strict=True)):
        if not isinstance(cell, list):
            raise DataError(f"{place}: a list of texts is expected, as in the other rows")
        whole = {name: column[row] for name, column in table.columns.items()} | {document: row}
        rows += [_entry(whole, i, len(cell), place) for i in range(len(cell))]
        places += [place] * len(cell)
    names = [*table.columns, document]
    columns = {name: [row[name] for row in rows] for name in dict.fromkeys(names)}
    return Table(columns, places, table.source)


def text_of(cell: Any, place: Place) -> str:
    """The text of a cell; nothing (None, NaN) is the empty text, a number is written out.

    Raises:
        DataError: the cell is neither text nor number.
    """
    if is_missing(cell):
        return ""
    if isinstance(cell, str):
        return cell
    if isinstance(cell, bool | int | float):
        return name_of(cell)
    raise DataError(f"{place}: a text is expected, not {type(cell).__name__}")


def name_of(cell: Any) -> str:
    """How a cell names a label, a group or a document: 3, 3.0, "3.0" and " 3 " are all ``3``.

    Where a cell is missing, other programs write whole numbers with a point: so text is read as
    the number is, if it is a whole one in plain digits. ``1.10`` and ``007`` are no such numbers.
    """
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    name = str(cell).strip()
    return name.partition(".")[0] if _WHOLE.fullmatch(name) else name


def is_missing(cell: Any) -> bool:
    """None, and NaN as tables have it where nothing is."""
    return cell is None or (isinstance(cell, float) and math.isnan(cell))


def _entry(whole: dict[str, Any], i: int, length: int, place: Place) -> dict[str, Any]:
    lists = [cell for cell in whole.values() if isinstance(cell, list)]
    if any(len(cell) != length for cell in lists):
        raise DataError(f"{place}: lists of {length} entries are expected in all columns")
    return {name: cell[i] if isinstance(cell, list) else cell for name, cell in whole.items()}


def _listed(tables: Sequence[Table], setting: str) -> str:
    first = ", ".join(table.source for table in tables[:_MOST_NAMED])
    more = len(tables) - _MOST_NAMED
    return f"{first}{f' and {more} more' if more > 0 else ''} ({setting})"


def _shown(name: str) -> str:
    """A header that is none may be private text: only what looks like a name is repeated."""
    return name if _HARMLESS.fullmatch(name) else "(not a name)"
