"""Deliveries: who claims to send, whether it is true, and what each topic is to us."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any

import orjson
import pytest

from connectors.base import NoticeKind
from connectors.errors import InvalidSignature, Malformed
from tests.unit.shopify.documents import SHELF, SHOPIFY, headers, shop, webhook_order

SHOP = shop(SHELF)
BODY = b'{"id": 1}'


def signed(secret: str, body: bytes = BODY) -> dict[str, str]:
    digest = hmac.new(secret.encode(), body, hashlib.sha256).digest()
    return {"X-Shopify-Hmac-Sha256": base64.b64encode(digest).decode()}


def test_a_body_signed_with_any_of_the_secrets_is_accepted() -> None:
    # While a secret is changed, Shopify signs with the oldest one that is not revoked.
    SHOPIFY.verify(["new", "old"], signed("old"), BODY)
    SHOPIFY.verify(["new", "old"], {k.lower(): v for k, v in signed("new").items()}, BODY)


@pytest.mark.parametrize(
    ("claimed", "body", "reason"),
    [
        ({}, BODY, "missing_signature"),
        ({"X-Shopify-Hmac-Sha256": ""}, BODY, "missing_signature"),
        (signed("another"), BODY, "invalid_signature"),
        (signed("secret"), b'{"id":1}', "invalid_signature"),
        ({"X-Shopify-Hmac-Sha256": "é"}, BODY, "invalid_signature"),
        ({"X-Shopify-Hmac-Sha256": "not base64!"}, BODY, "invalid_signature"),
        ({"X-Shopify-Hmac-Sha256": hashlib.sha256(BODY).hexdigest()}, BODY, "invalid_signature"),
    ],
)
def test_a_body_that_does_not_carry_the_shops_signature_is_refused(
    claimed: dict[str, str], body: bytes, reason: str
) -> None:
    with pytest.raises(InvalidSignature) as caught:
        SHOPIFY.verify(["secret"], claimed, body)
    assert caught.value.reason == reason


def test_without_any_secret_nothing_is_accepted() -> None:
    with pytest.raises(InvalidSignature):
        SHOPIFY.verify([], signed(""), BODY)


@pytest.mark.parametrize(
    ("domain", "address"),
    [
        ("Pretend.myshopify.com", "pretend.myshopify.com"),
        ("evil.com", None),
        ("a.myshopify.com.evil.com", None),
        ("a.myshopify.com/@x", None),
        ("a.myshopify.com\n", None),
        ("-a.myshopify.com", None),
        ("a.b.myshopify.com", None),
        ("a" * 300 + ".myshopify.com", None),
        ("", None),
    ],
)
def test_only_a_plain_myshopify_domain_is_an_address(domain: str, address: str | None) -> None:
    assert SHOPIFY.address({"x-shopify-shop-domain": domain}, None) == address
    assert SHOPIFY.address({}, None) is None


@pytest.mark.parametrize(
    ("topic", "body", "resource", "key"),
    [
        ("orders/delete", {"id": 7}, "order", "gid://shopify/Order/7"),
        ("orders/edited", {"order_edit": {"id": 1, "order_id": 7}}, "order", "gid://shopify/Order/7"),
        ("refunds/create", {"id": 1, "order_id": 7, "refund_line_items": []}, "order", "gid://shopify/Order/7"),
        ("fulfillments/update", {"id": 1, "order_id": 7, "line_items": []}, "order", "gid://shopify/Order/7"),
        (
            "fulfillment_orders/moved",
            {"original_fulfillment_order": {"id": "x"}, "moved_fulfillment_order": {"id": "gid://shopify/FulfillmentOrder/8"}},
            "order", "gid://shopify/FulfillmentOrder/8",
        ),
        ("fulfillment_orders/split", {"fulfillment_order": {"id": 8, "order_id": 7}}, "order", "gid://shopify/Order/7"),
        *(
            ("fulfillment_orders/merged", {"fulfillment_order_merges": merges, "merge_intents": []}, "order",
             "gid://shopify/FulfillmentOrder/8")
            for one in [{"fulfillment_order": {"id": "gid://shopify/FulfillmentOrder/8"}}] for merges in (one, [one])
        ),
        *(
            (f"fulfillment_orders/{event}", {"fulfillment_order": {"id": "gid://shopify/FulfillmentOrder/8"}}, "order",
             "gid://shopify/FulfillmentOrder/8")
            for event in ("cancelled", "placed_on_hold", "hold_released", "order_routing_complete")
        ),
        (
            "returns/update",
            {"admin_graphql_api_id": "gid://shopify/Return/9", "order": {"id": 7}},
            "order", "gid://shopify/Return/9",
        ),
        (
            "reverse_fulfillment_orders/dispose",
            {"reverse_fulfillment_order": {"id": "gid://shopify/ReverseFulfillmentOrder/9"}},
            "order", "gid://shopify/ReverseFulfillmentOrder/9",
        ),
        ("products/update", {"id": 3}, "product", "gid://shopify/Product/3"),
        ("variants/out_of_stock", {"id": 3}, "product", "gid://shopify/ProductVariant/3"),
        ("inventory_items/update", {"id": 3}, "product", "gid://shopify/InventoryItem/3"),
        ("locations/deactivate", {"id": 3}, "app", "pretend.myshopify.com"),
    ],
)  # fmt: skip
def test_a_topic_that_is_not_the_whole_document_only_rings_for_its_resource(
    topic: str, body: dict[str, Any], resource: str, key: str
) -> None:
    notice = SHOPIFY.notice(SHOP, headers(topic), orjson.dumps(body))
    assert (notice.kind, notice.resource, notice.resource_key, notice.body) == (
        NoticeKind.DOORBELL,
        resource,
        key,
        None,
    )
    assert (notice.topic, notice.delivery_key) == (topic, "w-1")


def test_a_stock_level_is_an_observation_with_exact_ids() -> None:
    body = (
        b'{"inventory_item_id":9007199254740993,"location_id":75596366001,"available":-2,'
        b'"updated_at":"2026-03-16T15:35:06+07:00"}'
    )
    notice = SHOPIFY.notice(SHOP, headers("inventory_levels/update"), body)
    item, place = "gid://shopify/InventoryItem/9007199254740993", "gid://shopify/Location/75596366001"
    assert (notice.kind, notice.resource_key) == (NoticeKind.OBSERVATION, f"{item}@{place}")
    assert orjson.loads(notice.body or b"") == {"stock_key": item, "location_key": place, "quantity": -2}


@pytest.mark.parametrize("ending", [b"}", b',"available":null}'])
def test_an_item_that_is_no_longer_stocked_is_observed_without_a_number(ending: bytes) -> None:
    body = b'{"inventory_item_id":1,"location_id":2' + ending
    notice = SHOPIFY.notice(SHOP, headers("inventory_levels/disconnect"), body)
    assert orjson.loads(notice.body or b"")["quantity"] is None


@pytest.mark.parametrize("topic", ["products/create", "products/update"])
def test_a_product_tells_its_variants_as_listings_do_and_never_a_number(topic: str) -> None:
    variants = [{"id": 5, "inventory_item_id": 6, "sku": "mug", "inventory_quantity": 3, "title": "Mug"},
                {"id": 7, "inventory_item_id": 8, "sku": ""}]  # fmt: skip
    body = orjson.dumps({"id": 4, "vendor": "Ada", "variants": variants})
    notice = SHOPIFY.notice(SHOP, headers(topic), body)
    assert (notice.kind, notice.resource, notice.resource_key) == (
        NoticeKind.OBSERVATION, "product", "gid://shopify/Product/4",
    )  # fmt: skip
    assert orjson.loads(notice.body or b"") == {"listings": [
        {"listing_key": "gid://shopify/ProductVariant/5", "stock_key": "gid://shopify/InventoryItem/6", "sku": "mug"},
        {"listing_key": "gid://shopify/ProductVariant/7", "stock_key": "gid://shopify/InventoryItem/8", "sku": None},
    ]}  # fmt: skip


def test_a_product_without_variants_in_its_body_is_only_a_doorbell() -> None:
    notice = SHOPIFY.notice(SHOP, headers("products/delete"), b'{"id": 4}')
    assert (notice.kind, notice.resource_key, notice.body) == (
        NoticeKind.DOORBELL, "gid://shopify/Product/4", None,
    )  # fmt: skip


@pytest.mark.parametrize(
    "topic", ["carts/update", "orders/risk_assessment_changed", "bulk_operations/finish", "nonsense"]
)
def test_a_topic_that_says_nothing_about_stock_is_ignored(topic: str) -> None:
    assert SHOPIFY.notice(SHOP, headers(topic), b"not even json").kind is NoticeKind.IGNORED


@pytest.mark.parametrize(
    ("topic", "body"),
    [
        ("orders/create", {"inventory_item_id": 1, "location_id": 2}),
        ("orders/updated", {"id": "7", "line_items": []}),
        ("orders/delete", {"order_id": 7}),
        ("refunds/create", webhook_order()),
        ("inventory_levels/update", webhook_order()),
        ("inventory_levels/update", {"inventory_item_id": True, "location_id": 2}),
        ("fulfillment_orders/moved", {"id": "gid://shopify/Customer/1"}),
        ("products/update", {"title": "x"}),
        ("orders/create", [1]),
    ],
)
def test_a_topic_that_does_not_fit_its_body_is_malformed(topic: str, body: object) -> None:
    with pytest.raises(Malformed) as caught:
        SHOPIFY.notice(SHOP, headers(topic), orjson.dumps(body))
    assert caught.value.reason == "topic_body_mismatch"


def test_a_delivery_without_a_topic_is_malformed() -> None:
    with pytest.raises(Malformed) as caught:
        SHOPIFY.notice(SHOP, {}, BODY)
    assert caught.value.reason == "missing_topic"


@pytest.mark.parametrize(
    ("topic", "body", "key", "orders"),
    [
        ("app/uninstalled", {"id": 3, "myshopify_domain": SHOP.domain}, "", []),
        ("shop/redact", {"shop_id": 3}, "", []),
        ("customers/redact", {"customer": {"email": "a@b.c"}, "orders_to_redact": [7]}, "", ["gid://shopify/Order/7"]),
        (
            "customers/data_request",
            {"data_request": {"id": 9}, "orders_requested": [7]},
            "9",
            ["gid://shopify/Order/7"],
        ),
    ],
)
def test_a_word_about_our_app_is_kept_without_the_person_it_is_about(
    topic: str, body: dict[str, Any], key: str, orders: list[str]
) -> None:
    told = orjson.dumps({"shop_domain": SHOP.domain, **body})
    notice = SHOPIFY.notice(SHOP, {**headers(topic), "X-Shopify-Triggered-At": "2026-11-23T12:00:00Z"}, told)
    assert (notice.kind, notice.resource, notice.resource_key) == (NoticeKind.APP, "app", key)
    assert orjson.loads(notice.body or b"") == {"triggered_at": "2026-11-23T12:00:00+00:00", "orders": orders}


@pytest.mark.parametrize("topic", ["app/uninstalled", "shop/redact", "customers/redact", "customers/data_request"])
@pytest.mark.parametrize("told", ["another-shop.myshopify.com", "", None])
def test_a_word_about_our_app_whose_signed_body_names_another_shop_than_its_headers_is_not_believed(
    topic: str, told: str | None
) -> None:
    body = {"shop_id": 3, "shop_domain": told, "myshopify_domain": told}
    with pytest.raises(Malformed) as caught:
        SHOPIFY.notice(SHOP, headers(topic), orjson.dumps(body))
    assert caught.value.reason == "topic_body_mismatch"
