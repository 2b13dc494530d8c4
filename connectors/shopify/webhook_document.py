"""The facts of an order that a webhook brought: `{"source": "webhook", "home": gid or null, "located": …, "order":
{…}}`.

The order is a REST-shaped body cut down to the fields listed here; nothing about the customer is among them. Such a
body says what is owed but not where, and knows nothing of dispositions: `is_exact` says when it is the whole truth.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from connectors.errors import Malformed
from connectors.shopify.keys import gid
from connectors.shopify.read_document import once_each, only_if_stocked, restock
from connectors.shopify.shape import Node
from connectors.shopify.vector import LineFacts, OrderFacts, Place, RefundLine, Restock

_ORDER = (
    "id", "name", "created_at", "updated_at", "cancelled_at", "closed_at", "confirmed", "test", "currency",
)  # fmt: skip
_LINE = (
    "id", "variant_id", "sku", "quantity", "current_quantity", "fulfillable_quantity", "price", "gift_card",
    "variant_inventory_management", "fulfillment_service",
)  # fmt: skip
_REFUND_LINE = ("line_item_id", "quantity", "restock_type", "location_id")
_RESTOCK = {
    "cancel": Restock.CANCEL,
    "return": Restock.RETURN,
    "no_restock": Restock.NONE,
    "legacy_restock": Restock.LEGACY,
}
NOT_SHIPPED = {"cancelled", "error", "failure"}
MANUAL = "manual"  # every other fulfilment service stocks at a location of its own


def redacted(order: Node) -> dict[str, object]:
    """The allow-listed fields of a REST order body, values as they came. Raises `Malformed` for a nested value where a
    plain one belongs, so that nothing can hide in it."""
    kept = _plain(order, _ORDER)
    kept["line_items"] = [_plain(line, _LINE) for line in order.nodes("line_items")]
    kept["fulfillments"] = [
        _plain(node, ("status", "location_id"))
        | {"line_items": [_plain(line, ("id", "quantity")) for line in node.find_nodes("line_items")]}
        for node in order.find_nodes("fulfillments")
    ]
    kept["refunds"] = [
        {"refund_line_items": [_plain(line, _REFUND_LINE) for line in refund.find_nodes("refund_line_items")]}
        for refund in order.find_nodes("refunds")
    ]
    return kept


def is_exact(order: Node, topic: str) -> bool:
    """Whether the body alone says where every unit is.

    Not so once something has been shipped (a return's dispositions are not in the body; only a new order, as a till
    makes them, has none yet), when a refund belongs to a return, or when a cancelled order names no restock (the refund
    may still be on its way).
    """
    if topic != "orders/create" and any(_is_shipped(node) for node in order.find_nodes("fulfillments")):
        return False
    if any(refund.has("return") for refund in order.find_nodes("refunds")):
        return False
    return not order.has("cancelled_at") or _refunded(order) >= _ordered(order)


def served_elsewhere(order: Node) -> bool:
    """A line that a fulfilment service ships: from a location of its own."""
    return any(line.values.get("fulfillment_service") not in (None, "", MANUAL) for line in order.nodes("line_items"))


def facts(document: Node) -> OrderFacts:
    """Raises `Malformed` naming the field."""
    order = document.node("order")
    home = document.find_text("home")
    shipped, refunded = _shipped(order), _refund_lines(order)
    lines, problems = once_each([_line(node, home, shipped, refunded) for node in order.nodes("line_items")], order)
    return OrderFacts(
        key=gid("Order", order.number("id")),
        number=order.find_text("name") or str(order.number("id")),
        version=order.instant("updated_at"),
        placed_at=order.instant("created_at"),
        closed=order.has("closed_at"),
        cancelled=order.has("cancelled_at"),
        confirmed=order.flag("confirmed", absent=True),
        currency=order.find_text("currency"),
        home=home,
        located=document.flag("located", absent=False),
        lines=lines,
        problems=problems,
    )


def _line(
    node: Node,
    home: Place,
    shipped: Mapping[int, Sequence[tuple[Place, int]]],
    refunded: Mapping[int, Sequence[RefundLine]],
) -> LineFacts:
    number, variant = node.number("id"), node.find_number("variant_id")
    owed = node.find_count("fulfillable_quantity")
    ordered = node.count("quantity")
    line = LineFacts(
        key=gid("LineItem", number),
        listing_key=gid("ProductVariant", variant) if variant else None,
        stock_key=None,
        sku=node.find_text("sku"),
        ordered=ordered,
        current=node.find_count("current_quantity"),
        unit_price=node.find_money("price"),
        tracked=_is_tracked(node),
        stocked=not node.flag("gift_card", absent=False),
        owed=((home, owed),) if owed else (),
        shipped=tuple(shipped.get(number, ())),
        refunded=tuple(refunded.get(number, ())),
    )
    return only_if_stocked(line)


def _is_tracked(node: Node) -> bool:
    managed = node.find_text("variant_inventory_management")
    told = "variant_inventory_management" in node.values
    return managed is not None or not told or not node.has("variant_id")


def _shipped(order: Node) -> dict[int, list[tuple[Place, int]]]:
    shipped: dict[int, list[tuple[Place, int]]] = defaultdict(list)
    for fulfillment in order.find_nodes("fulfillments"):
        if _is_shipped(fulfillment):
            for line in fulfillment.find_nodes("line_items"):
                shipped[line.number("id")].append((_place(fulfillment), line.count("quantity")))
    return shipped


def _is_shipped(fulfillment: Node) -> bool:
    return fulfillment.find_text("status") not in NOT_SHIPPED


def _refund_lines(order: Node) -> dict[int, list[RefundLine]]:
    refunded: dict[int, list[RefundLine]] = defaultdict(list)
    for refund in order.find_nodes("refunds"):
        for line in refund.find_nodes("refund_line_items"):
            refunded[line.number("line_item_id")].append(
                RefundLine(restock(line, "restock_type", _RESTOCK), line.count("quantity"), _place(line))
            )
    return refunded


def _refunded(order: Node) -> int:
    return sum(line.quantity for lines in _refund_lines(order).values() for line in lines)


def _ordered(order: Node) -> int:
    return sum(line.count("quantity") for line in order.nodes("line_items"))


def _place(node: Node) -> Place:
    location = node.find_number("location_id")
    return gid("Location", location) if location else None


def _plain(node: Node, names: Sequence[str]) -> dict[str, object]:
    kept = {}
    for name in names:
        value = node.values.get(name)
        if isinstance(value, dict | list):
            raise Malformed("wrong_type", "expected a plain value", field=node.at(name))
        if name in node.values:
            kept[name] = value
    return kept
