"""Orders as webhooks bring them: what is known at once, and when a read has to say the rest."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from connectors.base import NoticeKind, Shop, Units
from tests.unit.shopify.documents import (
    ANNEX,
    SHELF,
    SHOPIFY,
    from_webhook,
    headers,
    problems,
    shop,
    units,
    webhook_line,
    webhook_order,
)

ONE_LOCATION = shop(SHELF)
RETURNED = {"return": {"id": 5}, "refund_line_items": []}
SENT = {"id": 51, "status": "success", "location_id": 1, "line_items": [{"id": 11, "quantity": 2}]}
CANCEL_REFUND = {"refund_line_items": [{"line_item_id": 11, "quantity": 2, "restock_type": "cancel", "location_id": 1}]}


def kind_of(of: Shop, topic: str, **fields: Any) -> NoticeKind:
    return SHOPIFY.notice(of, headers(topic), orjson.dumps(webhook_order(**fields))).kind


def test_a_shop_with_one_location_needs_no_read_to_commit_an_order() -> None:
    snapshot = from_webhook()
    assert units(snapshot) == {SHELF: Units(SHELF, committed=2, taken=2)}
    assert snapshot.located
    assert snapshot.order_key == "gid://shopify/Order/9007199254740993"
    assert snapshot.version == datetime(2026, 11, 23, 8, 5, tzinfo=UTC)


def test_a_webhook_line_names_its_variant_and_leaves_the_inventory_item_open() -> None:
    (line,) = from_webhook().lines
    assert (line.listing_key, line.stock_key) == ("gid://shopify/ProductVariant/21", None)


@pytest.mark.parametrize(
    "several",
    [shop(SHELF, ANNEX), shop(), shop(SHELF, location_count="2")],
    ids=["two mapped", "none mapped", "one mapped of two"],
)
def test_with_several_locations_a_body_says_what_but_not_where(several: Shop) -> None:
    notice = SHOPIFY.notice(several, headers("orders/create"), orjson.dumps(webhook_order()))
    assert notice.kind is NoticeKind.DOCUMENT
    assert notice.body is not None
    snapshot = SHOPIFY.parse_order(notice.body)
    assert units(snapshot) == {None: Units(None, committed=2, taken=2)}
    assert not snapshot.located


def test_a_line_that_a_fulfilment_service_ships_is_not_at_the_shops_own_location() -> None:
    assert not from_webhook(webhook_line(fulfillment_service="amazon")).located


def test_no_customer_field_survives_in_a_stored_body() -> None:
    private = {
        "email": "a@example.com", "phone": "1", "note": "ring Ada", "browser_ip": "203.0.113.7",
        "customer": {"x": "Ada"},
        "shipping_address": {"name": "Ada"}, "note_attributes": [{"value": "Ada"}], "customer_locale": "en-Ada",
        "fulfillments": [{"status": "cancelled", "location_id": 1, "destination": {"name": "Ada"}, "line_items": []}],
        "refunds": [{"note": "Ada", "refund_line_items": []}],
    }  # fmt: skip
    body = webhook_order(webhook_line(properties=[{"value": "for Ada"}], name="Shirt for Ada"), **private)
    stored = SHOPIFY.notice(ONE_LOCATION, headers("orders/create"), orjson.dumps(body)).body
    assert stored is not None
    assert not [word for word in (b"Ada", b"@", b"203.0", b"phone") if word in stored]


def test_a_nested_value_in_a_plain_field_is_refused_so_that_nothing_hides_in_it() -> None:
    body = webhook_order(webhook_line(sku={"email": "a@example.com"}))
    with pytest.raises(Exception, match=r"line_items\[0\]\.sku"):
        SHOPIFY.notice(ONE_LOCATION, headers("orders/create"), orjson.dumps(body))


def test_units_refunded_before_shipping_are_exact_in_the_body() -> None:
    line = webhook_line(quantity=3, current_quantity=1, fulfillable_quantity=1)
    refunds = [
        {"refund_line_items": [{"line_item_id": 11, "quantity": 1, "restock_type": "cancel", "location_id": 1}]},
        {"refund_line_items": [{"line_item_id": 11, "quantity": 1, "restock_type": "no_restock", "location_id": None}]},
    ]
    assert units(from_webhook(line, refunds=refunds)) == {SHELF: Units(SHELF, committed=1, held=1, taken=2)}


def test_a_counter_sale_is_shipped_at_once_where_it_was_sold() -> None:
    snapshot = from_webhook(webhook_line(fulfillable_quantity=0), fulfillments=[SENT])
    assert units(snapshot) == {SHELF: Units(SHELF, shipped=2, taken=2)}


@pytest.mark.parametrize(
    ("topic", "fields"),
    [
        ("orders/updated", {"fulfillments": [SENT]}),
        ("orders/fulfilled", {"fulfillments": [SENT]}),
        ("orders/updated", {"refunds": [RETURNED]}),
        ("orders/cancelled", {"cancelled_at": "2026-11-23T03:05:00-05:00"}),
    ],
    ids=["shipped: dispositions are not in the body", "fulfilled", "a return's refund", "its refund is on the way"],
)
def test_a_body_that_can_not_be_the_whole_truth_only_rings_the_doorbell(topic: str, fields: dict[str, Any]) -> None:
    assert kind_of(ONE_LOCATION, topic, **fields) is NoticeKind.DOORBELL


def test_a_cancelled_order_whose_refund_is_in_the_body_is_a_document() -> None:
    cancelled = {"cancelled_at": "2026-11-23T03:05:00-05:00", "refunds": [CANCEL_REFUND]}
    assert kind_of(ONE_LOCATION, "orders/cancelled", **cancelled) is NoticeKind.DOCUMENT
    line = webhook_line(current_quantity=0, fulfillable_quantity=0)
    snapshot = from_webhook(line, **cancelled)
    assert (units(snapshot), snapshot.status, problems(snapshot)) == ({}, "cancelled", [])


@pytest.mark.parametrize(
    "fields",
    [{"gift_card": True}, {"variant_id": None, "sku": None}],
    ids=["gift card", "tip"],
)
def test_a_webhook_line_that_is_no_thing_has_no_units_and_is_marked_untracked(fields: dict[str, Any]) -> None:
    (line,) = from_webhook(webhook_line(**fields)).lines
    assert (line.tracked, line.units) == (False, ())


def test_a_webhook_line_that_the_shop_keeps_no_stock_of_says_so_and_where_its_units_are() -> None:
    (line,) = from_webhook(webhook_line(variant_inventory_management=None)).lines
    assert (line.tracked, [unit.committed for unit in line.units]) == (False, [2])


def test_a_test_order_is_an_order_like_any_other() -> None:
    assert units(from_webhook(test=True))[SHELF].committed == 2


def test_an_unconfirmed_webhook_order_reserves_nothing() -> None:
    assert units(from_webhook(confirmed=False)) == {}
