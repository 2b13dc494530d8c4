"""Answers that are none: what shops, their hosts, firewalls and plugins say instead of what was asked for. Every code
by which the connectors know a refusal is among them (a test holds them against those tables)."""

from __future__ import annotations

import gzip
from collections.abc import Sequence

import orjson
import requests

from connectors.http import BODY_MAX
from sandbox.base import Response, Shop
from sandbox.front import UNAVAILABLE
from sandbox.shopify import PretendShopify
from sandbox.woocommerce import WooShop

_JSON = {"Content-Type": "application/json"}
# Each is something that a shop, its firewall or its plugins have been seen to answer with status 200.
GARBLED = (
    Response(200, {"Content-Type": "text/html"}, b"<html><title>Just a moment...</title></html>"),
    Response(200, _JSON, b""),
    Response(200, _JSON, b'{"data": {"orders": {"nodes": [{"id": "gid://sho'),
    Response(200, _JSON, b"null"),
    Response(200, _JSON, b"[]"),
    Response(200, _JSON | {"Content-Encoding": "gzip"}, gzip.compress(bytes(BODY_MAX + 1), mtime=0)),
    Response(200, _JSON, b'{"data": null}'),
    Response(200, _JSON, b'[{"id": "seven", "stock_quantity": {}, "status": 7, "line_items": null}]'),
    Response(200, _JSON, b'"<b>Deprecated</b>: Function utf8_encode() is deprecated"'),
    Response(200, _JSON, b'{"data": {"inventoryAdjustQuantities": null, "inventorySetQuantities": null}}'),
    Response(200, _JSON, b'{"data": {"inventorySetQuantities": {"userErrors": [{"code": 7}]}, "nodes": [{}]}}'),
    Response(200, _JSON, b'{"data": null, "errors": [{"message": "new", "extensions": {"code": "NEVER_HEARD_OF"}}]}'),
    Response(200, _JSON, b'{"update": [{"id": null, "manage_stock": null, "stock_quantity": "7", "error": null}]}'),
)
_HTML = {"Content-Type": "text/html"}
# Each is a refusal before anything was done: a shop that is busy, frozen or locked, whose host or firewall takes us for
# somebody else, whose token is just being replaced, a proxy without the shop behind it.
REFUSALS = (
    UNAVAILABLE,
    Response(302, {"Location": "https://parked.example/"}, b""),
    Response(400, _HTML, b"<h1>Bad Request</h1>"),
    Response(403, _HTML, b"<h1>Forbidden</h1>"),
    Response(404, _HTML, b"<h1>Not Found</h1>"),
    Response(413, _HTML, b"<h1>Request Entity Too Large</h1>"),
    Response(422, _JSON, b"{}"),
    Response(500, _HTML, b"<p>There has been a critical error on this website.</p>"),
    Response(501, _HTML, b"<h1>Method Not Implemented</h1>"),
    Response(504, _HTML, b"<h1>Gateway Time-out</h1>"),
)
# And what the vendor's own words for it are.
GRAPHQL_CODES = (
    "THROTTLED", "MAX_COST_EXCEEDED", "ACCESS_DENIED", "SHOP_INACTIVE", "INTERNAL_SERVER_ERROR",
)  # fmt: skip
WOO_CODES = {
    401: (
        "woocommerce_rest_cannot_view",
        "woocommerce_rest_cannot_edit",
        "woocommerce_rest_cannot_create",
        "woocommerce_rest_cannot_batch",
        "woocommerce_rest_cannot_delete",
        "woocommerce_rest_authentication_error",
        "invalid_username",
    ),
    404: (
        "rest_no_route",
        "woocommerce_rest_shop_order_invalid_id",
        "woocommerce_rest_product_invalid_id",
        "woocommerce_rest_invalid_product_id",
        "woocommerce_rest_product_variation_invalid_id",
        "woocommerce_rest_shop_webhook_invalid_id",
    ),
    400: (
        "rest_invalid_param",
        "rest_missing_callback_param",
        "woocommerce_rest_request_entity_too_large",
        "woocommerce_rest_shop_webhook_invalid_topic",
    ),
}
WOO_SENTENCES = (
    "Consumer secret is invalid", "Consumer key is invalid", "write permissions", "Invalid nonce",
    "Invalid timestamp", "Invalid signature",
)  # fmt: skip
OF_SHOPIFY = (
    Response(401, _JSON, b'{"errors": "[API] Invalid API key or access token"}'),
    Response(402, _JSON, b'{"errors": "Unavailable Shop"}'),
    Response(423, _JSON, b'{"errors": "This shop is locked"}'),
    Response(430, _JSON, b'{"errors": "Shopify Security Rejection"}'),
    *(
        Response(200, _JSON, orjson.dumps({"errors": [{"message": "no", "extensions": {"code": code}}]}))
        for code in (*GRAPHQL_CODES, "NEVER_HEARD_OF")
    ),
)
OF_WOO = tuple(
    Response(status, _JSON, orjson.dumps({"code": code, "message": says, "data": {"status": status}}))
    for status, code, says in (
        *((status, code, "No.") for status, codes in WOO_CODES.items() for code in codes),
        *((401, "woocommerce_rest_authentication_error", f"{text}.") for text in WOO_SENTENCES),
        (400, "never_heard_of", "No."),
    )
)
UNREACHED = (requests.exceptions.SSLError, requests.ConnectTimeout)
CUT_SHORT = (
    requests.exceptions.ChunkedEncodingError, requests.exceptions.ContentDecodingError, requests.ConnectionError,
)  # fmt: skip


def refusals_of(shop: Shop) -> Sequence[Response | type[Exception]]:
    """Whatever this shop, or what stands before it, may answer without doing anything."""
    own = OF_SHOPIFY if isinstance(shop, PretendShopify) else OF_WOO if isinstance(shop, WooShop) else ()
    return (*REFUSALS, *own, *UNREACHED)
