"""Deliveries: who says so, is it true, and what is it to us.

Everything here is pure. The signature covers the body only, never the headers, so the shop that a header names is a
claim until `verify` accepts the body with that shop's secret. Bodies leave this module cut down to an allow-list.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import orjson

from connectors import plausible, strict_json
from connectors.base import QUANTITY_MAX, Notice, NoticeKind, Shop
from connectors.errors import InvalidSignature, Malformed
from connectors.shopify import webhook_document
from connectors.shopify.keys import PARTS_OF_ORDERS, gid, kind
from connectors.shopify.proofs import find_domain
from connectors.shopify.shape import Node
from connectors.shopify.shop import only_location

# Order topics whose body is the whole order. The rest of orders/* is something else.
ORDER_BODIES = frozenset(
    f"orders/{event}" for event in ("create", "updated", "cancelled", "paid", "fulfilled", "partially_fulfilled")
)
ORDERS_MAX = 10_000  # of one customer
PRIVACY_TOPICS = frozenset({"customers/data_request", "customers/redact", "shop/redact"})


@dataclass(frozen=True, slots=True)
class _Delivery:
    shop: Shop
    topic: str
    key: str | None
    body: Node
    triggered_at: str | None = None


def address(headers: Mapping[str, str]) -> str | None:
    """The myshopify.com domain that a delivery names, lower-case; None when it is none."""
    return find_domain(header(headers, "X-Shopify-Shop-Domain") or "")


def verify(secrets: Sequence[str], headers: Mapping[str, str], body: bytes) -> None:
    """Accept base64 HMAC-SHA256 over the raw bytes under any of the secrets, compared in constant time."""
    claimed = header(headers, "X-Shopify-Hmac-Sha256")
    if not claimed:
        raise InvalidSignature("missing_signature", "no X-Shopify-Hmac-Sha256 header")
    try:
        digest = base64.b64decode(claimed.strip(), validate=True)
    except (binascii.Error, ValueError):
        digest = b""
    good = [hmac.compare_digest(hmac.new(s.encode(), body, hashlib.sha256).digest(), digest) for s in secrets]
    if not any(good):
        raise InvalidSignature("invalid_signature", "signed with another secret, or the body was changed on its way")


def header(headers: Mapping[str, str], name: str) -> str | None:
    """A header by name, whatever its case."""
    wanted = name.lower()
    if wanted in headers:
        return headers[wanted]
    return next((value for key, value in headers.items() if key.lower() == wanted), None)


def notice(shop: Shop, headers: Mapping[str, str], body: bytes) -> Notice:
    """What a verified delivery says. Raises `Malformed`: bad JSON, a bad value with its field, no topic, or
    `topic_body_mismatch`."""
    topic = (header(headers, "X-Shopify-Topic") or "").strip().lower()
    if not topic:
        raise Malformed("missing_topic", "no X-Shopify-Topic header")
    key = header(headers, "X-Shopify-Webhook-Id")
    read = _reader(topic)
    if read is None:
        return Notice(NoticeKind.IGNORED, topic, resource="app", resource_key=shop.domain, delivery_key=key)
    return read(_Delivery(shop, topic, key, _object(body), header(headers, "X-Shopify-Triggered-At")))


def _reader(topic: str) -> Callable[[_Delivery], Notice] | None:
    if topic in ORDER_BODIES:
        return _order
    if topic in _BY_TOPIC:
        return _BY_TOPIC[topic]
    return _BY_FAMILY.get(topic.partition("/")[0])


def _object(body: bytes) -> Node:
    value = strict_json.loads(body)
    if not isinstance(value, dict):
        raise Malformed("topic_body_mismatch", "the body is not an object", field="$")
    return Node(value)


def _order(delivery: _Delivery) -> Notice:
    order, shop = delivery.body, delivery.shop
    if type(order.values.get("id")) is not int or not isinstance(order.values.get("line_items"), list):
        raise _mismatch("id, line_items")
    key = gid("Order", order.number("id"))
    if not webhook_document.is_exact(order, delivery.topic):
        return _doorbell(delivery, "order", key)
    home = None if webhook_document.served_elsewhere(order) else only_location(shop)
    document = {
        "source": "webhook",
        "home": home,
        "located": home is not None,
        "order": webhook_document.redacted(order),
    }
    return Notice(
        NoticeKind.DOCUMENT, delivery.topic, resource="order", resource_key=key, delivery_key=delivery.key,
        body=orjson.dumps(document),
    )  # fmt: skip


def _order_event(delivery: _Delivery) -> Notice:
    return _doorbell(delivery, "order", _order_key(delivery.body))


def _deleted_order(delivery: _Delivery) -> Notice:
    number = delivery.body.values.get("id")
    if type(number) is not int:
        raise _mismatch("id")
    return _doorbell(delivery, "order", gid("Order", delivery.body.number("id")))


def _order_key(body: Node) -> str:
    """The order that an event is about, or a key that can be traced to it: payloads of returns and fulfilment orders
    name the order, or only themselves (their shapes are not documented; see the reference, 5.3)."""
    for node in (body, *_inner(body)):
        if type(node.values.get("order_id")) is int:
            return gid("Order", node.number("order_id"))
        for name in ("order_id", "admin_graphql_api_id", "id"):
            key = node.values.get(name)
            if isinstance(key, str) and kind(key) in ("Order", *PARTS_OF_ORDERS) and len(key) < 100:
                return key
    raise _mismatch("order_id")


def _inner(body: Node) -> list[Node]:
    names = ("order", "order_edit", "moved_fulfillment_order", "fulfillment_order", "original_fulfillment_order",
             "replacement_fulfillment_order", "remaining_fulfillment_order", "reverse_fulfillment_order",
             "return")  # fmt: skip
    holders = (body, *_merges(body))
    inner = [holder.node(name) for holder in holders for name in names if isinstance(holder.values.get(name), dict)]
    for node in inner:
        if node.path == "order" and type(node.values.get("id")) is int:
            node.values.setdefault("order_id", node.values["id"])
    return inner


def _merges(body: Node) -> list[Node]:
    """What a merge came to: Shopify's list of payload fields calls it an object, its name is a plural."""
    name = "fulfillment_order_merges"
    told = body.values.get(name)
    if isinstance(told, dict):
        return [body.node(name)]
    return body.nodes(name) if isinstance(told, list) else []


def _refund(delivery: _Delivery) -> Notice:
    if type(delivery.body.values.get("order_id")) is not int:
        raise _mismatch("order_id")
    return _order_event(delivery)


def _level(delivery: _Delivery) -> Notice:
    body = delivery.body
    if not all(type(body.values.get(name)) is int for name in ("inventory_item_id", "location_id")):
        raise _mismatch("inventory_item_id, location_id")
    item, place = gid("InventoryItem", body.number("inventory_item_id")), gid("Location", body.number("location_id"))
    observed = {"stock_key": item, "location_key": place, "quantity": _available(body)}
    return Notice(
        NoticeKind.OBSERVATION, delivery.topic, resource="stock", resource_key=f"{item}@{place}",
        delivery_key=delivery.key, body=orjson.dumps(observed),
    )  # fmt: skip


def _available(body: Node) -> int | None:
    """Signed: a shop may sell below zero. Null: the item is not tracked, or no longer stocked there."""
    value = body.values.get("available")
    if value is None:
        return None
    if type(value) is not int:
        raise Malformed("wrong_type", "expected a whole number", field="available")
    if abs(value) > QUANTITY_MAX:
        raise Malformed("out_of_range", f"beyond ±{QUANTITY_MAX}", field="available")
    return value


def _product(delivery: _Delivery) -> Notice:
    kinds = {"products": "Product", "variants": "ProductVariant", "inventory_items": "InventoryItem"}
    if type(delivery.body.values.get("id")) is not int:
        raise _mismatch("id")
    key = gid(kinds[delivery.topic.partition("/")[0]], delivery.body.number("id"))
    if not delivery.body.has("variants"):
        return _doorbell(delivery, "product", key)
    body = orjson.dumps({"listings": [_told(variant) for variant in delivery.body.nodes("variants")]})
    return Notice(
        NoticeKind.OBSERVATION, delivery.topic, resource="product", resource_key=key, delivery_key=delivery.key,
        body=body,
    )  # fmt: skip


def _told(variant: Node) -> dict[str, object]:
    """What a product's body says of a variant that a listing says too. Its number is not believed: it comes with a
    delivery of its own, by location."""
    return {
        "listing_key": gid("ProductVariant", variant.number("id")),
        "stock_key": gid("InventoryItem", variant.number("inventory_item_id")),
        "sku": variant.find_text("sku"),
    }


def _app(delivery: _Delivery) -> Notice:
    return _doorbell(delivery, "app", delivery.shop.domain)


def _about_app(delivery: _Delivery) -> Notice:
    """`app/uninstalled` and the compliance topics, without the customer: what is known of one is found without them."""
    body = delivery.body
    of_shop = "myshopify_domain" if delivery.topic == "app/uninstalled" else "shop_domain"
    if find_domain(str(body.values.get(of_shop) or "")) != delivery.shop.domain:
        raise _mismatch(of_shop)  # headers are not signed: another shop's delivery may not be taken for this one's
    orders = body.values.get("orders_requested") or body.values.get("orders_to_redact") or []
    if not isinstance(orders, list) or len(orders) > ORDERS_MAX or not all(type(order) is int for order in orders):
        raise _mismatch("orders_to_redact")
    asked = body.node("data_request").number("id") if isinstance(body.values.get("data_request"), dict) else ""
    told = {"triggered_at": _instant(delivery.triggered_at), "orders": [gid("Order", order) for order in orders]}
    return Notice(
        NoticeKind.APP, delivery.topic, resource="app", resource_key=str(asked), delivery_key=delivery.key,
        body=orjson.dumps(told),
    )  # fmt: skip


def _instant(text: str | None) -> str | None:
    """A header's time, None where it is none."""
    try:
        at = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    known = plausible.instant(at) if at.tzinfo is not None else None
    return known.isoformat() if known is not None else None


def _doorbell(delivery: _Delivery, resource: str, key: str) -> Notice:
    return Notice(NoticeKind.DOORBELL, delivery.topic, resource=resource, resource_key=key, delivery_key=delivery.key)


def _mismatch(fields: str) -> Malformed:
    return Malformed("topic_body_mismatch", "the body is not what its topic says", field=fields)


_BY_TOPIC: Mapping[str, Callable[[_Delivery], Notice]] = {
    "orders/delete": _deleted_order,
    "orders/edited": _order_event,
    "refunds/create": _refund,
    "app/uninstalled": _about_app,
    "app/scopes_update": _app,
    "shop/update": _app,
    **dict.fromkeys(PRIVACY_TOPICS, _about_app),
}
_BY_FAMILY: Mapping[str, Callable[[_Delivery], Notice]] = {
    "fulfillments": _refund,
    "fulfillment_orders": _order_event,
    "returns": _order_event,
    "reverse_fulfillment_orders": _order_event,
    "inventory_levels": _level,
    "inventory_items": _product,
    "products": _product,
    "variants": _product,
    "locations": _app,
}
