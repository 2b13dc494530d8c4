"""The table of items that a merchant brings: what each row says, and every fault with its line and column. Pure.

Nothing is guessed and nothing is written here; `app.ledger.opening` compares the rows with what is there and posts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from app.catalog.items import NAME_MAX, NewItem, check_sku
from app.catalog.kits import read_components
from app.catalog.known_exports import read_any
from app.core.errors import InvalidInput
from app.core.figures import read_money, read_quantity
from app.core.table import Faults, Row

REQUIRED = ("sku", "name")
OPTIONAL = ("barcode", "location", "on_hand", "unit_cost", "total_cost", "kind", "components")
BARCODE_MAX = 100
KINDS = ("stock", "kit")
VALUE_MAX = Decimal("99999999999999")  # what numeric(18, 4) holds


@dataclass(frozen=True, slots=True)
class ItemRow:
    """One row: an item and what of it lies at a place. `location` '' means the first place; `on_hand` None that the row
    is about no stock; `value` is that of all units together, None where no cost was given; `components`: units by SKU
    in one kit."""

    line: int
    item: NewItem
    location: str
    on_hand: int | None
    value: Decimal | None
    unit_cost: Decimal | None = None
    components: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ItemTable:
    """What was read: the rows that are sound by themselves, the columns that nobody asked for, and all faults.
    `source`: whose export it is, '' for a plain table; `left_out`: lines that are about no item; `skus`: of all rows,
    faulty or not."""

    rows: Sequence[ItemRow]
    ignored: Sequence[str]
    faults: Faults
    source: str = ""
    left_out: Faults = field(default_factory=Faults)
    delimiter: str = ","
    skus: frozenset[str] = frozenset()


def read_items(data: bytes) -> ItemTable:
    """Read a CSV of items (docs/importing-items.md). Never raises for what is in `data`."""
    found = read_any(data, REQUIRED, OPTIONAL)
    table = found.table
    rows = [item for row in table.rows if (item := _read_row(row, table.faults)) is not None]
    _compare_rows_of_one_item(rows, table.faults)
    skus = frozenset(row.cells["sku"] for row in table.rows)
    return ItemTable(rows, table.ignored, found.faults_as_told(), found.source, found.left_out, table.delimiter, skus)


def _read_row(row: Row, faults: Faults) -> ItemRow | None:
    before = len(faults.found) + faults.more
    sku = row.read("sku", _sku, faults)
    name = row.read("name", _name, faults)
    barcode = row.read("barcode", _barcode, faults)
    kind = row.read("kind", _kind, faults)
    on_hand = row.read("on_hand", read_quantity, faults) if row.cells["on_hand"] else None
    value = _value(row, on_hand, faults)
    components = (row.read("components", read_components, faults) if row.cells["components"] else None) or {}
    if kind == "stock" and components:
        faults.add(row.line, "components", "not_a_kit", "only a kit has components: write kit in the column kind")
    if kind == "kit" and on_hand:
        faults.add(row.line, "on_hand", "kit_stock", "a kit has no stock of its own: give it to its components")
    if sku is None or name is None or kind is None or len(faults.found) + faults.more > before:
        return None
    cost = read_money(row.cells["unit_cost"]) if row.cells["unit_cost"] else None
    item = NewItem(sku, name, barcode or None, kind)
    return ItemRow(row.line, item, row.cells["location"], on_hand, value, cost, components)


def _value(row: Row, on_hand: int | None, faults: Faults) -> Decimal | None:
    """What the units are worth together; a unit's cost times the units is exact."""
    unit = row.read("unit_cost", read_money, faults) if row.cells["unit_cost"] else None
    total = row.read("total_cost", read_money, faults) if row.cells["total_cost"] else None
    if row.cells["unit_cost"] and row.cells["total_cost"]:
        faults.add(row.line, "total_cost", "two_costs", "give the cost of a unit or of all units, not both")
    if total and not on_hand:
        faults.add(row.line, "total_cost", "cost_without_stock", "there is a cost for no units: give on_hand")
    if unit is not None and on_hand is not None:
        total = unit * on_hand
        if total > VALUE_MAX:
            faults.add(row.line, "unit_cost", "too_large", "the units together are worth more than can be kept")
    return total


def _compare_rows_of_one_item(rows: Sequence[ItemRow], faults: Faults) -> None:
    """A SKU may be on several rows, each for another place, and all say the same of the item."""
    first: dict[str, ItemRow] = {}
    places: dict[tuple[str, str], int] = {}
    for row in rows:
        known = first.setdefault(row.item.sku, row)
        line = places.setdefault((row.item.sku, row.location.casefold()), row.line)
        if line != row.line:
            faults.add(row.line, "sku", "duplicate", f"this sku at this location is already on line {line}")
        for column in ("name", "barcode", "kind"):
            if getattr(row.item, column) != getattr(known.item, column):
                faults.add(row.line, column, "differs", f"line {known.line} says otherwise of the same sku")
        if row.components != known.components:
            faults.add(row.line, "components", "differs", f"line {known.line} says otherwise of the same sku")


def _sku(text: str) -> str:
    if not text:
        raise InvalidInput("blank", "a sku is missing")
    check_sku(text)
    return text


def _name(text: str) -> str:
    if not text:
        raise InvalidInput("blank", "a name is missing")
    if len(text) > NAME_MAX:
        raise InvalidInput("bad_name", f"at most {NAME_MAX} characters")
    return text


def _barcode(text: str) -> str:
    if len(text) > BARCODE_MAX or not text.isprintable():
        raise InvalidInput("bad_barcode", f"at most {BARCODE_MAX} characters that can be seen")
    return text


def _kind(text: str) -> str:
    kind = text.casefold() or "stock"
    if kind not in KINDS:
        raise InvalidInput("bad_kind", "stock or kit; blank means stock")
    return kind
