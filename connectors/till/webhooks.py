"""Deliveries: is it from the till, what does it say, and who has asked for it.

Headers are not signed, so nothing but the body is believed; event and delivery id are in it.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence

import orjson

from connectors import strict_json
from connectors.base import Notice, NoticeKind, Subscription
from connectors.errors import InvalidSignature, Malformed
from connectors.parts import is_ours
from connectors.till import fields, orders, stock
from connectors.till.api import Api
from connectors.till.fields import Node

SIGNATURE = "x-till-signature"
TOPICS = ("order.changed", "order.deleted", "product.changed", "product.deleted", "stock.changed")
HOOKS_MAX = 1_000


def verify(secrets: Sequence[str], headers: Mapping[str, str], body: bytes) -> None:
    """Raw bytes, hex HMAC-SHA256, any of the secrets. Raises `InvalidSignature`."""
    given = {name.lower(): value for name, value in headers.items()}.get(SIGNATURE, "")
    if not given:
        raise InvalidSignature("missing_signature", "no X-Till-Signature")
    # Every secret is compared, so that time does not tell which one fitted; an empty one would let anybody sign.
    right = [hmac.new(secret.encode(), body, hashlib.sha256).hexdigest() for secret in secrets if secret]
    if not [one for one in right if hmac.compare_digest(one.encode(), given.encode())]:
        raise InvalidSignature("invalid_signature", "signed with another secret, or the body was changed on its way")


def notice(body: bytes) -> Notice:
    """What a verified delivery says. Raises `Malformed` when it does not say what its event promises."""
    told = fields.node(strict_json.loads(body), "body")
    event = fields.text(told.get("event"), "body.event")
    delivery = fields.key(told.get("delivery"), "body.delivery")
    if event in ("order.changed", "order.deleted"):
        order = fields.node(told.get("order"), "body.order")
        key = fields.key(order.get("id"), "body.order.id")
        if event == "order.deleted":
            return Notice(NoticeKind.DOORBELL, event, "order", key, delivery)
        return Notice(NoticeKind.DOCUMENT, event, "order", key, delivery, orders.document(order))
    if event in ("product.changed", "stock.changed"):
        return _observation(event, delivery, fields.node(told.get("product"), "body.product"))
    if event == "product.deleted":
        gone = fields.node(told.get("product"), "body.product")
        return Notice(NoticeKind.DOORBELL, event, "product", fields.key(gone.get("id"), "body.product.id"), delivery)
    return Notice(NoticeKind.IGNORED, event, "app", "", delivery)


def _observation(event: str, delivery: str, product: Node) -> Notice:
    if "stock" not in product:
        raise Malformed("missing_field", "a product without its number", field="body.product.stock")
    entry = stock.entry(product)
    seen = {
        "stock_key": entry.stock_key, "listing_key": entry.listing_key, "sku": entry.sku, "tracked": entry.tracked,
        "quantity": entry.stock[0].quantity,
    }  # fmt: skip
    return Notice(NoticeKind.OBSERVATION, event, "stock", entry.stock_key, delivery, orjson.dumps(seen))


def read_webhooks(api: Api) -> list[Subscription]:
    """Every subscription, other people's too."""
    rows = fields.nodes(api.get("webhooks"), "webhooks", "answer", limit=HOOKS_MAX)
    return [_subscription(row) for row in rows]


def write_webhooks(api: Api, url: str, secret: str) -> list[Subscription]:
    """Every topic once, active, delivering to `url`. Doing it again changes nothing; ours that deliver to an older
    address are moved; what of ours is there twice is removed."""
    kept: dict[str, Subscription] = {}
    for found in sorted(read_webhooks(api), key=lambda one: one.url != url):
        path = f"webhooks/{found.subscription_key}"
        if is_ours(found, url) and found.topic in kept:
            api.send("DELETE", path)
        elif is_ours(found, url) and found.topic in TOPICS:
            kept[found.topic] = _subscription(api.send("PUT", path, {"url": url, "secret": secret}))
    for topic in TOPICS:
        if topic not in kept:
            kept[topic] = _subscription(api.send("POST", "webhooks", {"event": topic, "url": url, "secret": secret}))
    return [kept[topic] for topic in TOPICS]


def remove_webhooks(api: Api, url: str) -> int:
    """Take back what is ours, other people's are left alone; how many."""
    ours = [one for one in read_webhooks(api) if is_ours(one, url)]
    for one in ours:
        api.send("DELETE", f"webhooks/{one.subscription_key}")
    return len(ours)


def _subscription(row: Node) -> Subscription:
    return Subscription(
        subscription_key=fields.key(row.get("id"), "webhook.id"),
        topic=fields.text(row.get("event"), "webhook.event"),
        url=fields.text(row.get("url"), "webhook.url"),
        status=fields.text(row.get("status"), "webhook.status"),
    )
