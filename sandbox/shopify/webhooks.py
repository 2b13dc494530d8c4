"""Deliveries of a pretend shop: REST-shaped bodies, signed, sent again for up to four hours, doubled or lost by the
dice.

Bodies carry a made-up buyer, so that whoever stores one unredacted is found out. Shapes: [N] shopify-api's REST types
and public samples; those of returns and fulfilment orders are written by hand from descriptions, since none is
documented.
"""

from __future__ import annotations

import base64
import hashlib
import heapq
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

import orjson

from sandbox.base import Context, Delivery
from sandbox.shopify.api import API_VERSION
from sandbox.shopify.state import Line, Order, Refund, Subscription, Variant, gid

# Eight retries over four hours, growing (changelog "updates to webhook retry mechanism"); the steps are ours.
RETRIES_S = (10, 30, 90, 270, 810, 1_620, 3_240, 8_330)
SHOP_ZONE = timezone(timedelta(hours=-5))
BUYER = {"first_name": "Ada", "last_name": "Buyer", "email": "buyer@example.com", "phone": "+15550100"}
ADDRESS = {"address1": "1 Main Street", "city": "Ottawa", "zip": "K2P 0V6", "name": "Ada Buyer"}


@dataclass
class _Sent:
    """A delivery that may have to be sent again."""

    subscription: Subscription
    headers: Mapping[str, str]
    body: bytes
    first_at: datetime
    tries: int = 0


@dataclass
class Webhooks:
    """Subscriptions and what is on its way."""

    context: Context
    domain: str
    secret: str
    subscriptions: list[Subscription] = field(default_factory=list)
    _queue: list[tuple[datetime, int, str]] = field(default_factory=list)
    _sent: dict[str, _Sent] = field(default_factory=dict)
    _count: int = 0

    def emit(self, topic: str, body: Mapping[str, Any]) -> None:
        """Send one event to every subscription of its topic (`orders/create`)."""
        wanted = topic.replace("/", "_").upper()
        event_key, content = self._key(), None
        for subscription in self.subscriptions:
            if subscription.topic == wanted:
                content = orjson.dumps(body) if content is None else content
                self._send(subscription, topic, content, event_key)

    def send_to(self, uris: Sequence[str], topic: str, body: Mapping[str, Any], *, secret: str) -> None:
        """Send one event to addresses that nobody subscribed, such as a compliance topic's."""
        event_key, content = self._key(), orjson.dumps(body)
        for uri in uris:
            self._send(Subscription(0, topic, uri, of_app=True, secret=secret), topic, content, event_key)

    def due(self) -> list[Delivery]:
        """Take what has fallen due."""
        now, due = self.context.now(), []
        while self._queue and self._queue[0][0] <= now:
            at, _, key = heapq.heappop(self._queue)
            sent = self._sent.get(key)
            if sent is not None:
                due.append(Delivery(at, sent.subscription.uri, sent.headers, sent.body, hook_key=key))
        return due

    def next_at(self) -> datetime | None:
        """When the next one falls due; None when there is none."""
        return self._queue[0][0] if self._queue else None

    def delivered(self, hook_key: str, status: int | None) -> None:
        """Anything but 2xx is a failure: sent again, until the eighth retry; then a subscription that nobody answered
        all the while is deleted, unless it belongs to the app's configuration."""
        sent = self._sent.get(hook_key)
        if sent is None:
            return
        now = self.context.now()
        if status is not None and 200 <= status < 300:
            sent.subscription.answered_at = now
            del self._sent[hook_key]
        elif sent.tries < len(RETRIES_S):
            self._enqueue(hook_key, now + timedelta(seconds=RETRIES_S[sent.tries]))
            sent.tries += 1
        else:
            del self._sent[hook_key]
            answered_at = sent.subscription.answered_at
            silent = answered_at is None or answered_at < sent.first_at
            if silent and not sent.subscription.of_app and sent.subscription in self.subscriptions:
                self.subscriptions.remove(sent.subscription)

    def sign(self, body: bytes, secret: str = "") -> str:
        """Base64 of the HMAC-SHA256 of the raw bytes."""
        return base64.b64encode(hmac.new((secret or self.secret).encode(), body, hashlib.sha256).digest()).decode()

    def headers(self, topic: str, body: bytes, webhook_key: str, event_key: str, *, secret: str = "") -> dict[str, str]:
        """The headers of one delivery, signed with the shop's secret or that of an installed app."""
        return {
            "Content-Type": "application/json",
            "X-Shopify-Topic": topic,
            "X-Shopify-Hmac-Sha256": self.sign(body, secret),
            "X-Shopify-Shop-Domain": self.domain,
            "X-Shopify-API-Version": API_VERSION,
            "X-Shopify-Webhook-Id": webhook_key,
            "X-Shopify-Event-Id": event_key,
            "X-Shopify-Triggered-At": self.context.now().isoformat(),
        }

    def _send(self, subscription: Subscription, topic: str, body: bytes, event_key: str) -> None:
        key, now = self._key(), self.context.now()
        delays = self.context.delays_s()
        if not delays:
            return
        headers = self.headers(topic, body, key, event_key, secret=subscription.secret)
        self._sent[key] = _Sent(subscription, headers, body, now)
        for delay_s in delays:
            self._enqueue(key, now + timedelta(seconds=delay_s))

    def _enqueue(self, key: str, at: datetime) -> None:
        self._count += 1
        heapq.heappush(self._queue, (at, self._count, key))

    def _key(self) -> str:
        digits = f"{self.context.rng.getrandbits(128):032x}"
        return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def order_body(order: Order, currency: str) -> dict[str, Any]:
    """The order as `orders/*` topics carry it."""
    return {
        "id": order.id,
        "admin_graphql_api_id": order.key,
        "name": f"#{order.number}",
        "order_number": order.number,
        "email": BUYER["email"],
        "phone": BUYER["phone"],
        "browser_ip": "203.0.113.7",
        "note": "leave it with Ada's neighbour",
        "customer": {"id": 1, **BUYER, "default_address": ADDRESS},
        "billing_address": ADDRESS,
        "shipping_address": ADDRESS,
        "created_at": _at(order.created_at),
        "updated_at": _at(order.updated_at),
        "cancelled_at": _at(order.cancelled_at),
        "cancel_reason": "customer" if order.cancelled_at else None,
        "closed_at": _at(order.closed_at),
        "confirmed": order.confirmed,
        "test": order.test,
        "currency": currency,
        "location_id": None,
        "source_name": "web",
        "line_items": [_line_body(order, line) for line in order.lines],
        "fulfillments": [fulfillment_body(order, index) for index in range(len(order.fulfillments))],
        "refunds": [refund_body(order, refund) for refund in order.refunds],
    }


def _line_body(order: Order, line: Line) -> dict[str, Any]:
    variant = line.variant if line.variant is not None and not line.variant.deleted else None
    return {
        "id": line.id,
        "admin_graphql_api_id": gid("LineItem", line.id),
        "variant_id": variant.id if variant else None,
        "product_id": variant.product_id if variant else None,
        "product_exists": variant is not None,
        "sku": line.sku,
        "title": line.title,
        "name": line.title,
        "quantity": line.quantity,
        "current_quantity": line.current,
        "fulfillable_quantity": order.owed(line),
        "fulfillment_service": "manual",
        "fulfillment_status": "fulfilled" if order.shipped(line) and not order.owed(line) else None,
        "gift_card": variant is not None and variant.gift_card,
        "price": str(line.price),
        "requires_shipping": True,
        "variant_inventory_management": "shopify" if variant and variant.tracked else None,
        "properties": [{"name": "engraving", "value": "for Ada"}],
    }


def fulfillment_body(order: Order, index: int) -> dict[str, Any]:
    """A fulfilment, as inside an order and as `fulfillments/*` carry it."""
    fulfillment = order.fulfillments[index]
    return {
        "id": fulfillment.id,
        "order_id": order.id,
        "admin_graphql_api_id": gid("Fulfillment", fulfillment.id),
        "status": fulfillment.status.lower(),
        "location_id": fulfillment.location_id,
        "updated_at": _at(order.updated_at),
        "destination": ADDRESS,
        "line_items": [{**_line_body(order, order.line(id_)), "quantity": q} for id_, q in fulfillment.units.items()],
    }


def refund_body(order: Order, refund: Refund) -> dict[str, Any]:
    """A refund, as inside an order and as `refunds/create` carries it."""
    return {
        "id": refund.id,
        "order_id": order.id,
        "admin_graphql_api_id": gid("Refund", refund.id),
        "created_at": _at(refund.created_at),
        "processed_at": _at(refund.created_at),
        "note": "Ada changed her mind",
        "return": {"id": refund.return_id} if refund.return_id else None,
        "refund_line_items": [
            {
                "id": refund.id + index,
                "line_item_id": line.line_id,
                "quantity": line.quantity,
                "restock_type": line.restock_type.lower(),
                "location_id": line.location_id,
            }
            for index, line in enumerate(refund.lines)
        ],
    }


def product_body(variant: Variant) -> dict[str, Any]:
    """`products/create` and `products/update`: the product with its one variant."""
    return {
        "id": variant.product_id,
        "admin_graphql_api_id": gid("Product", variant.product_id),
        "title": variant.title,
        "variants": [{
            "id": variant.id,
            "admin_graphql_api_id": gid("ProductVariant", variant.id),
            "product_id": variant.product_id,
            "inventory_item_id": variant.item_id,
            "sku": variant.sku,
            "barcode": variant.barcode,
            "price": str(variant.price),
            "inventory_management": "shopify" if variant.tracked else None,
        }],
    }  # fmt: skip


def level_body(variant: Variant, location_id: int, available: int | None, now: datetime) -> dict[str, Any]:
    """`inventory_levels/*`: no cause, no app, no previous value."""
    key = f"{gid('InventoryLevel', location_id)}?inventory_item_id={variant.item_id}"
    return {
        "inventory_item_id": variant.item_id,
        "location_id": location_id,
        "available": available if variant.tracked else None,
        "updated_at": _at(now),
        "admin_graphql_api_id": key,
    }


def _at(at: datetime | None) -> str | None:
    return at.astimezone(SHOP_ZONE).isoformat(timespec="seconds") if at is not None else None
