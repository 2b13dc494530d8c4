"""The webhooks we need at a shop: listed, made, and put right again.

WooCommerce disables a webhook at its 7th failure in a row and keeps the count, never shows a secret, and lets the same
topic be subscribed twice; so a write sets everything, and what is there twice is removed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from connectors.woocommerce import fields
from connectors.woocommerce.api import Api
from connectors.woocommerce.fields import Node

# Hard deletes and an echo-free "stock moved here" are only heard as actions (both versions, 2026-11-23).
TOPICS = (
    "order.created",
    "order.updated",
    "order.deleted",
    "order.restored",
    "product.created",
    "product.updated",
    "product.deleted",
    "product.restored",
    "action.woocommerce_delete_order",
    "action.woocommerce_delete_product",
    "action.woocommerce_delete_product_variation",
    "action.woocommerce_updated_product_stock",
)


@dataclass(frozen=True, slots=True)
class Subscription:
    """One webhook of a shop; `status` is active, paused or disabled."""

    key: int
    topic: str
    status: str
    url: str


def read_webhooks(api: Api, url: str) -> Sequence[Subscription]:
    """The shop's webhooks that deliver to `url`; those of others are none of our business."""
    found = [_subscription(row) for rows in api.pages("webhooks", {"status": "all"}) for row in rows]
    return [subscription for subscription in found if subscription.url == url]


def write_webhooks(api: Api, url: str, secret: str) -> Sequence[Subscription]:
    """Every topic once, active, delivering to `url`, signed with `secret` ([A-Za-z0-9]: others are HTML-decoded before
    they sign). Doing it again changes nothing."""
    if not (secret.isascii() and secret.isalnum()):
        raise ValueError("a webhook secret is letters and digits only")
    kept: dict[str, Subscription] = {}
    for subscription in read_webhooks(api, url):
        if subscription.topic in kept:
            api.send("DELETE", f"webhooks/{subscription.key}?force=true")
        elif subscription.topic in TOPICS:
            body = {"status": "active", "secret": secret}
            kept[subscription.topic] = _subscription(_node(api.send("PUT", f"webhooks/{subscription.key}", body)))
    for topic in TOPICS:
        if topic not in kept:
            body = {"name": f"Perpetual {topic}", "topic": topic, "delivery_url": url, "secret": secret}
            kept[topic] = _subscription(_node(api.send("POST", "webhooks", body)))
    return [kept[topic] for topic in TOPICS]


def _node(value: object) -> Node:
    return fields.node(value, "webhook")


def _subscription(row: Node) -> Subscription:
    return Subscription(
        key=fields.key(row.get("id"), "webhook.id"),
        topic=fields.text(row.get("topic"), "webhook.topic") or "",
        status=fields.text(row.get("status"), "webhook.status") or "",
        url=fields.text(row.get("delivery_url"), "webhook.delivery_url") or "",
    )
