"""Every delivery that a real shop made is verified and understood."""

from __future__ import annotations

import json
from typing import Any

import pytest

from connectors.base import NoticeKind, Shop
from connectors.errors import InvalidSignature
from connectors.woocommerce import WooCommerce
from tests.unit.woocommerce import recordings

WOO = WooCommerce()
SHOP = Shop("https://shop.example", "shop.example", {})
SIGNED = [name for name in recordings.deliveries() if "ping" not in name]
PERSONAL = ("Ann", "ann@example.test", "90001", "1 St", "leave at door", "wc_order_")


def delivery(name: str) -> tuple[dict[str, str], bytes]:
    value = recordings.load(name)
    return dict(value["headers"]), value["body_raw"].encode()


def test_the_recordings_are_there() -> None:
    assert len(SIGNED) > 75


@pytest.mark.parametrize("name", SIGNED)
def test_the_signature_over_the_raw_bytes_is_accepted(name: str) -> None:
    WOO.verify([recordings.SECRET], *delivery(name))


@pytest.mark.parametrize("name", SIGNED)
def test_one_changed_byte_is_refused(name: str) -> None:
    headers, body = delivery(name)
    with pytest.raises(InvalidSignature) as caught:
        WOO.verify([recordings.SECRET], headers, body + b" ")
    assert caught.value.reason == "invalid_signature"


@pytest.mark.parametrize("name", SIGNED)
def test_what_is_kept_of_a_delivery_names_no_customer(name: str) -> None:
    kept = WOO.notice(SHOP, *delivery(name)).body or b""
    assert not [word for word in PERSONAL if word.encode() in kept]


def expected_kind(name: str, body: Any) -> NoticeKind:
    if body is None or "product_set_stock" in name or "force_deleted" in name:
        return NoticeKind.IGNORED
    if "product_updated" in name or "product_created" in name:
        return NoticeKind.OBSERVATION
    if "line_items" in body and not body["refunds"]:
        return NoticeKind.DOCUMENT
    return NoticeKind.DOORBELL


@pytest.mark.parametrize("name", recordings.deliveries())
def test_each_delivery_is_what_it_is(name: str) -> None:
    notice = WOO.notice(SHOP, *delivery(name))
    body = recordings.load(name)["body_json"]
    assert notice.kind is expected_kind(name, body)
    assert notice.delivery_key is None  # WooCommerce's is shared by all deliveries of a second
    if body and notice.resource == "order":
        assert notice.resource_key == str(body.get("id") or body["arg"])


@pytest.mark.parametrize("name", [name for name in SIGNED if "order_" in name])
def test_an_order_with_refunds_rings_and_one_without_is_the_document(name: str) -> None:
    body = recordings.load(name)["body_json"]
    if "line_items" not in body:
        return
    notice = WOO.notice(SHOP, *delivery(name))
    assert (notice.kind is NoticeKind.DOORBELL) == bool(body["refunds"])
    if notice.body:
        assert WOO.parse_order(notice.body).order_key == str(body["id"])


@pytest.mark.parametrize("version", recordings.VERSIONS)
def test_a_product_shows_its_number_under_the_key_that_keeps_it(version: str) -> None:
    shown = {}
    for number in ("01", "02", "03"):
        notice = WOO.notice(SHOP, *delivery(f"{version}/hook_A2_pending_to_processing__{number}_product_updated"))
        seen = json.loads(notice.body or b"")
        shown[seen["stock_key"]] = seen["quantity"]
        assert (notice.resource, notice.resource_key) == ("stock", seen["stock_key"])
    first = 10 if version == "10.2.4" else 11
    assert shown == {f"{first}": 8, f"{first + 3}/{first + 4}": 4, f"{first + 6}": 6}


def test_a_ping_is_unsigned_and_says_nothing() -> None:
    for version in recordings.VERSIONS:
        headers, body = delivery(f"{version}/webhook_ping")
        assert WOO.notice(SHOP, headers, body).kind is NoticeKind.IGNORED
        with pytest.raises(InvalidSignature) as caught:
            WOO.verify([recordings.SECRET], headers, body)
        assert caught.value.reason == "missing_signature"


def test_a_signed_error_body_is_never_an_order_without_an_id() -> None:
    lost_rights = WOO.notice(SHOP, *delivery("10.9.0/hook_owner_without_rights"))
    assert (lost_rights.kind, lost_rights.resource) == (NoticeKind.DOORBELL, "app")
    assert lost_rights.resource_key == "woocommerce_rest_cannot_view"
    gone = WOO.notice(SHOP, *delivery("10.9.0/hook_X_order_force_deleted_before_delivery_order_updated"))
    assert (gone.kind, gone.body) == (NoticeKind.IGNORED, None)
