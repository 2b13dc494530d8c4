"""Values that no order may hold: refused with the field named, never half read."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from connectors.base import ORDER_LINES_MAX
from connectors.errors import Malformed
from tests.unit.shopify.documents import (
    SHELF,
    SHOPIFY,
    from_webhook,
    headers,
    line,
    owed,
    parsed,
    problems,
    refund,
    shipped,
    shop,
    units,
    webhook_line,
    webhook_order,
)

BAD_QUANTITIES = [-5, 10**12, "3", 1.5, None, True, 3.0, [], {}]


@pytest.mark.parametrize("bad", BAD_QUANTITIES)
def test_a_webhook_line_with_an_impossible_quantity_names_the_field(bad: Any) -> None:
    with pytest.raises(Malformed) as caught:
        from_webhook(webhook_line(id=10), webhook_line(quantity=bad))
    assert caught.value.field.endswith("line_items[1].quantity")


@pytest.mark.parametrize("bad", BAD_QUANTITIES)
def test_a_read_line_with_an_impossible_quantity_names_the_field(bad: Any) -> None:
    with pytest.raises(Malformed) as caught:
        parsed(line(bad))
    assert caught.value.field == "order.lineItems.nodes[0].quantity"


@pytest.mark.parametrize(
    ("order", "field"),
    [
        ({"owed": [owed(-1)]}, "order.fulfillmentOrders.nodes[0].lineItems.nodes[0].remainingQuantity"),
        ({"shipped": [shipped(-1)]}, "order.fulfillments[0].fulfillmentLineItems.nodes[0].quantity"),
        ({"refunds": [refund(-1, "CANCEL")]}, "order.refunds[0].refundLineItems.nodes[0].quantity"),
        ({"refunds": [refund(1, "SOMEHOW")]}, "order.refunds[0].refundLineItems.nodes[0].restockType"),
        ({"updatedAt": "2026-11-23T08:05:00"}, "order.updatedAt"),
        ({"updatedAt": "yesterday"}, "order.updatedAt"),
        ({"createdAt": None}, "order.createdAt"),
        ({"confirmed": "yes"}, "order.confirmed"),
        ({"id": 7}, "order.id"),
        ({"name": "x" * 5_000}, "order.name"),
        ({"lineItems": []}, "order.lineItems"),
    ],
)
def test_any_other_wrong_value_of_a_read_names_its_field(order: dict[str, Any], field: str) -> None:
    with pytest.raises(Malformed) as caught:
        parsed(line(1), **order)
    assert caught.value.field == field


@pytest.mark.parametrize("price", ["NaN", "Infinity", "12,50", "abc"])
def test_a_price_that_is_no_amount_is_refused(price: str) -> None:
    with pytest.raises(Malformed) as caught:
        parsed(line(1, originalUnitPriceSet={"shopMoney": {"amount": price}}))
    assert caught.value.field == "order.lineItems.nodes[0].originalUnitPriceSet.shopMoney.amount"


def test_a_quantity_of_zero_is_a_removed_line() -> None:
    assert units(parsed(line(0))) == {}


def test_two_webhook_lines_with_one_id_count_once() -> None:
    snapshot = from_webhook(webhook_line(), webhook_line())
    assert len(snapshot.lines) == 1
    assert problems(snapshot) == ["duplicate_line"]


def test_an_order_with_more_lines_than_are_read_is_refused_whole() -> None:
    lines = [webhook_line(id=n) for n in range(1, ORDER_LINES_MAX + 2)]
    with pytest.raises(Malformed) as caught:
        from_webhook(*lines)
    assert caught.value.reason == "order_too_large"


def test_an_order_whose_nested_lists_could_not_be_read_whole_is_refused() -> None:
    with pytest.raises(Malformed) as caught:
        parsed(line(1), incomplete=True)
    assert caught.value.reason == "order_too_large"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "empty_body"),
        (b"[]", "topic_body_mismatch"),
        (b'{"id": NaN}', "not_json"),
        (b'{"id": 1e999}', "not_json"),
        (b'{"id":' + b"[" * 100_000, "nested_too_deeply"),
        (b'{"id":' + b"9" * 5_000 + b"}", "not_json"),
        (orjson.dumps(webhook_order()).replace(b'"SHIRT"', b'"SH\\u0000"'), "nul_in_string"),
        (orjson.dumps(webhook_order()).replace(b'"SHIRT"', b'"\\ud800"'), "lone_surrogate"),
        (orjson.dumps(webhook_order()).replace(b"SHIRT", b"\xff"), "not_json"),
        ('{"id": 1}'.encode("utf-16"), "not_json"),
    ],
    ids=["empty", "array", "NaN", "1e999", "deep", "digits", "NUL", "surrogate", "UTF-8", "UTF-16"],
)
def test_bytes_that_are_no_good_json_are_refused_before_anything_is_stored(body: bytes, reason: str) -> None:
    with pytest.raises(Malformed) as caught:
        SHOPIFY.notice(shop(SHELF), headers("orders/create"), body)
    assert caught.value.reason == reason


def test_of_a_repeated_key_in_a_body_the_last_one_counts() -> None:
    body = orjson.dumps(webhook_order()).replace(b'"quantity":2', b'"quantity":9,"quantity":2')
    notice = SHOPIFY.notice(shop(SHELF), headers("orders/create"), body)
    assert SHOPIFY.parse_order(notice.body or b"").lines[0].ordered == 2


def test_a_document_of_neither_source_is_refused() -> None:
    with pytest.raises(Malformed) as caught:
        SHOPIFY.parse_order(b'{"source": "guess", "order": {}}')
    assert caught.value.field == "source"
