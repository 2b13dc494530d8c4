"""The kits of a table beside what is there: which get their components, and what is wrong with the others."""

from __future__ import annotations

from collections.abc import Mapping

from app.catalog.imports import ItemRow, ItemTable
from app.catalog.kits import components_by_kit
from app.core.db import Session

_KINDS = "select sku, kind from item where merchant_id = %(merchant_id)s and sku = any(%(skus)s)"


def compare_kits(session: Session, table: ItemTable) -> dict[str, Mapping[str, int]]:
    """Units by component's SKU of every kit that has none yet, by its SKU; what can't be is a fault of the table."""
    rows: dict[str, ItemRow] = {}
    for row in table.rows:
        if row.item.kind == "kit":
            rows.setdefault(row.item.sku, row)
    if not rows:
        return {}
    there = components_by_kit(session, list(rows))
    kinds = _kinds(session, table, rows)
    kits: dict[str, Mapping[str, int]] = {}
    for sku, row in rows.items():
        if kinds[sku] != "kit":
            continue  # it is a fault already, as another kind of item
        if not there.get(sku):
            _check(table, row, kinds)
            kits[sku] = row.components
        elif row.components and row.components != there[sku]:
            message = "this kit is there already, of other components: it is changed by `items kit` or the API"
            table.faults.add(row.line, "components", "other_components", message)
    return kits


def _kinds(session: Session, table: ItemTable, rows: Mapping[str, ItemRow]) -> dict[str, str]:
    """Of every kit and component that is there or comes with the table."""
    wanted = {*rows, *(part for row in rows.values() for part in row.components)}
    coming = {row.item.sku: row.item.kind for row in table.rows}
    return coming | {row.sku: row.kind for row in session.rows(_KINDS, skus=sorted(wanted))}


def _check(table: ItemTable, row: ItemRow, kinds: Mapping[str, str]) -> None:
    if not row.components:
        message = "say what the kit is made of, such as MUG x2; BOWL"
        table.faults.add(row.line, "components", "empty_kit", message)
    for number, sku in enumerate(row.components, start=1):
        if sku == row.item.sku:
            table.faults.add(row.line, "components", "kit_cycle", "a kit can't contain itself")
        elif kinds.get(sku) == "kit":
            message = f"component {number} is a kit: list its components instead"
            table.faults.add(row.line, "components", "kit_in_kit", message)
        elif sku not in kinds and sku not in table.skus:
            message = f"component {number} is no item here or in the file: give it a row, and write units as in MUG x2"
            table.faults.add(row.line, "components", "unknown_component", message)
