"""Orders: what is kept of one, how that reads as a snapshot, and how they are listed and fetched.

What is kept is an allow-list: nothing about the customer is copied, so nothing can leak. It is copied as it came and
judged by `parse_order` alone, so that one bad order is set aside and the others of its page are read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import orjson

from connectors import strict_json
from connectors.base import (
    ORDER_LINES_MAX,
    QUANTITY_MAX,
    OrderDocument,
    OrderHead,
    OrderLine,
    OrderSnapshot,
    Problem,
    Units,
    Window,
)
from connectors.errors import Malformed
from connectors.till import fields
from connectors.till.api import Api
from connectors.till.fields import TEXT_MAX, Node

ORDER_FIELDS = ("id", "number", "status", "currency", "placed_at", "updated_at")
LINE_FIELDS = ("id", "product", "sku", "quantity", "price", "handed_over", "put_back", "held", "returned")
STATUSES = frozenset({"open", "completed", "cancelled", "refunded"})


def document(order: Node) -> bytes:
    """The kept form of an order; the same bytes whether it was delivered or read."""
    kept = {name: _plain(order.get(name)) for name in ORDER_FIELDS}
    lines = order.get("lines")
    if isinstance(lines, list):
        kept["lines"] = [_line(line) for line in lines[: ORDER_LINES_MAX + 1]]
    return orjson.dumps(kept)


def _line(line: object) -> object:
    return {name: _plain(line.get(name)) for name in LINE_FIELDS} if isinstance(line, dict) else []


def _plain(value: object) -> object:
    """A value as it came. What is none is kept as an empty list, which every reader refuses with its own path."""
    if isinstance(value, str):
        return value[: TEXT_MAX + 1]
    return value if value is None or isinstance(value, (bool, int, float)) else []


def parse_order(body: bytes) -> OrderSnapshot:
    """What `document` kept, as a snapshot. Raises `Malformed` naming the field."""
    order = fields.node(strict_json.loads(body), "order")
    status = fields.text(order.get("status"), "order.status")
    unknown = Problem("unknown_status", f"the till's own status {status!r} is not known")
    return OrderSnapshot(
        order_key=fields.key(order.get("id"), "order.id"),
        number=fields.text(order.get("number"), "order.number"),
        version=fields.instant(order.get("updated_at"), "order.updated_at"),
        placed_at=fields.instant(order.get("placed_at"), "order.placed_at"),
        status=status,
        currency=fields.find_text(order.get("currency"), "order.currency"),
        lines=tuple(_lines(order)),
        problems=() if status in STATUSES else (unknown,),  # the lines still say where the units are
    )


def _lines(order: Node) -> list[OrderLine]:
    rows = fields.nodes(order, "lines", "order", limit=ORDER_LINES_MAX)
    lines = [_order_line(row, f"order.lines[{index}]") for index, row in enumerate(rows)]
    if len({line.line_key for line in lines}) < len(lines):
        raise Malformed("duplicate_line", "two lines of one id", field="order.lines")
    return lines


def _order_line(row: Node, path: str) -> OrderLine:
    product = fields.key(row.get("product"), f"{path}.product")
    ordered = fields.whole(row.get("quantity"), f"{path}.quantity", low=0, high=QUANTITY_MAX)
    return OrderLine(
        line_key=fields.key(row.get("id"), f"{path}.id"),
        listing_key=product,
        stock_key=product,
        sku=fields.find_text(row.get("sku"), f"{path}.sku"),
        ordered=ordered,
        unit_price=fields.amount(row.get("price"), f"{path}.price"),
        units=(_units(row, path, ordered),),
    )


def _units(row: Node, path: str, ordered: int) -> Units:
    """Where they are. The till takes units off its number when they are ordered, and adds what is put back."""
    handed_over, put_back, held, returned = (
        fields.whole(row.get(name), f"{path}.{name}", low=0, high=ordered)
        for name in ("handed_over", "put_back", "held", "returned")
    )
    waiting = ordered - handed_over - put_back - held
    if waiting < 0 or returned > handed_over:
        raise Malformed("units_do_not_add_up", "more units are somewhere than were ordered", field=path)
    return Units(
        committed=waiting,
        shipped=handed_over - returned,
        restocked=returned,
        held=held,
        taken=ordered - put_back - returned,
    )


def read_order_heads(api: Api, window: Window) -> Iterator[Sequence[OrderHead]]:
    """Pages of all orders changed in the window, both ends included, the oldest change first, each with its document:
    the listing shows whole orders. An order that changes meanwhile leaves the closed window and is found by the next
    reading; one that is deleted is in no listing, which its delivery or the check of known orders finds."""
    bounds = {"from": _stamp(window.since), "to": _stamp(window.until)}
    for rows in api.pages("orders", bounds):
        yield [_head(row) for row in rows]


def read_heads_by_key(api: Api, keys: Sequence[str]) -> Sequence[OrderHead]:
    """Those that are still there."""
    return [_head(row) for row in api.named("orders", keys)]


def read_orders_by_key(api: Api, keys: Sequence[str]) -> Sequence[OrderDocument]:
    """One document per key; what the till does not name has been deleted."""
    found = {head.order_key: head.document for head in read_heads_by_key(api, keys)}
    return [found.get(key) or OrderDocument(key, None, b"", missing=True) for key in dict.fromkeys(keys)]


def _head(order: Node) -> OrderHead:
    key = fields.key(order.get("id"), "order.id")
    kept = OrderDocument(key, _version(order), document(order))
    return OrderHead(key, kept.version, kept)


def _version(order: Node) -> datetime | None:
    try:
        return fields.instant(order.get("updated_at"), "order.updated_at")
    except Malformed:
        return None  # `parse_order` says so, for this order alone


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
