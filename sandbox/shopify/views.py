"""The shop's state as GraphQL sees it: one function per type, each giving a mapping whose values are plain or
resolvers.

graphql-core calls a value that is callable with `(info, **arguments)`, so only what a document selects is computed.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import orjson

from sandbox.shopify.state import (
    Fulfillment,
    FulfillmentOrder,
    Line,
    Location,
    Order,
    Refund,
    RefundLine,
    Return,
    Variant,
    gid,
    number,
)

if TYPE_CHECKING:
    from sandbox.shopify.shop import PretendShopify

View = dict[str, Any]
PAGE_MAX = 250
BULK = "bulk"  # the context of a query that is worked off whole


def connection(items: Sequence[Any], view: Callable[[Any], View]) -> Callable[..., View]:
    """A resolver that pages through `items` by position; a bulk query gets them all."""

    def resolve(info: object, first: int | None = None, after: str | None = None, **_: object) -> View:
        if getattr(info, "context", None) == BULK:
            return {"edges": [{"node": view(item)} for item in items]}
        start = int(_decoded(after)) if after else 0
        page = items[start : start + min(first or PAGE_MAX, PAGE_MAX)]
        end = start + len(page)
        here = {"hasNextPage": end < len(items), "endCursor": _encoded(str(end)) if page else None}
        return {"nodes": [view(item) for item in page], "pageInfo": here}

    return resolve


def keyset(
    items: Sequence[Any], key: Callable[[Any], tuple[str, int]], view: Callable[[Any], View]
) -> Callable[..., View]:
    """As `connection`, in the order of `key`, with cursors that hold the last key: an item that moves to the end
    between two pages makes nobody miss another."""

    def resolve(info: object, first: int | None = None, after: str | None = None, **_: object) -> View:
        last = tuple(orjson.loads(_decoded(after))) if after else ()
        left = sorted((item for item in items if key(item) > last), key=key)
        page = connection(left, view)(info, first)
        if "nodes" not in page:
            return page
        count = len(page["nodes"])
        page["pageInfo"]["endCursor"] = _encoded(orjson.dumps(key(left[count - 1])).decode()) if count else None
        return page

    return resolve


def plain_list(items: Sequence[Any], view: Callable[[Any], View]) -> Callable[..., list[View]]:
    """A resolver for a list without a cursor."""
    return lambda _info, first=None: [view(item) for item in items[: min(first or PAGE_MAX, PAGE_MAX)]]


def location(place: Location) -> View:
    """`Location`."""
    return {"__typename": "Location", "id": gid("Location", place.id), "name": place.name, "isActive": place.active}


class Views:
    """Views that need the shop: its numbers and its other objects."""

    def __init__(self, shop: PretendShopify) -> None:
        self.shop = shop

    def node(self, key: str) -> View | None:
        """Any object by its gid; None when there is none."""
        kind, of = key.removeprefix("gid://shopify/").partition("/")[0], number(key)
        shop = self.shop
        if kind == "Order" and of in shop.orders and shop.shows(shop.orders[of]):
            return self.order(shop.orders[of])
        if kind == "InventoryItem" and of in shop.variants and not shop.variants[of].deleted:
            return self.item(shop.variants[of])
        if kind == "ProductVariant":
            sold = next((v for v in shop.variants.values() if v.id == of and not v.deleted), None)
            return self.variant(sold) if sold else None
        finders: Mapping[str, Callable[[Order], Iterable[View]]] = {
            "FulfillmentOrder": lambda o: (self.allocation(o, a) for a in o.allocations if a.id == of),
            "Fulfillment": lambda o: (self.fulfillment(o, f) for f in o.fulfillments if f.id == of),
            "Refund": lambda o: (self.refund(o, r) for r in o.refunds if r.id == of),
            "Return": lambda o: (self.returned(o, r) for r in o.returns if r.id == of),
            "ReverseFulfillmentOrder": lambda o: (self.reverse(o, r) for r in o.returns if r.reverse_id == of),
        }
        find = finders.get(kind)
        return next((view for order in reversed(shop.orders.values()) for view in find(order)), None) if find else None

    def item(self, variant: Variant) -> View:
        """`InventoryItem`."""
        return {
            "__typename": "InventoryItem",
            "id": gid("InventoryItem", variant.item_id),
            "tracked": variant.tracked,
            "unitCost": None if variant.unit_cost is None else {"amount": str(variant.unit_cost)},
            "variants": lambda info, **page: connection([variant], self.variant)(info, **page),
            "inventoryLevel": lambda _info, locationId, **_: self.level((variant.item_id, number(locationId))),
            "inventoryLevels": connection(self.shop.inventory.stocked(variant.item_id), self.stocked),
        }

    def stocked(self, key: tuple[int, int]) -> View:
        """`InventoryLevel` that is known to exist."""
        level = self.shop.inventory.levels[key]
        shown = [{"name": "available", "quantity": level.available}]
        return {
            "isActive": level.active,
            "location": lambda _info: location(self.shop.locations[key[1]]),
            "quantities": lambda _info, names: [entry for entry in shown if entry["name"] in names],
        }

    def level(self, key: tuple[int, int]) -> View | None:
        """`InventoryLevel`, or None where the item never was stocked."""
        return self.stocked(key) if key in self.shop.inventory.levels else None

    def variant(self, variant: Variant) -> View:
        """`ProductVariant`."""
        return {
            "__typename": "ProductVariant",
            "id": gid("ProductVariant", variant.id),
            "sku": variant.sku,
            "barcode": variant.barcode,
            "displayName": variant.title,
            "price": str(variant.price),
            "requiresComponents": variant.bundle,
            "inventoryItem": lambda _info: self.item(variant),
        }

    def order(self, order: Order) -> View:
        """`Order`."""
        return {
            "__typename": "Order",
            "id": order.key,
            "name": f"#{order.number}",
            "createdAt": _at(order.created_at),
            "updatedAt": _at(order.updated_at),
            "cancelledAt": _at(order.cancelled_at),
            "closedAt": _at(order.closed_at),
            "confirmed": order.confirmed,
            "currencyCode": self.shop.currency,
            "returnStatus": "IN_PROGRESS" if order.returns else "NO_RETURN",
            "email": "buyer@example.com",
            "phone": "+15550100",
            "lineItems": connection(order.lines, self.line),
            "fulfillmentOrders": connection(self._routed(order), lambda a: self.allocation(order, a)),
            "fulfillments": plain_list(order.fulfillments, lambda f: self.fulfillment(order, f)),
            "refunds": plain_list(order.refunds, lambda r: self.refund(order, r)),
            "returns": connection(order.returns, lambda r: self.returned(order, r)),
        }

    def line(self, line: Line) -> View:
        """`LineItem`."""
        variant = line.variant
        return {
            "id": gid("LineItem", line.id),
            "sku": line.sku,
            "quantity": line.quantity,
            "currentQuantity": line.current,
            "isGiftCard": variant is not None and variant.gift_card,
            "originalUnitPriceSet": {"shopMoney": {"amount": str(line.price)}},
            "variant": None if variant is None or variant.deleted else lambda _info: self.variant(variant),
        }

    def _routed(self, order: Order) -> list[FulfillmentOrder]:
        context = self.shop.context
        return order.routed(context.now(), context.faults.routing_lag_s)

    def allocation(self, order: Order, allocation: FulfillmentOrder) -> View:
        """`FulfillmentOrder`."""
        return {
            "__typename": "FulfillmentOrder",
            "id": gid("FulfillmentOrder", allocation.id),
            "createdAt": _at(allocation.created_at),
            "orderId": order.key,
            "status": allocation.status,
            "assignedLocation": {"location": self._place(allocation.location_id)},
            "lineItems": connection(list(allocation.remaining.items()), lambda entry: self._allocated(order, *entry)),
        }

    def _allocated(self, order: Order, line_id: int, remaining: int) -> View:
        variant = order.line(line_id).variant
        return {
            "inventoryItemId": gid("InventoryItem", variant.item_id) if variant else None,
            "remainingQuantity": remaining,
            "lineItem": {"id": gid("LineItem", line_id)},
        }

    def fulfillment(self, _order: Order, fulfillment: Fulfillment) -> View:
        """`Fulfillment`."""
        return {
            "__typename": "Fulfillment",
            "id": gid("Fulfillment", fulfillment.id),
            "status": fulfillment.status,
            "location": self._place(fulfillment.location_id),
            "fulfillmentLineItems": connection(
                list(fulfillment.units.items()),
                lambda entry: {"quantity": entry[1], "lineItem": {"id": gid("LineItem", entry[0])}},
            ),
        }

    def refund(self, _order: Order, refund: Refund) -> View:
        """`Refund`."""
        return {
            "__typename": "Refund",
            "id": gid("Refund", refund.id),
            "createdAt": _at(refund.created_at),
            "return": {"id": gid("Return", refund.return_id)} if refund.return_id else None,
            "refundLineItems": connection(refund.lines, self._refunded),
        }

    def _refunded(self, line: RefundLine) -> View:
        return {
            "quantity": line.quantity,
            "restockType": line.restock_type,
            "restocked": line.restocked,
            "location": self._place(line.location_id),
            "lineItem": {"id": gid("LineItem", line.line_id)},
        }

    def returned(self, order: Order, returned: Return) -> View:
        """`Return`."""
        return {
            "__typename": "Return",
            "id": gid("Return", returned.id),
            "order": {"id": order.key},
            "reverseFulfillmentOrders": connection([returned], lambda r: self.reverse(order, r)),
        }

    def reverse(self, order: Order, returned: Return) -> View:
        """`ReverseFulfillmentOrder`."""
        return {
            "__typename": "ReverseFulfillmentOrder",
            "id": gid("ReverseFulfillmentOrder", returned.reverse_id),
            "order": {"id": order.key},
            "lineItems": connection(list(returned.expected), lambda line_id: self._reverse_line(returned, line_id)),
        }

    def _reverse_line(self, returned: Return, line_id: int) -> View:
        dispositions = [
            {
                "id": gid("ReverseFulfillmentOrderDisposition", entry.id),
                "type": entry.type,
                "quantity": entry.quantity,
                "location": self._place(entry.location_id),
            }
            for entry in returned.dispositions
            if entry.line_id == line_id
        ]
        return {"fulfillmentLineItem": {"lineItem": {"id": gid("LineItem", line_id)}}, "dispositions": dispositions}

    def _place(self, location_id: int | None) -> View | None:
        return None if location_id is None else location(self.shop.locations[location_id])


def _at(at: Any) -> str | None:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ") if at is not None else None


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _decoded(cursor: str) -> str:
    return base64.b64decode(cursor).decode()
