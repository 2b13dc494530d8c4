"""The webhooks we need at a shop: listed, made, and put right again.

WooCommerce disables a webhook at its 7th failure in a row and keeps the count, never shows a secret, and lets the same
topic be subscribed twice; so a write sets everything, and what is there twice is removed. Some hosts refuse PUT and
DELETE, so everything is a POST: to a thing's own address it changes it, with `_method=DELETE` it removes it (10.9.0,
2026-11-23). An OAuth signature is over POST, the method that is sent, and holds `_method` as any other parameter.
"""

from __future__ import annotations

from collections.abc import Sequence

from connectors.base import Subscription
from connectors.parts import is_ours
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


def read_webhooks(api: Api) -> Sequence[Subscription]:
    """Every webhook of the shop, other people's too."""
    return [_subscription(row) for rows in api.pages("webhooks", {"status": "all"}) for row in rows]


def write_webhooks(api: Api, url: str, secret: str) -> Sequence[Subscription]:
    """Every topic once, active, delivering to `url`, signed with `secret` ([A-Za-z0-9]: others are HTML-decoded before
    they sign). Doing it again changes nothing. One of ours that delivers to another address is moved; whose it is tells
    the last part of the address, which nobody else knows."""
    if not (secret.isascii() and secret.isalnum()):
        raise ValueError("a webhook secret is letters and digits only")
    kept: dict[str, Subscription] = {}
    for subscription in sorted(read_webhooks(api), key=lambda found: found.url != url):
        if not is_ours(subscription, url):
            continue
        if subscription.topic in kept:
            _remove(api, subscription)
        elif subscription.topic in TOPICS:
            body = {"status": "active", "secret": secret, "delivery_url": url}
            path = f"webhooks/{subscription.subscription_key}"
            kept[subscription.topic] = _subscription(_node(api.send("POST", path, body)))
    for topic in TOPICS:
        if topic not in kept:
            body = {"name": f"Perpetual {topic}", "topic": topic, "delivery_url": url, "secret": secret}
            kept[topic] = _subscription(_node(api.send("POST", "webhooks", body)))
    return [kept[topic] for topic in TOPICS]


def remove_webhooks(api: Api, url: str) -> int:
    """Take back what is ours; how many. Other people's are left alone."""
    ours = [found for found in read_webhooks(api) if is_ours(found, url)]
    for subscription in ours:
        _remove(api, subscription)
    return len(ours)


def _remove(api: Api, subscription: Subscription) -> None:
    api.send("POST", f"webhooks/{subscription.subscription_key}?force=true&_method=DELETE")


def _node(value: object) -> Node:
    return fields.node(value, "webhook")


def _subscription(row: Node) -> Subscription:
    return Subscription(
        subscription_key=str(fields.key(row.get("id"), "webhook.id")),
        topic=fields.text(row.get("topic"), "webhook.topic") or "",
        url=fields.text(row.get("delivery_url"), "webhook.delivery_url") or "",
        status=fields.text(row.get("status"), "webhook.status") or "",
    )
