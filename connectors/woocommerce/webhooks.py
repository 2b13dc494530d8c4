"""Deliveries: is it from the shop, and what does it say. Pure.

A body is the state when it was sent, not when it happened, and deliveries are lost without a retry: a notice only ever
says "this is how it is now" or "look again". Nothing in the headers is signed, so only body and topic are believed, and
they must fit each other.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import html
import re
from collections.abc import Mapping, Sequence

import orjson

from connectors.base import QUANTITY_MAX, Notice, NoticeKind
from connectors.errors import InvalidSignature, Malformed
from connectors.woocommerce import fields
from connectors.woocommerce.families import family
from connectors.woocommerce.fields import Node
from connectors.woocommerce.orders import listing_key, order_key
from connectors.woocommerce.redaction import document

TOPIC_HEADER, SIGNATURE_HEADER = "x-wc-webhook-topic", "x-wc-webhook-signature"
_PING = re.compile(rb"webhook_id=[0-9]{1,20}\Z")
_TOPIC = re.compile(r"[a-z0-9_.]{3,200}\Z")
_ERROR_CODE = re.compile(r"[a-z0-9_]{1,100}\Z")

# action → the resource whose id is its argument.
ACTIONS: Mapping[str, str] = {
    "woocommerce_delete_order": "order",
    "woocommerce_before_delete_order": "order",
    "woocommerce_trash_order": "order",
    "woocommerce_before_trash_order": "order",
    "woocommerce_untrash_order": "order",
    "woocommerce_order_status_changed": "order",
    "woocommerce_order_refunded": "order",
    "woocommerce_payment_complete": "order",
    "woocommerce_new_order": "order",
    "woocommerce_update_order": "order",
    "woocommerce_delete_product": "product",
    "woocommerce_before_delete_product": "product",
    "woocommerce_trash_product": "product",
    "woocommerce_delete_product_variation": "product",
    "woocommerce_trash_product_variation": "product",
    "woocommerce_updated_product_stock": "stock",
}
# topic → how it is read.
ORDER_DOCUMENTS = frozenset({"order.created", "order.updated"})
ORDER_DOORBELLS = frozenset({"order.deleted", "order.restored"})
PRODUCT_DOCUMENTS = frozenset({"product.created", "product.updated", "product.restored", "product.published"})


def lower(headers: Mapping[str, str]) -> dict[str, str]:
    """Header names in lower case."""
    return {name.lower(): value for name, value in headers.items()}


def is_ping(headers: Mapping[str, str], body: bytes) -> bool:
    """The unsigned form body (`webhook_id=6`) that a shop sends once when a webhook is created."""
    return TOPIC_HEADER not in lower(headers) and _PING.match(body.strip()) is not None


def verify(secrets: Sequence[str], headers: Mapping[str, str], body: bytes) -> None:
    """Raw bytes, base64(HMAC-SHA256), any of the secrets. WooCommerce HTML-decodes a secret before it signs
    (`x&amp;y` signs as `x&y`, 10.9.0, 2026-11-23), so both forms are tried. Raises `InvalidSignature`."""
    given = lower(headers).get(SIGNATURE_HEADER, "")
    if not given:
        raise InvalidSignature("missing_signature", "no X-WC-Webhook-Signature")
    forms = {form for secret in secrets if secret for form in (secret, html.unescape(secret))}
    # Every form is compared, so that time does not tell which one fitted.
    fitting = [form for form in sorted(forms) if hmac.compare_digest(_signature(form, body), given.encode())]
    if not fitting:
        raise InvalidSignature("invalid_signature", "signed with another secret, or the body was changed on its way")


def _signature(secret: str, body: bytes) -> bytes:
    return base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest())


def notice(headers: Mapping[str, str], body: bytes) -> Notice:
    """What a verified delivery says. Raises `Malformed` when topic and body do not fit."""
    topic = lower(headers).get(TOPIC_HEADER, "")
    if is_ping(headers, body):
        return Notice(NoticeKind.IGNORED, "ping", "app", "")
    if not _TOPIC.match(topic):
        raise Malformed("missing_topic", "no X-WC-Webhook-Topic, or one that is none")
    resource = topic.split(".", 1)[0]
    if resource not in {"order", "product", "action"}:
        return Notice(NoticeKind.IGNORED, topic, resource, "")
    value = fields.node(fields.decode(body), "body")
    error = _error_notice(topic, value)
    if error is not None:
        return error
    if resource == "action":
        return _action(topic, value)
    return _order(topic, value) if resource == "order" else _product(topic, value)


def _error_notice(topic: str, value: Node) -> Notice | None:
    """A validly signed REST error. `invalid_id`: the object went before the delivery did, and the body does not say
    which. Anything else: the webhook's owner lost its rights, and nothing will be heard until a person acts."""
    code = value.get("code")
    if "id" in value or not isinstance(code, str) or "message" not in value or not _ERROR_CODE.match(code):
        return None
    gone = code.endswith("invalid_id")
    return Notice(NoticeKind.IGNORED if gone else NoticeKind.DOORBELL, topic, "app", code)


def _action(topic: str, value: Node) -> Notice:
    action = topic.removeprefix("action.")
    if value.get("action") != action:
        raise Malformed("topic_body_mismatch", f"{topic} with another action in its body", field="body.action")
    resource = ACTIONS.get(action)
    if resource is None:
        return Notice(NoticeKind.IGNORED, topic, "app", "")
    key = fields.key(value.get("arg") or None, "body.arg")
    if key == 0:
        raise Malformed("topic_body_mismatch", f"{topic} without an id", field="body.arg")
    return Notice(NoticeKind.DOORBELL, topic, resource, str(key))


def _order(topic: str, value: Node) -> Notice:
    key = str(order_key(value))
    if topic in ORDER_DOORBELLS:
        return Notice(NoticeKind.DOORBELL, topic, "order", key)
    if topic not in ORDER_DOCUMENTS:
        return Notice(NoticeKind.IGNORED, topic, "order", key)
    if "line_items" not in value or "status" not in value:
        raise Malformed("topic_body_mismatch", f"{topic} without an order in its body", field="body.line_items")
    if value.get("refunds"):
        return Notice(NoticeKind.DOORBELL, topic, "order", key)  # the body names refunds, not what they were for
    return Notice(NoticeKind.DOCUMENT, topic, "order", key, body=document(value))


def _product(topic: str, value: Node) -> Notice:
    key = fields.key(value.get("id"), "body.id")
    if key == 0:
        raise Malformed("missing_field", "no id", field="body.id")
    if topic not in PRODUCT_DOCUMENTS:
        # product.deleted is also sent for any page or post that goes to the trash: only a look tells.
        kind = NoticeKind.DOORBELL if topic == "product.deleted" else NoticeKind.IGNORED
        return Notice(kind, topic, "product", str(key))
    if "manage_stock" not in value or "type" not in value:
        raise Malformed("topic_body_mismatch", f"{topic} without a product in its body", field="body.manage_stock")
    if value.get("type") == "variation" and family(value)[0] < key:
        # Its number is kept at the translation that is the oldest, of a product that is not named here.
        return Notice(NoticeKind.DOORBELL, topic, "stock", str(family(value)[0]))
    seen = observation(value)
    return Notice(NoticeKind.OBSERVATION, topic, "stock", str(seen["stock_key"]), body=orjson.dumps(seen))


def observation(product: Node) -> dict[str, object]:
    """`{stock_key, quantity, listing_key, sku, tracked, modified_at}` of a product or variation body.

    A variation whose parent manages the stock shows the parent's number and speaks for the parent's key; a product in
    several languages speaks for that of the oldest.
    """
    own = fields.key(product.get("id"), "body.id")
    parent = fields.key(product.get("parent_id"), "body.parent_id") if product.get("type") == "variation" else 0
    manages = product.get("manage_stock")
    quantity = product.get("stock_quantity")
    if quantity is not None:
        quantity = fields.whole(quantity, "body.stock_quantity", low=-QUANTITY_MAX, high=QUANTITY_MAX)
    modified_at = fields.find_instant(product.get("date_modified_gmt"), "body.date_modified_gmt")
    return {
        "stock_key": _stock_key(product, own, parent),
        "quantity": quantity if manages in (True, "parent") else None,
        "listing_key": listing_key(parent or own, own if parent else 0),
        "sku": fields.text(product.get("sku"), "body.sku"),
        "tracked": manages in (True, "parent"),
        "modified_at": modified_at.isoformat() if modified_at else None,
    }


def _stock_key(product: Node, own: int, parent: int) -> str:
    if not parent:
        return str(family(product)[0])
    return str(parent) if product.get("manage_stock") == "parent" else f"{parent}/{own}"
