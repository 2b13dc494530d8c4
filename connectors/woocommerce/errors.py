"""What WooCommerce's own error codes mean, for a whole call and for one item of a batch.

Codes as seen on 10.2.4 and 10.9.0 (2026-11-23); one that is not listed keeps what its HTTP status says.
"""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from connectors.errors import AccessDenied, ChannelError, NotFound, Refused, Throttled, Transient

# code → (kind, reason); of a whole call.
CODES: Mapping[str, tuple[type[ChannelError], str]] = {
    "woocommerce_rest_cannot_view": (AccessDenied, "keys_not_accepted"),
    "woocommerce_rest_cannot_edit": (AccessDenied, "no_permission"),
    "woocommerce_rest_cannot_create": (AccessDenied, "no_permission"),
    "woocommerce_rest_cannot_batch": (AccessDenied, "no_permission"),
    "woocommerce_rest_cannot_delete": (AccessDenied, "no_permission"),
    "woocommerce_rest_authentication_error": (AccessDenied, "keys_refused"),
    "invalid_username": (AccessDenied, "plain_permalinks"),
    "rest_no_route": (NotFound, "no_such_route"),
    "woocommerce_rest_shop_order_invalid_id": (NotFound, "no_such_order"),
    "woocommerce_rest_product_invalid_id": (NotFound, "no_such_product"),
    "woocommerce_rest_invalid_product_id": (NotFound, "no_such_product"),
    "woocommerce_rest_product_variation_invalid_id": (NotFound, "no_such_product"),
    "woocommerce_rest_shop_webhook_invalid_id": (NotFound, "no_such_webhook"),
    "rest_invalid_param": (Refused, "invalid_parameter"),
    "rest_missing_callback_param": (Refused, "invalid_parameter"),
    "woocommerce_rest_request_entity_too_large": (Refused, "too_large"),
    "woocommerce_rest_shop_webhook_invalid_topic": (Refused, "unknown_topic"),
}
# "authentication_error" is four different things; its English text is the only difference.
SENTENCES: tuple[tuple[str, type[ChannelError], str], ...] = (
    ("Consumer secret is invalid", AccessDenied, "wrong_secret"),
    ("Consumer key is invalid", AccessDenied, "keys_not_accepted"),
    ("write permissions", AccessDenied, "read_only_key"),
    ("Invalid nonce", Transient, "nonce_reused"),
    ("Invalid timestamp", AccessDenied, "clock_differs"),
    ("Invalid signature", AccessDenied, "wrong_signature"),
)
# code → (reason, permanent); of one item of a batch.
ITEM_CODES: Mapping[str, tuple[str, bool]] = {
    "woocommerce_rest_product_invalid_id": ("gone", True),
    "woocommerce_rest_product_variation_invalid_id": ("gone", True),
    "woocommerce_rest_invalid_product_id": ("is_a_variation", True),
    "woocommerce_rest_cannot_edit": ("no_permission", True),
    "rest_invalid_param": ("invalid_parameter", True),
}


def refined(error: ChannelError) -> ChannelError:
    """The same failure by WooCommerce's own code, where the body has one. Outcome stays unknown where it was."""
    code, message = code_and_message(error.answer)
    if error.answer.lstrip()[:1] == b"<" and isinstance(error, AccessDenied):
        return AccessDenied("blocked_by_firewall", "a web page came back instead of data")
    if not isinstance(error, (AccessDenied, NotFound, Refused)) or isinstance(error, Throttled):
        return error
    kind, reason = CODES.get(code, (type(error), error.reason))
    if code == "woocommerce_rest_cannot_view" and error.reason == "forbidden":  # 403: known, and lacking rights
        kind, reason = CODES["woocommerce_rest_cannot_edit"]
    if code == "woocommerce_rest_authentication_error":
        kind, reason = next(((k, r) for text, k, r in SENTENCES if text in message), (kind, reason))
    return kind(reason, error.detail, retry_after_s=error.retry_after_s, answer=error.answer)


def code_and_message(body: bytes) -> tuple[str, str]:
    """`code` and `message` of an error body, empty strings when it is not one."""
    try:
        value = orjson.loads(body or b"null")
    except orjson.JSONDecodeError:
        return "", ""
    if not isinstance(value, dict):
        return "", ""
    return str(value.get("code", "")), str(value.get("message", ""))
