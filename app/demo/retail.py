"""A file of real order lines as orders, one after the other, and what it says about each item. Nothing else is kept.

order_id,occurred_at,sku,quantity,unit_price        ordered by time; ids beginning with C give back, quantities < 0
"""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import groupby
from pathlib import Path

from app.core.errors import InvalidInput

COLUMNS = ["order_id", "occurred_at", "sku", "quantity", "unit_price"]
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
    for (order_id, at), rows in groupby(_rows(path), key=lambda row: (row[0], row[1])):
        units: dict[str, int] = {}
        lines = 0
        for _, _, sku, quantity, _ in rows:
            units[sku] = units.get(sku, 0) + int(quantity)
            lines += 1
        yield RetailOrder(order_id, _instant(at), units, lines)


def read_catalogue(path: Path) -> dict[str, Selling]:
    """Every item of the file."""
    items: dict[str, Selling] = {}
    for _, occurred_at, sku, quantity, unit_price in _rows(path):
        at = _instant(occurred_at)
        item = items.get(sku)
        if item is None:
            item = items[sku] = Selling(Decimal(unit_price), at)
        if int(quantity) > 0 and (at - item.first_at).days < FIRST_DAYS:
            item.early_units += int(quantity)
    return items


def _rows(path: Path) -> Iterator[list[str]]:
    with path.open("rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        text = io.TextIOWrapper(gzip.GzipFile(fileobj=raw) if packed else raw, "utf-8", newline="")
        rows = csv.reader(text)
        if next(rows, None) != COLUMNS:
            raise InvalidInput("wrong_columns", f"the first line must be {','.join(COLUMNS)}", where=str(path))
        for number, row in enumerate(rows, 2):
            if len(row) != len(COLUMNS):
                raise InvalidInput("wrong_line", f"line {number} has {len(row)} fields", where=str(path))
            yield row


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)
