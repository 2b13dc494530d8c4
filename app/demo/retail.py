"""A file of real order lines as orders, one after the other, and what it says about each item. Nothing else is kept.

order_id,occurred_at,sku,quantity,unit_price        ordered by time; ids beginning with C give back, quantities < 0
"""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import groupby
from pathlib import Path

from app.catalog.items import check_sku
from app.core.errors import InvalidInput
from app.core.figures import QUANTITY_MAX, read_money, read_quantity

COLUMNS = ["order_id", "occurred_at", "sku", "quantity", "unit_price"]
Line = tuple[str, datetime, str, int, Decimal]  # in the order of COLUMNS
FIRST_DAYS = 28  # what an item sold in its first days says how much to begin with


@dataclass(frozen=True, slots=True)
class RetailOrder:
    """An order: units by SKU, > 0 bought, < 0 given back."""

    order_id: str
    at: datetime
    units: dict[str, int]
    lines: int


@dataclass(slots=True)
class Selling:
    """An item of the file: its first price, when it first sold, and the units of its first days."""

    price: Decimal
    first_at: datetime
    early_units: int = 0


def read_orders(path: Path) -> Iterator[RetailOrder]:
    """The orders in the file's order; lines of one order that name the same item are one. Raises InvalidInput."""
    for (order_id, at), found in groupby(_lines(path), key=lambda line: (line[0], line[1])):
        units: dict[str, int] = {}
        lines = 0
        for _, _, sku, quantity, _ in found:
            units[sku] = units.get(sku, 0) + quantity
            lines += 1
        yield RetailOrder(order_id, at, units, lines)


def read_catalogue(path: Path) -> dict[str, Selling]:
    """Every item of the file, at least one. Raises InvalidInput."""
    items: dict[str, Selling] = {}
    for _, at, sku, quantity, unit_price in _lines(path):
        item = items.get(sku)
        if item is None:
            item = items[sku] = Selling(unit_price, at)
        if quantity > 0 and (at - item.first_at).days < FIRST_DAYS:
            item.early_units += quantity
    if not items:
        raise InvalidInput("no_lines", "there is not one order line in it", where=str(path))
    return items


def _lines(path: Path) -> Iterator[Line]:
    for number, row in enumerate(_rows(path), 2):
        try:
            yield _line(row)
        except InvalidInput as error:
            raise InvalidInput(error.reason, f"line {number}: {error.detail}", where=str(path)) from None


def _line(row: Sequence[str]) -> Line:
    if len(row) != len(COLUMNS):
        raise InvalidInput("wrong_line", f"{len(row)} fields in place of {len(COLUMNS)}")
    order_id, occurred_at, sku, quantity, unit_price = row
    if not order_id:
        raise InvalidInput("no_order_id", "an order needs an id")
    check_sku(sku)
    return order_id, _instant(occurred_at), sku, read_quantity(quantity, minimum=-QUANTITY_MAX), read_money(unit_price)


def _instant(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise InvalidInput("bad_instant", "write the time like 2011-01-31T10:00:00Z, with its zone")
    return at


def _rows(path: Path) -> Iterator[list[str]]:
    """The lines behind the first, which must name the columns."""
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            text = io.TextIOWrapper(gzip.GzipFile(fileobj=raw) if packed else raw, "utf-8", newline="")
            rows = csv.reader(text)
            if next(rows, None) != COLUMNS:
                raise InvalidInput("wrong_columns", f"the first line must be {','.join(COLUMNS)}", where=str(path))
            yield from rows
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as error:
        raise InvalidInput("file_unreadable", f"{path.name} can't be read: {error}", where=str(path)) from error
