"""A kept order document as a snapshot (pure). Every wrong field is named; nothing is guessed.

Whether the shop keeps stock for a line is not in its body: no `_reduced_stock` may as well mean that a plugin does the
reducing, that management was switched on later, or that the shop is in the middle of it. The catalogue knows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from connectors.base import ORDER_LINES_MAX, QUANTITY_MAX, OrderLine, OrderSnapshot, Problem, Units
from connectors.errors import Malformed
from connectors.woocommerce import fields, units
from connectors.woocommerce.fields import Node
from connectors.woocommerce.redaction import META_MAX, REFUNDS_MAX


@dataclass(slots=True)
class _Head:
    """What every line needs of its order."""

    status: str
    changed_at: datetime
    completed_at: datetime | None
    problems: list[Problem] = field(default_factory=list)


def parse_order(body: bytes) -> OrderSnapshot:
    """The document of `redaction.document` as a snapshot. Raises `Malformed` naming the field."""
    root = fields.node(fields.decode(body), "document")
    if "unreadable" in root:
        unreadable = fields.node(root["unreadable"], "unreadable")
        raise Malformed(str(unreadable.get("reason")), "could not be kept", field=str(unreadable.get("field")))
    order = fields.node(root.get("order"), "order")
    head = _head(order)
    return OrderSnapshot(
        order_key=str(order_key(order)),
        number=fields.text(order.get("number"), "order.number") or str(order_key(order)),
        version=head.changed_at,
        placed_at=fields.get_instant(order.get("date_created_gmt"), "order.date_created_gmt"),
        status=head.status,
        currency=fields.text(order.get("currency"), "order.currency"),
        lines=tuple(_lines(order, _refunded(root, order, head), head)),
        problems=tuple(head.problems),
        frozen=head.status == "trash",
    )


def order_key(order: Node) -> int:
    """The order's id, which must be there: a signed error body has none."""
    key = fields.key(order.get("id"), "order.id")
    if key == 0:
        raise Malformed("missing_field", "no id", field="order.id")
    return key


def _head(order: Node) -> _Head:
    status = fields.text(order.get("status"), "order.status")
    if status is None:
        raise Malformed("missing_field", "no status", field="order.status")
    if not isinstance(order["status"], str):
        raise Malformed("not_text", "a number where a status belongs", field="order.status")
    head = _Head(
        status,
        changed_at=fields.get_instant(order.get("date_modified_gmt"), "order.date_modified_gmt"),
        completed_at=fields.find_instant(order.get("date_completed_gmt"), "order.date_completed_gmt"),
    )
    if status not in units.STATUSES:
        head.problems.append(Problem("unknown_status", f"the shop's own status {status!r} is not known"))
    return head


def _lines(order: Node, refunded: Mapping[int, tuple[int, int]], head: _Head) -> list[OrderLine]:
    lines: dict[int, OrderLine] = {}
    for index, node in enumerate(fields.nodes(order, "line_items", "order", limit=ORDER_LINES_MAX)):
        path = f"order.line_items[{index}]"
        key = fields.key(node.get("id"), f"{path}.id")
        if key in lines:
            head.problems.append(Problem("duplicate_line", "the line is there twice and counted once", str(key)))
            continue
        lines[key] = _line(node, path, head, refunded=refunded.get(key, (0, 0)))
    for key in refunded.keys() - lines.keys():
        head.problems.append(Problem("refund_of_no_line", "a refund names a line that is not there", str(key)))
    return list(lines.values())


def _line(node: Node, path: str, head: _Head, *, refunded: tuple[int, int]) -> OrderLine:
    key = str(fields.key(node.get("id"), f"{path}.id"))
    ordered = fields.whole(node.get("quantity"), f"{path}.quantity", low=0, high=QUANTITY_MAX)
    meta = _meta(node, path)
    taken = fields.counted(meta.get("_reduced_stock"), f"{path}._reduced_stock", QUANTITY_MAX)
    given_back = fields.counted(meta.get("_restock_refunded_items"), f"{path}._restock_refunded_items", QUANTITY_MAX)
    before, after = _clamped(refunded, ordered, key, head=head)
    facts = units.Line(ordered, before, after, max(0, given_back), taken, head.completed_at, head.changed_at)
    product = fields.key(node.get("product_id"), f"{path}.product_id")
    variation = fields.key(node.get("variation_id"), f"{path}.variation_id")
    return OrderLine(
        line_key=key,
        listing_key=listing_key(product, variation),
        stock_key=str(product) if product and not variation else None,
        sku=fields.text(node.get("sku"), f"{path}.sku"),
        ordered=ordered,
        unit_price=fields.amount(node.get("price"), f"{path}.price"),
        units=(_units(head, facts, key),),
    )


def _units(head: _Head, facts: units.Line, key: str) -> Units:
    if facts.unclear:
        head.problems.append(
            Problem("restock_unclear", "refunded before and after it left, only partly restocked", key)
        )
    return units.STATUSES.get(head.status, units.unknown)(facts)


def _clamped(refunded: tuple[int, int], ordered: int, key: str, *, head: _Head) -> tuple[int, int]:
    """WooCommerce refunds 4 of an ordered 1 without a word (10.9.0, 2026-11-23)."""
    before, after = refunded
    if before + after > ordered:
        head.problems.append(Problem("refund_exceeds_order", f"{before + after} refunded of {ordered} ordered", key))
    before = min(before, ordered)
    return before, min(after, ordered - before)


def listing_key(product: int, variation: int) -> str | None:
    """`product` or `product/variation`; None once the product is deleted, when the line says 0."""
    if product == 0:
        return None
    return f"{product}/{variation}" if variation else str(product)


def _refunded(root: Node, order: Node, head: _Head) -> dict[int, tuple[int, int]]:
    """Line id → units refunded (before, after) completion. A refund body says neither of restocking."""
    named = fields.find_nodes(order, "refunds", "order", limit=REFUNDS_MAX)
    if "refunds" not in root:
        if named:
            raise Malformed("refunds_not_read", "the order was refunded, but of what was not read", field="refunds")
        return {}
    counts: dict[int, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for index, refund in enumerate(fields.nodes(root, "refunds", "document", limit=REFUNDS_MAX)):
        path = f"refunds[{index}]"
        after = _after(fields.find_instant(refund.get("date_created_gmt"), f"{path}.date_created_gmt"), head)
        for line, quantity in _refund_lines(refund, path):
            before_units, after_units = counts[line]
            counts[line] = (before_units, after_units + quantity) if after else (before_units + quantity, after_units)
    return dict(counts)


def _after(refunded_at: datetime | None, head: _Head) -> bool:
    if head.status not in units.AFTER_COMPLETION:
        return False  # a date from an earlier round of its life (cancelled, then processing again)
    if head.completed_at is None:
        return head.status == "completed"
    return refunded_at is None or refunded_at >= head.completed_at


def _refund_lines(refund: Node, path: str) -> Sequence[tuple[int, int]]:
    found = []
    for index, node in enumerate(fields.nodes(refund, "line_items", path, limit=ORDER_LINES_MAX)):
        where = f"{path}.line_items[{index}]"
        quantity = fields.whole(node.get("quantity"), f"{where}.quantity", low=-QUANTITY_MAX, high=0)
        line = fields.key(_meta(node, where).get("_refunded_item_id"), f"{where}._refunded_item_id")
        if quantity:
            found.append((line, -quantity))
    return found


def _meta(node: Node, path: str) -> dict[str, object]:
    rows = fields.find_nodes(node, "meta_data", path, limit=META_MAX)
    return {str(row.get("key")): row.get("value") for row in rows}
