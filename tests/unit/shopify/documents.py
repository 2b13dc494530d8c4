"""Shopify documents for the unit tests, written by hand from the documented shapes (Admin schema 2026-10 and REST types
2026-07): no capture of a real store is among them."""

from __future__ import annotations

from typing import Any

import orjson

from connectors.base import OrderSnapshot, Shop, Units
from connectors.shopify import Shopify

SHOPIFY = Shopify()
SHELF, ANNEX, STORE = (f"gid://shopify/Location/{n}" for n in (1, 2, 3))
LINE = "gid://shopify/LineItem/11"
RETURN = "gid://shopify/Return/71"
Json = dict[str, Any]


def shop(*locations: str, **facts: str) -> Shop:
    """A shop whose mapped locations are these."""
    domain = "pretend.myshopify.com"
    return Shop(f"https://{domain}", domain, {"access_token": "t"}, tuple(locations), facts)


def nodes(*items: Json) -> Json:
    return {"nodes": list(items), "pageInfo": {"hasNextPage": False, "endCursor": None}}


def place(location: str | None) -> Json | None:
    return {"id": location} if location else None


def of(line: str = LINE) -> Json:
    return {"lineItem": {"id": line}}


def line(quantity: Any, **fields: Any) -> Json:
    item = {"id": "gid://shopify/InventoryItem/31", "tracked": True}
    return {
        "id": LINE,
        "sku": "SHIRT",
        "quantity": quantity,
        "currentQuantity": quantity,
        "isGiftCard": False,
        "originalUnitPriceSet": {"shopMoney": {"amount": "12.50"}},
        "variant": {"id": "gid://shopify/ProductVariant/21", "inventoryItem": item},
        **fields,
    }


def owed(quantity: int, location: str | None = SHELF, status: str = "OPEN", **entry: Any) -> Json:
    since = entry.pop("since", "2026-11-23T08:00:00Z")
    allocated = {"inventoryItemId": "gid://shopify/InventoryItem/31", "remainingQuantity": quantity, **of(), **entry}
    return {
        "id": "gid://shopify/FulfillmentOrder/41",
        "createdAt": since,
        "status": status,
        "assignedLocation": {"location": place(location)},
        "lineItems": nodes(allocated),
    }


def shipped(quantity: int, location: str | None = SHELF, status: str = "SUCCESS") -> Json:
    return {
        "id": "gid://shopify/Fulfillment/51",
        "status": status,
        "location": place(location),
        "fulfillmentLineItems": nodes({"quantity": quantity, **of()}),
    }


def refund(
    quantity: int,
    kind: str,
    location: str | None = None,
    *,
    of_return: str | None = None,
    restocked: bool | None = None,
) -> Json:
    entry = {
        "quantity": quantity,
        "restockType": kind,
        "restocked": kind != "NO_RESTOCK" if restocked is None else restocked,
        "location": place(location),
        **of(),
    }
    at, key = "2026-11-23T08:03:00Z", "gid://shopify/Refund/61"
    return {"id": key, "createdAt": at, "return": place(of_return), "refundLineItems": nodes(entry)}


def disposed(*entries: tuple[str, int, str | None]) -> Json:
    """One return whose reverse fulfilment order has these dispositions: (type, quantity, location)."""
    dispositions = [
        {"id": f"gid://shopify/D/{n}", "type": kind, "quantity": quantity, "location": place(location)}
        for n, (kind, quantity, location) in enumerate(entries)
    ]
    reverse = {
        "id": "gid://shopify/ReverseFulfillmentOrder/72",
        "lineItems": nodes({"fulfillmentLineItem": of(), "dispositions": dispositions}),
    }
    return {"id": RETURN, "reverseFulfillmentOrders": nodes(reverse)}


def read_document(*lines: Json, home: str | None = None, **order: Any) -> bytes:
    """A document as `read_orders` makes it. `owed`, `shipped`, `refunds`, `returns` are lists of the parts above."""
    body = {
        "id": "gid://shopify/Order/1",
        "name": "#1001",
        "createdAt": "2026-11-23T08:00:00Z",
        "updatedAt": "2026-11-23T08:05:00Z",
        "cancelledAt": None,
        "closedAt": None,
        "confirmed": True,
        "currencyCode": "EUR",
        "returnStatus": "NO_RETURN",
        "lineItems": nodes(*lines),
        "fulfillmentOrders": nodes(*order.pop("owed", [])),
        "fulfillments": order.pop("shipped", []),
        "refunds": order.pop("refunds", []),
        **order,
    }
    return orjson.dumps({"source": "read", "home": home, "order": body})


def parsed(*lines: Json, home: str | None = None, **order: Any) -> OrderSnapshot:
    return SHOPIFY.parse_order(read_document(*lines, home=home, **order))


def units(snapshot: OrderSnapshot) -> dict[str | None, Units]:
    """Of the only line, by location."""
    (only,) = snapshot.lines
    return {unit.location_key: unit for unit in only.units}


def problems(snapshot: OrderSnapshot) -> list[str]:
    return [problem.reason for problem in snapshot.problems]


def webhook_line(**fields: Any) -> Json:
    return {
        "id": 11,
        "variant_id": 21,
        "product_id": 20,
        "product_exists": True,
        "sku": "SHIRT",
        "quantity": 2,
        "current_quantity": 2,
        "fulfillable_quantity": 2,
        "fulfillment_service": "manual",
        "gift_card": False,
        "price": "12.50",
        "variant_inventory_management": "shopify",
        **fields,
    }


def webhook_order(*lines: Json, **fields: Any) -> Json:
    return {
        "id": 9_007_199_254_740_993,
        "name": "#1001",
        "email": "buyer@example.com",
        "created_at": "2026-11-23T03:00:00-05:00",
        "updated_at": "2026-11-23T03:05:00-05:00",
        "cancelled_at": None,
        "closed_at": None,
        "confirmed": True,
        "test": False,
        "currency": "EUR",
        "location_id": 3,
        "customer": {"first_name": "Ada", "phone": "+15550100"},
        "line_items": list(lines) or [webhook_line()],
        "fulfillments": [],
        "refunds": [],
        **fields,
    }


def headers(topic: str, **more: str) -> dict[str, str]:
    return {"X-Shopify-Topic": topic, "X-Shopify-Webhook-Id": "w-1", **more}


def from_webhook(*lines: Json, **fields: Any) -> OrderSnapshot:
    """What a one-location shop makes of `orders/create`."""
    notice = SHOPIFY.notice(shop(SHELF), headers("orders/create"), orjson.dumps(webhook_order(*lines, **fields)))
    assert notice.body is not None
    return SHOPIFY.parse_order(notice.body)
