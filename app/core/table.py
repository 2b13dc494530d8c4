"""Tables that people bring as CSV and take away as CSV.

Reading finds every fault with its line and column and writes nothing; a table with faults is for a preview. Cells are
text: a formula is kept as text, and leaves with a `'` before it so that no spreadsheet runs it.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TypeVar

from app.core.errors import Fault, InvalidInput
from app.core.text_encoding import decode_text

BYTES_MAX = 50_000_000
ROWS_MAX = 200_000
LINE_MAX = 100_000  # characters
CELL_MAX = 10_000
COLUMNS_MAX = 100
FAULTS_MAX = 500  # more are counted
DELIMITERS = ",;\t"

_FORMULA = re.compile(r"\s*'*[=+\-@＝＋－＠\t\r]")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")

T = TypeVar("T")
Cell = str | int | Decimal | None


@dataclass(frozen=True, slots=True)
class CellFault:
    """One thing wrong with a table. `line` counts from 1 as an editor shows it; `column` is the header, or empty."""

    line: int
    column: str
    reason: str
    message: str

    def as_fault(self) -> Fault:
        """The same for `InvalidInput` and problem documents."""
        place = f"line {self.line}, column {self.column}" if self.column else f"line {self.line}"
        return Fault(self.reason, self.message, place)


@dataclass
class Faults:
    """The faults of one table, bounded: the first `FAULTS_MAX` in full, the rest counted in `more`."""

    found: list[CellFault] = field(default_factory=list)
    more: int = 0

    def add(self, line: int, column: str, reason: str, message: str) -> None:
        """Note one fault."""
        if len(self.found) < FAULTS_MAX:
            self.found.append(CellFault(line, column, reason, message))
        else:
            self.more += 1

    def __bool__(self) -> bool:
        return bool(self.found)

    def __iter__(self) -> Iterator[CellFault]:
        return iter(self.found)


@dataclass(frozen=True, slots=True)
class Row:
    """One record: the line it starts on, and its cells by column name (an absent optional column is '')."""

    line: int
    cells: Mapping[str, str]

    def read(self, column: str, parse: Callable[[str], T], faults: Faults) -> T | None:
        """The cell as `parse` (such as `figures.read_quantity`) understands it; None and a fault where it refuses."""
        try:
            return parse(self.cells[column])
        except InvalidInput as error:
            faults.add(self.line, column, error.reason, error.detail)
            return None


@dataclass(frozen=True, slots=True)
class Table:
    """What was read. Import only when `faults` is empty; `ignored` are columns that nobody asked for."""

    rows: Sequence[Row]
    columns: Sequence[str]
    ignored: Sequence[str]
    faults: Faults
    delimiter: str = ","

    def note_duplicates(self, column: str) -> None:
        """Add a fault for every row whose cell repeats an earlier one's (blank cells aside)."""
        first: dict[str, int] = {}
        for row in self.rows:
            value = row.cells[column]
            if value and first.setdefault(value, row.line) != row.line:
                message = f"the same {column} is already on line {first[value]}"
                self.faults.add(row.line, column, "duplicate", message)


@dataclass(frozen=True, slots=True)
class _Header:
    positions: Mapping[str, int]
    width: int
    ignored: tuple[str, ...]


def read_table(data: bytes, required: Sequence[str], optional: Sequence[str] = ()) -> Table:
    """Read a CSV of comma, semicolon or tab, in UTF-8 or UTF-16 with a byte-order mark.

    Headers match regardless of case and of space against underscore, in any order. Never raises for what is in `data`:
    every fault is in the answer, and after one that concerns the whole file there are no rows.
    """
    faults = Faults()
    try:
        lines = _bounded_lines(data)
        delimiter = _best_delimiter(lines, required)
        records = _records(lines, delimiter)
        header = _read_header(records, required, optional, faults=faults)
        rows = [] if faults else _read_rows(records, header, dict.fromkeys(optional, ""), faults=faults)
    except _Unreadable as error:
        return _nothing(Faults([error.fault]))
    return Table(rows, tuple(header.positions), header.ignored, faults, delimiter)


def peek_columns(data: bytes) -> frozenset[str]:
    """The names of a table's columns as `read_table` compares them; none for what can't be read."""
    try:
        lines = _bounded_lines(data)
        _, cells = next(_records(lines, _best_delimiter(lines, ())), (0, []))
    except _Unreadable:
        return frozenset()
    return frozenset(map(_canonical, cells))


def write_table(columns: Sequence[str], rows: Iterable[Sequence[Cell]]) -> bytes:
    """A CSV that spreadsheets open without asking: UTF-8 with a byte-order mark, commas, formulas as text."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([_escaped(name) for name in columns])
    writer.writerows([_escaped(cell) for cell in row] for row in rows)
    return out.getvalue().encode("utf-8-sig")


class _Unreadable(Exception):
    def __init__(self, line: int, reason: str, message: str) -> None:
        super().__init__(reason)
        self.fault = CellFault(line, "", reason, message)


def _nothing(faults: Faults) -> Table:
    return Table((), (), (), faults)


def _escaped(cell: Cell) -> str:
    if cell is None:
        return ""
    if isinstance(cell, str):
        return f"'{cell}" if _FORMULA.match(cell) else cell
    return format(cell, "f") if isinstance(cell, Decimal) else str(cell)


def _unescaped(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell[1:]) else cell


def _bounded_lines(data: bytes) -> list[str]:
    if len(data) > BYTES_MAX:
        raise _Unreadable(1, "file_too_large", f"the file is over {BYTES_MAX // 1_000_000} MB: split it")
    try:
        text = decode_text(data)
    except InvalidInput as error:
        raise _Unreadable(1, error.reason, error.detail) from None
    lines = list(io.StringIO(text, newline=""))  # not splitlines(): that also splits at U+2028 and a form feed
    for number, line in enumerate(lines, start=1):
        if len(line) > LINE_MAX:
            raise _Unreadable(number, "line_too_long", f"the line is over {LINE_MAX} characters: a quote may be open")
    return lines


def _records(lines: Iterable[str], delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """(line it starts on, cells) of every record that is not blank."""
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            cells = [cell.strip() for cell in next(reader)]
        except StopIteration:
            return
        except csv.Error:
            message = 'the quotes do not fit: a cell that holds a quote is written "like ""this"""'
            raise _Unreadable(line, "bad_quotes", message) from None
        if any(cells):
            yield line, cells


def _best_delimiter(lines: Sequence[str], required: Sequence[str]) -> str:
    """The separator under which the first record has most of the required columns, then most columns at all."""

    def merit(delimiter: str) -> tuple[int, int]:
        try:
            _, cells = next(_records(lines, delimiter), (0, []))
        except _Unreadable:
            return (0, 0)
        names = {_canonical(cell) for cell in cells}
        return (sum(name in names for name in required), len(cells))

    return max(DELIMITERS, key=merit)


def _read_header(
    records: Iterator[tuple[int, list[str]]], required: Sequence[str], optional: Sequence[str], *, faults: Faults
) -> _Header:
    line, cells = next(records, (1, []))
    if not cells:
        raise _Unreadable(1, "empty_file", "the file is empty")
    if len(cells) > COLUMNS_MAX:
        raise _Unreadable(line, "too_many_columns", f"the file has over {COLUMNS_MAX} columns")
    known = {*required, *optional}
    positions: dict[str, int] = {}
    for position, name in enumerate(map(_canonical, cells)):
        if name in positions:
            faults.add(line, name, "duplicate_column", "the column is there twice")
        if name in known:
            positions[name] = position
    for name in required:
        if name not in positions:
            faults.add(line, name, "missing_column", _missing(name, cells))
    ignored = tuple(cell for cell in cells if cell and _canonical(cell) not in known)
    return _Header(positions, len(cells), ignored)


def _missing(name: str, cells: Sequence[str]) -> str:
    if len(cells) > 1:
        return f"there is no column {name}: the first line names the columns"
    return f"there is no column {name}: separate the columns with a comma, a semicolon or a tab"


def _canonical(name: str) -> str:
    return re.sub(r"[\s_-]+", "_", name.strip().casefold())


def _read_rows(
    records: Iterator[tuple[int, list[str]]], header: _Header, absent: Mapping[str, str], *, faults: Faults
) -> list[Row]:
    rows: list[Row] = []
    for line, cells in records:
        if len(rows) == ROWS_MAX:
            raise _Unreadable(line, "too_many_rows", f"the file has over {ROWS_MAX} rows: split it")
        if len(cells) != header.width:
            message = f"{len(cells)} cells where the first line has {header.width}: put text with a separator in quotes"
            faults.add(line, "", "wrong_cell_count", message)
        rows.append(Row(line, {**absent, **_read_cells(line, cells, header, faults)}))
    return rows


def _read_cells(line: int, cells: Sequence[str], header: _Header, faults: Faults) -> dict[str, str]:
    found = {}
    for name, position in header.positions.items():
        cell = cells[position] if position < len(cells) else ""
        if len(cell) > CELL_MAX:
            faults.add(line, name, "cell_too_long", f"the cell is over {CELL_MAX} characters")
        elif _CONTROL.search(cell):
            faults.add(line, name, "control_character", "the cell holds a control character that can't be seen")
        found[name] = _unescaped(cell)
    return found
