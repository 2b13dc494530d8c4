"""Bad input (rows 9 to 20 and 34): refused with the reason and the place, never half read."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import orjson
import pytest

from connectors.base import NoticeKind, Shop
from connectors.errors import Malformed
from connectors.woocommerce import WooCommerce
from connectors.woocommerce.orders import parse_order
from connectors.woocommerce.redaction import document, unreadable
from tests.unit.woocommerce.orders import line, order, read, refund

WOO = WooCommerce()
SHOP = Shop("https://shop.example", "shop.example", {})
UPDATED = {"X-WC-Webhook-Topic": "order.updated", "Content-Type": "application/json"}


def refusal(body: dict[str, Any], *refunds: dict[str, Any]) -> Malformed:
    with pytest.raises(Malformed) as caught:
        read(body, *refunds)
    return caught.value


def delivered(raw: bytes) -> Malformed:
    with pytest.raises(Malformed) as caught:
        WOO.notice(SHOP, UPDATED, raw)
    return caught.value


@pytest.mark.parametrize("quantity", [-5, 10**12, "3", Decimal("1.5"), None, True])
def test_09_a_quantity_that_is_no_count_is_refused_by_name(quantity: object) -> None:
    assert refusal(order("processing", line(), line(id=2, quantity=quantity))).field == "order.line_items[1].quantity"


@pytest.mark.parametrize("literal", [b"1e12", b"1.5", b"-5", b"true", b"null", b'"3"'])
def test_09_also_when_it_came_as_bytes(literal: bytes) -> None:
    raw = orjson.dumps(order()).replace(b'"quantity":5', b'"quantity":' + literal)
    notice = WOO.notice(SHOP, UPDATED, raw)
    with pytest.raises(Malformed) as caught:
        WOO.parse_order(notice.body or b"")
    assert caught.value.field == "order.line_items[0].quantity"


def test_09_a_refunded_quantity_that_is_no_count_is_refused_by_name() -> None:
    wrong = refund(1)
    wrong["line_items"][0]["quantity"] = 1
    assert refusal(order(), wrong).field == "refunds[0].line_items[0].quantity"


@pytest.mark.parametrize("value", ["1.5", "abc", "1e3", True, "99999999999999"])
def test_a_reduced_stock_that_is_no_count_is_refused_by_name(value: object) -> None:
    assert refusal(order("processing", line(reduced=value))).field == "order.line_items[0]._reduced_stock"


@pytest.mark.parametrize("nothing", [{}, "", 0, False])
def test_a_list_that_is_something_else_is_refused_and_not_taken_for_an_empty_one(nothing: object) -> None:
    with pytest.raises(Malformed) as caught:
        document(order(refunds=nothing))
    assert caught.value.field == "order.refunds"
    assert refusal(order("processing", line(meta_data=nothing))).field == "order.line_items[0].meta_data"


@pytest.mark.parametrize("name", [None, 1.5, True, {}, [7]])
def test_a_meta_row_without_a_name_is_refused_since_it_may_be_the_one_that_counts(name: object) -> None:
    named = line()
    named["meta_data"] = [{"key": name, "value": "2"}]
    assert refusal(order("processing", named)).field == "order.line_items[0].meta_data"


def test_a_status_that_is_a_number_is_refused_by_name() -> None:
    assert refusal({**order(), "status": 7}).field == "order.status"


def test_13_nesting_without_end_is_refused() -> None:
    assert delivered(b"[" * 100_000).reason == "nested_too_deeply"
    assert delivered(b'{"id":1,"meta_data":' + b"[" * 1_010 + b"]" * 1_010 + b"}").reason == "nested_too_deeply"


@pytest.mark.parametrize("literal", [b"NaN", b"Infinity", b"-Infinity", b"1e999"])
def test_14_what_is_no_number_is_refused_with_its_position(literal: bytes) -> None:
    error = delivered(orjson.dumps(order()).replace(b'"price":10', b'"price":' + literal))
    assert error.reason == "not_json"
    assert error.field.startswith("byte ")


@pytest.mark.parametrize("price", ["NaN", "Infinity", "1e999", "ten", "1" * 40, True, Decimal("1e300")])
def test_14_a_price_that_is_no_amount_is_refused_by_name(price: object) -> None:
    assert refusal(order("processing", line(price=price))).field == "order.line_items[0].price"


def test_15_a_lone_surrogate_or_a_nul_is_refused() -> None:
    whole = orjson.dumps(order("processing", line(sku="SKU")))
    assert delivered(whole.replace(b'"SKU"', rb'"\ud800"')).reason == "lone_surrogate"
    nul = delivered(whole.replace(b'"SKU"', rb'"A\u0000B"'))
    assert (nul.reason, nul.field) == ("nul_in_string", "line_items[0].sku")


def test_15_a_nul_in_one_order_of_a_page_is_refused_with_that_order() -> None:
    with pytest.raises(Malformed) as kept:
        document(order("processing", line(sku="A\x00B")))
    assert (kept.value.reason, kept.value.field) == ("nul_in_string", "order.line_items[0].sku")
    with pytest.raises(Malformed) as parsed:
        parse_order(unreadable(7, kept.value))
    assert (parsed.value.reason, parsed.value.field) == (kept.value.reason, kept.value.field)


def test_16_an_integer_of_5000_digits_is_refused() -> None:
    digits = b"9" * 5_000
    error = delivered(orjson.dumps(order()).replace(b'"quantity":5', b'"quantity":' + digits))
    assert error.reason in {"integer_too_large", "not_json"}


def test_17_of_a_repeated_key_the_last_one_wins() -> None:
    raw = orjson.dumps(order()).replace(b'"quantity":5', b'"quantity":5,"quantity":2')
    assert parse_order(WOO.notice(SHOP, UPDATED, raw).body or b"").lines[0].ordered == 2


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "empty_body"),
        (b"[]", "not_an_object"),
        (b"{", "not_json"),
        (b'"text"', "not_an_object"),
        (b"<html>", "not_json"),
    ],
)
def test_19_each_wrong_body_is_told_apart(raw: bytes, reason: str) -> None:
    assert delivered(raw).reason == reason


def test_20_other_encodings_are_refused() -> None:
    assert delivered(b'{"id":1,"sku":"\xff"}').reason == "not_json"
    assert delivered('{"id":1}'.encode("utf-16")).reason == "not_json"


def test_34_numbers_as_text_and_text_as_numbers_are_read_where_they_are_plain() -> None:
    (found,) = read(order("processing", line(price="19.90", product_id="10", variation_id=None, sku=4711))).lines
    assert (found.unit_price, found.listing_key, found.sku) == (Decimal("19.90"), "10", "4711")
    assert read(order("processing", line(price=""))).lines[0].unit_price is None


def test_an_amount_never_passes_through_a_float() -> None:
    raw = orjson.dumps(order()).replace(b'"price":10', b'"price":0.1000000000000000055511151231257827')
    found = parse_order(WOO.notice(SHOP, UPDATED, raw).body or b"").lines[0]
    assert str(found.unit_price) == "0.1000000000000000055511151231257827"


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("date_modified_gmt", "order.date_modified_gmt"),
        ("date_created_gmt", "order.date_created_gmt"),
        ("status", "order.status"),
        ("id", "order.id"),
    ],
)
def test_an_order_without_what_it_needs_is_refused_by_name(name: str, field: str) -> None:
    assert refusal(order(**{name: None})).field == field


@pytest.mark.parametrize("stamp", ["yesterday", "0000-00-00T00:00:00", 5, "2026-13-01T00:00:00"])
def test_a_date_that_is_none_is_refused_by_name(stamp: object) -> None:
    assert refusal(order(date_modified_gmt=stamp)).field == "order.date_modified_gmt"


def test_an_order_with_too_many_lines_is_refused_whole() -> None:
    assert refusal(order("processing", *[line(id=number) for number in range(1, 2_002)])).reason == "too_many"


@pytest.mark.parametrize("value", [{"a": 1}, ["x"], "x" * 501])
def test_nothing_but_plain_short_values_is_kept(value: object) -> None:
    with pytest.raises(Malformed) as caught:
        document(order("processing", line(sku=value)))
    assert (caught.value.reason, caught.value.field) == ("not_plain", "order.line_items[0].sku")


def test_what_is_kept_is_an_allow_list() -> None:
    body = order(billing={"email": "a@b.c"}, customer_note="n", meta_data=[{"key": "_x", "value": "secret"}])
    body["line_items"][0]["meta_data"].append({"key": "Engraving", "value": "For Ann"})
    kept = orjson.loads(document(body))
    assert set(kept) == {"order"}
    assert set(kept["order"]) == set(order())
    assert kept["order"]["line_items"][0]["meta_data"] == []


def test_06_a_topic_that_does_not_fit_the_body_is_refused() -> None:
    product = {"id": 5, "type": "simple", "manage_stock": True, "stock_quantity": 3}
    assert delivered(orjson.dumps(product)).reason == "topic_body_mismatch"
    with pytest.raises(Malformed) as caught:
        WOO.notice(SHOP, {"X-WC-Webhook-Topic": "product.updated"}, orjson.dumps(order()))
    assert caught.value.reason == "topic_body_mismatch"


def test_an_order_without_an_id_is_never_an_order() -> None:
    assert delivered(orjson.dumps({**order(), "id": None})).field == "order.id"
    notice = WOO.notice(SHOP, UPDATED, b'{"code":"woocommerce_rest_shop_order_invalid_id","message":"Invalid ID."}')
    assert notice.kind is NoticeKind.IGNORED
