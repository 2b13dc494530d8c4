"""Shopify shows an app the orders of the last 60 days: an older one that it does not show was not deleted."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sandbox.shopify import PretendShopify
from tests.drifting import audit, causes
from tests.street import Street


@pytest.fixture
def shop(street: Street) -> PretendShopify:
    street.world.move("mug", 500, "opening > available@A", "500")
    shop = street.open_shopify({"mug": 500})
    street.settle(2)
    return shop


def wait(street: Street, days: float) -> None:
    """Days pass, all that is read now and then is read."""
    for _ in range(int(days)):
        street.world.now += timedelta(days=1)
        street.settle(2)


def frozen(street: Street) -> list[str]:
    with street.world.session() as session:
        rows = session.rows("select order_key from sales_order where merchant_id = %(merchant_id)s and frozen")
    return [row.order_key for row in rows]


def test_an_open_order_that_became_too_old_to_be_shown_is_not_taken_for_deleted(
    street: Street, shop: PretendShopify
) -> None:
    shop.place_order([("mug", 3)])
    wait(street, 63)
    assert (street.cases(), frozen(street)) == ([], [])
    assert street.world.level("mug")["committed"] == 3


def test_a_younger_one_that_is_deleted_is_still_noticed(street: Street, shop: PretendShopify) -> None:
    order = str(shop.place_order([("mug", 3)]))
    wait(street, 40)
    street.heard = lambda posted: False
    shop.delete_order(order)
    wait(street, 2)
    assert (street.cases(), frozen(street)) == (["order_deleted"], [order])


def test_what_happens_to_an_old_order_is_parked_with_what_to_do_and_its_units_are_asked_about(
    street: Street, shop: PretendShopify
) -> None:
    order = str(shop.place_order([("mug", 3)]))
    shop.fulfill(order)
    wait(street, 63)
    shop.refund(order, {"mug": 1}, "RETURN")
    audit(street)
    assert set(street.parked()) == {"order_hidden"}
    assert (street.world.available("mug"), shop.shown()["mug"]) == (497, 498)
    assert causes(street) == [("order_unread", "open")]
    shop.endpoint.scopes.add("read_all_orders")
    audit(street)
    shop.refund(order, {"mug": 1}, "RETURN")
    audit(street)
    assert (street.world.available("mug"), shop.shown()["mug"]) == (499, 499)
    assert causes(street) == [("order_read_later", "explained")]


def test_an_app_that_may_read_all_orders_looks_for_old_ones_too(street: Street, shop: PretendShopify) -> None:
    shop.endpoint.scopes.add("read_all_orders")
    order = str(shop.place_order([("mug", 3)]))
    wait(street, 63)
    assert street.cases() == []
    street.heard = lambda posted: False
    shop.delete_order(order)
    wait(street, 2)
    assert street.cases() == ["order_deleted"]
