"""Signatures and topics that no recording shows."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any

import orjson
import pytest

from connectors.base import NoticeKind, Shop
from connectors.errors import InvalidSignature, Malformed
from connectors.woocommerce import WooCommerce

WOO = WooCommerce()
SHOP = Shop("https://shop.example", "shop.example", {})


def signed(secret: str, body: bytes) -> dict[str, str]:
    digest = hmac.new(secret.encode(), body, hashlib.sha256).digest()
    return {"X-WC-Webhook-Signature": base64.b64encode(digest).decode()}


def notice(topic: str, body: object) -> Any:
    return WOO.notice(SHOP, {"x-wc-webhook-topic": topic}, orjson.dumps(body))


def test_both_secrets_are_accepted_while_one_is_changed() -> None:
    for secret in ("old", "new"):
        WOO.verify(["new", "old"], signed(secret, b"{}"), b"{}")


def test_another_secret_is_refused() -> None:
    with pytest.raises(InvalidSignature) as caught:
        WOO.verify(["new", "old"], signed("other", b"{}"), b"{}")
    assert caught.value.reason == "invalid_signature"


def test_an_empty_secret_verifies_nothing() -> None:
    with pytest.raises(InvalidSignature):
        WOO.verify(["", ""], signed("", b"{}"), b"{}")


def test_a_signature_that_is_not_ascii_is_refused_and_not_an_accident() -> None:
    with pytest.raises(InvalidSignature):
        WOO.verify(["secret"], {"X-WC-Webhook-Signature": "ü"}, b"{}")


def test_the_shop_signs_with_the_html_decoded_secret() -> None:
    WOO.verify(["x&amp;y"], signed("x&y", b"{}"), b"{}")


def test_header_names_come_in_any_case() -> None:
    headers = {name.upper(): value for name, value in signed("s", b"{}").items()}
    WOO.verify(["s"], headers, b"{}")


def test_the_address_is_the_shop_s_own_path_and_no_header() -> None:
    assert WOO.address({"X-WC-Webhook-Source": "https://other.example/"}, "unguessable") == "unguessable"
    assert WOO.address({"X-WC-Webhook-Source": "https://other.example/"}, None) is None


@pytest.mark.parametrize("topic", ["coupon.deleted", "customer.updated", "coupon.created"])
def test_topics_that_say_nothing_about_stock_are_ignored(topic: str) -> None:
    assert notice(topic, {"id": 28}).kind is NoticeKind.IGNORED


@pytest.mark.parametrize(
    ("topic", "body", "resource"),
    [
        ("order.deleted", {"id": 28}, "order"),
        ("order.restored", {"id": 28, "status": "processing", "line_items": []}, "order"),
        ("product.deleted", {"id": 28}, "product"),
        ("action.woocommerce_delete_order", {"action": "woocommerce_delete_order", "arg": 28}, "order"),
        ("action.woocommerce_trash_order", {"action": "woocommerce_trash_order", "arg": 28}, "order"),
        ("action.woocommerce_order_status_changed", {"action": "woocommerce_order_status_changed", "arg": 28}, "order"),
        ("action.woocommerce_delete_product", {"action": "woocommerce_delete_product", "arg": 28}, "product"),
        (
            "action.woocommerce_updated_product_stock",
            {"action": "woocommerce_updated_product_stock", "arg": 28},
            "stock",
        ),
    ],
)
def test_what_only_names_a_thing_rings_for_it(topic: str, body: object, resource: str) -> None:
    rung = notice(topic, body)
    assert (rung.kind, rung.resource, rung.resource_key) == (NoticeKind.DOORBELL, resource, "28")


def test_an_order_with_refunds_rings_because_its_body_does_not_say_of_what() -> None:
    body = {"id": 28, "status": "processing", "line_items": [], "refunds": [{"id": 3, "total": "-1"}]}
    assert notice("order.updated", body).kind is NoticeKind.DOORBELL


def test_an_action_whose_argument_is_an_object_says_nothing() -> None:
    body = {"action": "woocommerce_product_set_stock", "arg": []}
    assert notice("action.woocommerce_product_set_stock", body).kind is NoticeKind.IGNORED


@pytest.mark.parametrize(
    ("topic", "body"),
    [
        ("action.woocommerce_delete_order", {"action": "woocommerce_trash_order", "arg": 28}),
        ("action.woocommerce_delete_order", {"action": "woocommerce_delete_order", "arg": []}),
        ("order.updated", {"id": 28}),
        ("product.updated", {"id": 28}),
    ],
)
def test_06_topic_and_body_must_fit(topic: str, body: object) -> None:
    with pytest.raises(Malformed) as caught:
        notice(topic, body)
    assert caught.value.reason == "topic_body_mismatch"


@pytest.mark.parametrize("topic", ["", "x" * 201, "order updated", "order.updated\n"])
def test_a_body_without_a_topic_is_refused(topic: str) -> None:
    with pytest.raises(Malformed) as caught:
        WOO.notice(SHOP, {"X-WC-Webhook-Topic": topic}, b'{"id":28}')
    assert caught.value.reason == "missing_topic"


@pytest.mark.parametrize(
    ("product", "key", "quantity"),
    [
        ({"id": 10, "type": "simple", "manage_stock": True, "stock_quantity": -4}, "10", -4),
        ({"id": 14, "type": "variation", "parent_id": 13, "manage_stock": True, "stock_quantity": 4}, "13/14", 4),
        ({"id": 17, "type": "variation", "parent_id": 16, "manage_stock": "parent", "stock_quantity": 7}, "16", 7),
        ({"id": 11, "type": "simple", "manage_stock": False, "stock_quantity": None}, "11", None),
        ({"id": 11, "type": "simple", "manage_stock": None, "stock_quantity": 3}, "11", None),
    ],
)
def test_an_observation_speaks_for_the_one_that_keeps_the_number(product: object, key: str, quantity: object) -> None:
    seen = notice("product.updated", product)
    assert (seen.kind, seen.resource_key) == (NoticeKind.OBSERVATION, key)
    assert orjson.loads(seen.body)["quantity"] == quantity
