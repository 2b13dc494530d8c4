"""Numbers: what a shop shows per item and location, and changing it without overwriting a sale.

Absolute rows compare: `changeFromQuantity` is what we expect there, and the whole batch is refused when one row
differs. Relative rows do not compare. Both carry an idempotency key (required since 2026-04, kept by Shopify for 24
hours).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from connectors.base import (
    Conflict,
    Rejected,
    Shop,
    StockKey,
    StockReading,
    StockWrite,
    Unsent,
    WriteOutcome,
    Written,
)
from connectors.errors import Malformed, NeverApplied, OutcomeUnknown, Refused
from connectors.http import Http
from connectors.shopify import graphql
from connectors.shopify.errors import UNKNOWN_USER_ERROR, USER_ERRORS, Call, Row
from connectors.shopify.shape import Node

ROWS_MAX = 250  # of any input array (limits page)
STATE = "available"
OF_THE_KEY = frozenset({"idempotency_concurrent_request"})  # an earlier call under it is still being carried out
INDEX = re.compile("[0-9]{1,6}")
# By whether rows are relative: our document, and the mutation in it.
MUTATIONS = {
    False: ("inventory_set", "inventorySetQuantities"),
    True: ("inventory_adjust", "inventoryAdjustQuantities"),
}
REASON = "correction"
# The only reasons Shopify accepts; anything else is INVALID_REASON.
REASONS = frozenset({
    "correction", "cycle_count_available", "damaged", "movement_created", "movement_updated", "movement_received",
    "movement_canceled", "other", "promotion", "quality_control", "received", "reservation_created",
    "reservation_deleted", "reservation_updated", "restock", "safety_stock", "shrinkage",
})  # fmt: skip


def read(http: Http, shop: Shop, keys: Sequence[StockKey]) -> list[StockReading]:
    """One reading per key. Without a number: `gone`, `untracked`, `bundle_parent`, `not_stocked` (the item is not, or
    no longer, stocked at that location, where Shopify would silently accept a write) or `not_whole`."""
    by_location: dict[str, list[str]] = defaultdict(list)
    for key in dict.fromkeys(keys):
        by_location[key.location_key].append(key.stock_key)
    readings = []
    for location, items in by_location.items():
        readings += _read_location(http, shop, location, items)
    return readings


def _read_location(http: Http, shop: Shop, location: str, items: Sequence[str]) -> list[StockReading]:
    def fetch(some: Sequence[str]) -> tuple[list[StockReading], graphql.Cost]:
        reply = graphql.query(http, shop, "stock_by_item", {"ids": list(some), "locationId": location})
        nodes = graphql.nodes_of(reply, some)
        read = [_reading(StockKey(item, location), node) for item, node in zip(some, nodes, strict=True)]
        return read, reply.cost

    return graphql.in_slices(items, ROWS_MAX, fetch, largest=ROWS_MAX)


def _reading(key: StockKey, found: dict[str, Any] | None) -> StockReading:
    if not found:
        return StockReading(key, None, "gone")
    item = Node(found, key.stock_key)
    variants = item.connection("variants") if item.has("variants") else []
    if any(variant.flag("requiresComponents", absent=False) for variant in variants):
        return StockReading(key, None, "bundle_parent")
    if not item.flag("tracked", absent=True):
        return StockReading(key, None, "untracked")
    level = item.find_node("inventoryLevel")
    if level is None or not level.flag("isActive", absent=True):
        return StockReading(key, None, "not_stocked")
    return shown(key, level)


def shown(key: StockKey, level: Node) -> StockReading:
    """What an inventory level shows. One odd number is no reason to read none of the others."""
    try:
        return StockReading(key, _available(level))
    except Malformed:
        return StockReading(key, None, "not_whole")


def _available(level: Node) -> int:
    """May be negative. Raises `Malformed`."""
    for entry in level.nodes("quantities"):
        if entry.text("name") == STATE:
            return entry.signed("quantity")
    raise Malformed("missing_field", f"no {STATE}", field=level.at("quantities"))


def write(http: Http, shop: Shop, rows: Sequence[StockWrite], key: str) -> list[WriteOutcome]:
    """Send one batch, all absolute or all relative, at most `ROWS_MAX` rows with distinct keys (else `ValueError`).

    Shopify applies all rows or none: when it refuses some, the others come back `Unsent`. Raises `Throttled`,
    `Transient` (same key again), `OutcomeUnknown` (same key, same rows; also when the answer can't be read), `Refused`
    (never with this key).
    """
    if not rows:
        return []
    _check(rows)
    name, field = MUTATIONS[rows[0].relative]
    variables = {"idempotencyKey": key, "input": write_input(rows, key)}
    data = graphql.mutate(http, shop, name, variables).data
    try:
        payload = Node(data, "data").node(field)
        errors = payload.nodes("userErrors")
        return _refused(rows, errors) if errors else _written(rows, payload)
    except Malformed as unreadable:
        raise OutcomeUnknown("unreadable_answer", unreadable.detail) from unreadable


def _check(rows: Sequence[StockWrite]) -> None:
    if len(rows) > ROWS_MAX:
        raise ValueError(f"{len(rows)} rows, at most {ROWS_MAX}")
    if len({row.relative for row in rows}) > 1:
        raise ValueError("absolute and relative rows can't share a call")
    if len({row.key for row in rows}) < len(rows):
        raise ValueError("an item and location may appear once in a call")


def write_input(rows: Sequence[StockWrite], key: str) -> dict[str, object]:
    """The mutation's input. `changeFromQuantity` must be on every row; null means that nothing is compared."""
    origin = {"name": STATE, "reason": REASON, "referenceDocumentUri": f"gid://perpetual/Push/{key}"}
    if rows[0].relative:
        changes = [{**_where(row.key), "delta": row.target - row.expected, "changeFromQuantity": None} for row in rows]
        return {**origin, "changes": changes}
    quantities = [{**_where(row.key), "quantity": row.target, "changeFromQuantity": row.expected} for row in rows]
    return {**origin, "quantities": quantities}


def _where(key: StockKey) -> dict[str, object]:
    return {"inventoryItemId": key.stock_key, "locationId": key.location_key}


def _written(rows: Sequence[StockWrite], payload: Node) -> list[WriteOutcome]:
    """A row that changed nothing is in no change: it was accepted without a number. So is one whose item or place we
    may not see."""
    group = payload.find_node("inventoryAdjustmentGroup")
    after: dict[StockKey, int] = {}
    for change in group.nodes("changes") if group else []:
        item, location = change.find_node("item"), change.find_node("location")
        if item and location and change.text("name") == STATE:
            after[StockKey(item.text("id"), location.text("id"))] = change.signed("quantityAfterChange")
    return [Written(row.key, after.get(row.key)) for row in rows]


def _refused(rows: Sequence[StockWrite], errors: Sequence[Node]) -> list[WriteOutcome]:
    outcomes: dict[int, WriteOutcome] = {}
    for error in errors:
        verdict = USER_ERRORS.get(error.find_text("code") or "", UNKNOWN_USER_ERROR)
        message = (error.find_text("message") or "")[:200]
        index = _row_index(error.values.get("field"), len(rows))
        if isinstance(verdict, Call) and not _is_of_row(verdict, index, len(rows)):
            raise verdict.error(verdict.reason, message)
        if index is None and len(rows) > 1:
            raise Refused(_slug(verdict), f"no row named: {message}")
        row = rows[index or 0]
        outcomes.setdefault(index or 0, _row_outcome(row.key, verdict, message))
    return [outcomes.get(index) or Unsent(row.key) for index, row in enumerate(rows)]


def _is_of_row(refusal: Call, index: int | None, count: int) -> bool:
    """Whether a refusal of the whole call is one of the row that it names: what is said to pass is only when there is
    no other row that it could be about."""
    if index is None or refusal.error is NeverApplied:
        return False
    return refusal.error is Refused or (count == 1 and refusal.reason not in OF_THE_KEY)


def _row_outcome(key: StockKey, verdict: Row | Call, message: str) -> WriteOutcome:
    if verdict is Row.CONFLICT:
        return Conflict(key)
    return Rejected(key, _slug(verdict), message)


def _slug(verdict: Row | Call) -> str:
    return verdict.reason if isinstance(verdict, Call) else verdict.value


def _row_index(field: object, count: int) -> int | None:
    """The row that `["input", "quantities", "<i>", …]` names."""
    parts = field if isinstance(field, list) else []
    named = next((int(part) for part in parts if isinstance(part, str) and INDEX.fullmatch(part)), None)
    return named if named is not None and named < count else None
