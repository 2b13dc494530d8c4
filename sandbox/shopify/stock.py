"""The pretend shop's numbers, and the two mutations that change them from outside.

All or nothing, compare-and-set, 250 rows, idempotency keys kept 24 hours: as the Admin schema's own texts and Shopify's
changelogs of 2025 and 2026 describe them. What they leave open is said where it is decided.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

import orjson

from sandbox.base import Context, Shown
from sandbox.shopify.state import Level, Location, Variant, gid, number

ROWS_MAX = 250
QUANTITY_MAX = 1_000_000_000
KEY_LIFE = timedelta(hours=24)
FORGET_MAX = 10  # expired keys dropped with each new one
REASONS = frozenset({
    "correction", "cycle_count_available", "damaged", "movement_created", "movement_updated", "movement_received",
    "movement_canceled", "other", "promotion", "quality_control", "received", "reservation_created",
    "reservation_deleted", "reservation_updated", "restock", "safety_stock", "shrinkage",
})  # fmt: skip
Payload = dict[str, Any]


class BadInput(Exception):
    """A top-level GraphQL error: the mutation did not run. `code` goes into its extensions."""

    def __init__(self, message: str, code: str = "BAD_REQUEST") -> None:
        super().__init__(message)
        self.code = code


@dataclass
class _Kept:
    digest: str
    at: datetime
    payload: Payload


@dataclass
class Inventory:
    """Levels per (item, location). `changed(item_id, location_id)` is called after each change of a number."""

    context: Context
    locations: dict[int, Location]
    variants: dict[int, Variant]  # by inventory item id
    changed: Callable[[int, int], None]
    levels: dict[tuple[int, int], Level] = field(default_factory=dict)
    busy_keys: set[str] = field(default_factory=set)  # keys of requests said to be still running
    refused: dict[int, UserError] = field(default_factory=dict)  # by item: calls with it are refused so; a refusal
    # whose field is `ROW_NAMED` names the item's row
    _kept: dict[str, _Kept] = field(default_factory=dict)

    def available(self, item_id: int, location_id: int) -> int:
        """The number shown; 0 where the item is not stocked."""
        level = self.levels.get((item_id, location_id))
        return level.available if level is not None else 0

    def total(self, item_id: int) -> int:
        """The number summed over the locations where the item is stocked."""
        return sum(self.levels[key].available for key in self.stocked(item_id))

    def for_sale(self, item_id: int) -> int:
        """Units that can be bought: a place whose number is below zero sells none."""
        return sum(max(0, self.levels[key].available) for key in self.stocked(item_id))

    def stocked(self, item_id: int) -> list[tuple[int, int]]:
        """Where an item is stocked now."""
        keys = ((item_id, place) for place in self.locations)
        return [key for key in keys if key in self.levels and self.levels[key].active]

    def move(self, item_id: int, location_id: int, delta: int) -> None:
        """Change a number by the shop's own doing."""
        if delta:
            self.put(item_id, location_id, self.available(item_id, location_id) + delta)

    def put(self, item_id: int, location_id: int, available: int) -> None:
        """Make a number what it is told. Where the item is not stocked this succeeds silently, as it now does."""
        level = self.levels.setdefault((item_id, location_id), Level(0, active=False))
        level.available = available
        self.changed(item_id, location_id)

    def set_quantities(self, fields: Mapping[str, Any], key: str | None) -> Payload:
        """`inventorySetQuantities`."""
        return self._once(key, fields, lambda: self._set(fields))

    def adjust_quantities(self, fields: Mapping[str, Any], key: str | None) -> Payload:
        """`inventoryAdjustQuantities`."""
        return self._once(key, fields, lambda: self._adjust(fields))

    def _once(self, key: str | None, fields: Mapping[str, Any], apply: Callable[[], Payload]) -> Payload:
        """Run under an idempotency key. A first result that was a refusal is answered with PREVIOUS_ATTEMPT_FAILED."""
        if not key or not key.strip():
            raise BadInput("The @idempotent directive is required for this mutation.")
        if key in self.busy_keys:
            return refusal(UserError("IDEMPOTENCY_CONCURRENT_REQUEST", "This request is currently in progress."))
        digest = hashlib.sha256(orjson.dumps(fields, option=orjson.OPT_SORT_KEYS)).hexdigest()
        kept = self._kept.get(key)
        if kept is not None and self.context.now() - kept.at < KEY_LIFE:
            return _replayed(kept, digest)
        payload = apply()
        self._forget_old()
        self._kept[key] = _Kept(digest, self.context.now(), payload)
        return payload

    def _forget_old(self) -> None:
        """Kept in the order of time, so that only the expired are looked at."""
        now = self.context.now()
        oldest = list(islice(self._kept, FORGET_MAX))
        for key in [key for key in oldest if now - self._kept[key].at >= KEY_LIFE]:
            del self._kept[key]

    def _set(self, fields: Mapping[str, Any]) -> Payload:
        rows = _rows(fields, "quantities")
        errors = _call_errors(fields, rows) + [e for i, row in enumerate(rows) for e in self._set_errors(i, row)]
        if errors:
            return refusal(*errors)
        return self._apply([(row, int(row["quantity"])) for row in rows])

    def _adjust(self, fields: Mapping[str, Any]) -> Payload:
        rows = _rows(fields, "changes")
        errors = _call_errors(fields, rows) + [
            e for i, row in enumerate(rows) for e in self._row_errors(i, row, "changes")
        ]
        if errors:
            return refusal(*errors)
        return self._apply([(row, self._shown(row) + int(row["delta"])) for row in rows])

    def _apply(self, targets: Sequence[tuple[Mapping[str, Any], int]]) -> Payload:
        changes = []
        for row, target in targets:
            item, place, before = number(row["inventoryItemId"]), number(row["locationId"]), self._shown(row)
            if target == before:
                continue  # a row that changes nothing is in no change
            self.put(item, place, target)
            variant = self.variants[item]
            self.context.writes.append(Shown(self.context.now(), variant.sku, self.total(item)))
            changes.append({
                "name": "available",
                "delta": target - before,
                "quantityAfterChange": target,
                "item": {"id": gid("InventoryItem", item)},
                "location": {"id": gid("Location", place)},
            })  # fmt: skip
        return {"inventoryAdjustmentGroup": {"changes": changes} if changes else None, "userErrors": []}

    def _set_errors(self, index: int, row: Mapping[str, Any]) -> list[UserError]:
        errors = self._row_errors(index, row, "quantities")
        quantity = int(row["quantity"])
        where = ("input", "quantities", str(index), "quantity")
        if quantity < 0:  # the enum's text says so; whether it always applies to `available` is not established
            errors.append(UserError("INVALID_QUANTITY_NEGATIVE", "The quantity can't be negative.", where))
        if quantity > QUANTITY_MAX:
            errors.append(UserError("INVALID_QUANTITY_TOO_HIGH", "The quantity is too high.", where))
        return errors

    def _row_errors(self, index: int, row: Mapping[str, Any], rows: str) -> list[UserError]:
        where = ("input", rows, str(index))
        variant = self.variants.get(number(row["inventoryItemId"]))
        if variant is None or variant.deleted:
            return [UserError("INVALID_INVENTORY_ITEM", "The item could not be found.", (*where, "inventoryItemId"))]
        if variant.bundle:
            return [UserError("NON_MUTABLE_INVENTORY_ITEM", "It is a parent bundle.", (*where, "inventoryItemId"))]
        if variant.item_id in self.refused:
            told = self.refused[variant.item_id]
            return [replace(told, field=where)] if told.field == ROW_NAMED else [told]
        if number(row["locationId"]) not in self.locations:
            return [UserError("INVALID_LOCATION", "The location could not be found.", (*where, "locationId"))]
        expected = row["changeFromQuantity"]
        if expected is not None and expected != self._shown(row):
            text = "The changeFromQuantity value does not match persisted value."
            return [UserError("CHANGE_FROM_QUANTITY_STALE", text, (*where, "changeFromQuantity"))]
        return []

    def _shown(self, row: Mapping[str, Any]) -> int:
        return self.available(number(row["inventoryItemId"]), number(row["locationId"]))


@dataclass(frozen=True)
class UserError:
    """A business refusal inside a good answer."""

    code: str | None
    message: str
    field: tuple[str, ...] = ("input",)


ROW_NAMED = ("input", "row")


def refusal(*errors: UserError) -> Payload:
    """Nothing was applied."""
    shown = [{"code": error.code, "message": error.message, "field": list(error.field)} for error in errors]
    return {"inventoryAdjustmentGroup": None, "userErrors": shown}


def _replayed(kept: _Kept, digest: str) -> Payload:
    if kept.digest != digest:
        text = "The same idempotency key cannot be used with different operation parameters."
        return refusal(UserError("IDEMPOTENCY_KEY_PARAMETER_MISMATCH", text))
    if kept.payload["userErrors"]:
        return refusal(UserError("IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED", "Retry with a new idempotency key."))
    return kept.payload


def _rows(fields: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    rows: list[Mapping[str, Any]] = fields[name]
    if len(rows) > ROWS_MAX:
        text = f"The input array size of {len(rows)} is greater than the maximum allowed of {ROWS_MAX}."
        raise BadInput(text, "MAX_INPUT_SIZE_EXCEEDED")
    if any("changeFromQuantity" not in row for row in rows):
        raise BadInput("changeFromQuantity must be given for every row; null turns the check off.")
    return rows


def _call_errors(fields: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> list[UserError]:
    errors = []
    if fields["name"] != "available":
        errors.append(UserError("INVALID_NAME", "Only `available` is kept here.", ("input", "name")))
    if fields["reason"] not in REASONS:
        errors.append(UserError("INVALID_REASON", "The specified reason is invalid.", ("input", "reason")))
    if len({(row["inventoryItemId"], row["locationId"]) for row in rows}) < len(rows):
        code, text = "NO_DUPLICATE_INVENTORY_ITEM_ID_GROUP_ID_PAIR", "The combination must be unique."
        errors.append(UserError(code, text, ("input", "quantities")))
    return errors
