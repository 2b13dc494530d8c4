"""Tables that other programs export, recognised by their headers and read as a table of items. Pure.

Shopify: the product export (its columns before and since 2025: `Variant SKU`, `SKU`) and the inventory export, where
`Available` is what can be sold. Stocky: the variant report (`Product`, `SKU`, `Average Cost`, `Cost Price`, `Stock`),
which is what remains of its costs. Columns as of November 2026, from exports that people published.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from app.core.table import Faults, Row, Table, peek_columns, read_table

NOT_STOCKED = "not stocked"  # Shopify's words for a place that never has it
OPTIONS = ("option1_value", "option2_value", "option3_value")
NO_OPTION = "Default Title"
_AVAILABLE = ("available_(not_editable)", "available", "on_hand_(current)", "on_hand")


@dataclass(frozen=True, slots=True)
class Known:
    """A kind of export. `columns`: by our column, theirs that may hold it, first choice first. `marks`: columns that
    tell it from every other."""

    name: str
    marks: Sequence[str]
    columns: Mapping[str, Sequence[str]]
    extra: Sequence[str] = ()

    @property
    def theirs(self) -> list[str]:
        """Every column that is looked at."""
        return list(dict.fromkeys([*(name for names in self.columns.values() for name in names), *self.extra]))


KNOWN = (
    Known(
        "Shopify products", ("handle", "variant_sku"),
        {"sku": ("variant_sku",), "name": ("title",), "barcode": ("variant_barcode",),
         "on_hand": ("variant_inventory_qty",), "unit_cost": ("cost_per_item",)},
        ("handle", "variant_price", *OPTIONS),
    ),
    Known(
        "Shopify products", ("url_handle", "sku"),
        {"sku": ("sku",), "name": ("title",), "barcode": ("barcode",), "on_hand": ("inventory_quantity",),
         "unit_cost": ("cost_per_item",)},
        ("url_handle", "price", *OPTIONS),
    ),
    Known(
        "Shopify inventory", ("handle", "sku", "location"),
        {"sku": ("sku",), "name": ("title",), "location": ("location",), "on_hand": _AVAILABLE},
        ("handle", *OPTIONS),
    ),
    Known(
        "Stocky variants", ("product", "sku"),
        {"sku": ("sku",), "name": ("product",), "barcode": ("barcode",), "on_hand": ("stock",),
         "unit_cost": ("average_cost", "cost_price")},
        ("variant",),
    ),
)  # fmt: skip
OURS = ("sku", "name", "barcode", "location", "on_hand", "unit_cost", "total_cost", "kind", "components")


@dataclass(frozen=True, slots=True)
class Recognised:
    """A table in our columns. `source`: whose export it is, '' for a plain one; `left_out`: lines that are about no
    item, each with its reason; `told_as`: their column by ours, for faults."""

    table: Table
    source: str
    left_out: Faults
    told_as: Mapping[str, str]

    def faults_as_told(self) -> Faults:
        """The table's faults with the columns as the file names them."""
        found = [replace(fault, column=self.told_as.get(fault.column, fault.column)) for fault in self.table.faults]
        return Faults(found, self.table.faults.more)


def read_any(data: bytes, required: Sequence[str], optional: Sequence[str]) -> Recognised:
    """A plain table of items, or one of the known exports; never raises for what is in `data`."""
    columns = peek_columns(data)
    known = None if {"sku", "name"} <= columns else _find(columns)
    if known is None:
        return Recognised(read_table(data, required, optional), "", Faults(), {})
    table = read_table(data, known.marks, [name for name in known.theirs if name not in known.marks])
    return _translated(table, known, columns)


def _find(columns: frozenset[str]) -> Known | None:
    return next((known for known in KNOWN if set(known.marks) <= columns), None)


def _translated(table: Table, known: Known, columns: frozenset[str]) -> Recognised:
    left_out = Faults()
    told_as = {
        ours: next((name for name in names if name in columns), names[0]) for ours, names in known.columns.items()
    }
    rows = list(_rows(table.rows, known, told_as, left_out))
    return Recognised(replace(table, rows=rows, columns=tuple(told_as)), known.name, left_out, told_as)


def _rows(rows: Sequence[Row], known: Known, told_as: Mapping[str, str], left_out: Faults) -> Iterator[Row]:
    """In our columns. A product's name stands on its first line only; lines of pictures and such are left out."""
    handle_column = next((name for name in ("handle", "url_handle") if name in known.extra), "")
    names: dict[str, str] = {}
    for row in rows:
        cells = {ours: _first(row, known.columns.get(ours, ())) for ours in OURS}
        handle = row.cells.get(handle_column, "")
        if handle and cells["name"]:
            names[handle] = cells["name"]
        cells["name"] = _name(names.get(handle, cells["name"]), row, cells["sku"])
        if not cells["sku"]:
            left_out.add(row.line, told_as["sku"], "no_sku", "the line has no SKU: it is left out")
            continue
        yield Row(row.line, {**cells, "on_hand": _stock(row, cells["on_hand"], told_as, left_out)})


def _first(row: Row, columns: Sequence[str]) -> str:
    return next((row.cells[name] for name in columns if row.cells.get(name)), "")


def _name(name: str, row: Row, sku: str) -> str:
    options = [row.cells.get(option, "") for option in OPTIONS] + [row.cells.get("variant", "")]
    variant = " / ".join(value for value in options if value and value != NO_OPTION)
    return f"{name} - {variant}" if name and variant else name or sku


def _stock(row: Row, text: str, told_as: Mapping[str, str], left_out: Faults) -> str:
    if text.casefold() == NOT_STOCKED:
        return ""
    if text.startswith("-") and text.isascii() and text[1:].isdigit():
        left_out.add(row.line, told_as["on_hand"], "negative", "less than none: its stock is left out, count it")
        return ""
    return text
