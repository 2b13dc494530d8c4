"""The facts of an order that was read over GraphQL: `{"source": "read", "home": gid or null, "order": {…}}`.

Locations are those of fulfilment orders, fulfilments, refund lines and dispositions. `Order.physicalLocation` and the
REST body's `location_id` name at most one and are often wrong (ShopifySharp #766, #719).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from connectors.base import ORDER_LINES_MAX, Problem
from connectors.errors import Malformed
from connectors.shopify.shape import Node
from connectors.shopify.vector import Disposed, Disposition, LineFacts, OrderFacts, Place, RefundLine, Restock

# CLOSED and CANCELLED owe nothing; INCOMPLETE means that the service gave up, the units are still owed.
OWING = {"OPEN", "IN_PROGRESS", "ON_HOLD", "SCHEDULED", "INCOMPLETE"}
NOT_SHIPPED = {"CANCELLED", "ERROR", "FAILURE"}
_RESTOCK = {
    "CANCEL": Restock.CANCEL,
    "RETURN": Restock.RETURN,
    "NO_RESTOCK": Restock.NONE,
    "LEGACY_RESTOCK": Restock.LEGACY,
}


@dataclass(slots=True)
class _Parts:
    """What the order's documents say about one line."""

    owed: list[tuple[Place, int]] = field(default_factory=list)
    shipped: list[tuple[Place, int]] = field(default_factory=list)
    refunded: list[RefundLine] = field(default_factory=list)
    disposed: list[Disposed] = field(default_factory=list)
    homes: list[tuple[datetime, str]] = field(default_factory=list)
    stock_key: str | None = None


def facts(document: Node) -> OrderFacts:
    """Raises `Malformed` naming the field."""
    order = document.node("order")
    if order.flag("incomplete", absent=False):
        raise Malformed("order_too_large", "more fulfilments, refunds or lines than are read", field="order")
    parts = _parts(order)
    lines, problems = once_each([_line(node, parts) for node in order.connection("lineItems")], order)
    return OrderFacts(
        key=order.text("id"),
        number=order.text("name"),
        version=order.instant("updatedAt"),
        placed_at=order.instant("createdAt"),
        closed=order.has("closedAt"),
        cancelled=order.has("cancelledAt"),
        confirmed=order.flag("confirmed", absent=True),
        currency=order.find_text("currencyCode"),
        home=document.find_text("home"),
        located=True,
        lines=lines,
        problems=problems,
    )


def once_each(lines: Sequence[LineFacts], order: Node) -> tuple[tuple[LineFacts, ...], tuple[Problem, ...]]:
    """Each line id once, the first one; a repeated id is reported. Too many lines are `Malformed`."""
    if len(lines) > ORDER_LINES_MAX:
        raise Malformed("order_too_large", f"more than {ORDER_LINES_MAX} lines", field=order.path)
    first: dict[str, LineFacts] = {}
    problems = []
    for line in lines:
        if first.setdefault(line.key, line) is not line:
            problems.append(Problem("duplicate_line", "the order names this line twice", line.key))
    return tuple(first.values()), tuple(problems)


def _line(node: Node, parts: dict[str, _Parts]) -> LineFacts:
    key = node.text("id")
    mine = parts[key]
    variant = node.find_node("variant")
    item = variant.find_node("inventoryItem") if variant else None
    price = node.find_node("originalUnitPriceSet")
    line = LineFacts(
        key=key,
        listing_key=variant.text("id") if variant else None,
        stock_key=item.text("id") if item else mine.stock_key,
        sku=node.find_text("sku"),
        ordered=node.count("quantity"),
        current=node.find_count("currentQuantity"),
        unit_price=price.node("shopMoney").find_money("amount") if price else None,
        tracked=item is None or item.flag("tracked", absent=True),
        stocked=not node.flag("isGiftCard", absent=False),
        owed=tuple(mine.owed),
        shipped=tuple(mine.shipped),
        refunded=tuple(mine.refunded),
        disposed=tuple(mine.disposed),
        homes=tuple(mine.homes),
    )
    return only_if_stocked(line)


def only_if_stocked(line: LineFacts) -> LineFacts:
    """Gift cards, tips and custom lines (no variant, no inventory item and no SKU) are no goods, whatever they say of
    themselves. A product that was deleted after the sale keeps its SKU, and its units still count."""
    stocked = line.stocked and bool(line.listing_key or line.stock_key or line.sku)
    return replace(line, stocked=stocked, tracked=line.tracked and stocked)


def _parts(order: Node) -> dict[str, _Parts]:
    parts: dict[str, _Parts] = defaultdict(_Parts)
    for allocation in order.connection("fulfillmentOrders"):
        _allocate(allocation, parts)
    for fulfillment in order.nodes("fulfillments"):
        if fulfillment.text("status") not in NOT_SHIPPED:
            for line in fulfillment.connection("fulfillmentLineItems"):
                parts[_line_key(line)].shipped.append((_place(fulfillment), line.find_count("quantity") or 0))
    for refund in order.nodes("refunds"):
        _refund(refund, parts)
    for returned in order.find_nodes("returns"):
        for key, disposed in _disposed(returned):
            parts[key].disposed.append(disposed)
    return parts


def _allocate(allocation: Node, parts: dict[str, _Parts]) -> None:
    place = _place(allocation.node("assignedLocation"))
    since = allocation.instant("createdAt")
    owing = allocation.text("status") in OWING
    for line in allocation.connection("lineItems"):
        mine = parts[_line_key(line)]
        mine.stock_key = mine.stock_key or line.find_text("inventoryItemId")
        if place:
            mine.homes.append((since, place))
        remaining = line.count("remainingQuantity")
        if owing and remaining:
            mine.owed.append((place, remaining))


def _refund(refund: Node, parts: dict[str, _Parts]) -> None:
    of_return = refund.find_node("return")
    for line in refund.connection("refundLineItems"):
        parts[_line_key(line)].refunded.append(
            RefundLine(
                restock=restock(line, "restockType", _RESTOCK),
                quantity=line.count("quantity"),
                place=_place(line),
                at=refund.instant("createdAt") if refund.has("createdAt") else None,
                return_key=of_return.text("id") if of_return else None,
                done=line.flag("restocked", absent=True),
            )
        )


def restock(line: Node, name: str, kinds: dict[str, Restock]) -> Restock:
    """The refund line's kind; one that we do not know is `Malformed`."""
    kind = kinds.get(line.text(name))
    if kind is None:
        raise Malformed("unknown_value", "an unknown way of restocking", field=line.at(name))
    return kind


def _disposed(returned: Node) -> Iterator[tuple[str, Disposed]]:
    for reverse in returned.connection("reverseFulfillmentOrders"):
        for line in reverse.connection("lineItems"):
            shipped = line.find_node("fulfillmentLineItem")
            if shipped is None:
                continue
            for node in line.nodes("dispositions"):
                yield (
                    _line_key(shipped),
                    Disposed(
                        disposition=_disposition(node),
                        quantity=node.count("quantity"),
                        place=_place(node),
                        return_key=returned.text("id"),
                    ),
                )


def _disposition(node: Node) -> Disposition:
    try:
        return Disposition(node.text("type").lower())
    except ValueError as error:
        raise Malformed("unknown_value", "an unknown disposition", field=node.at("type")) from error


def _line_key(node: Node) -> str:
    return node.node("lineItem").text("id")


def _place(node: Node) -> Place:
    location = node.find_node("location")
    return location.text("id") if location else None
