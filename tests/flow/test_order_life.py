"""An order's whole life on both platforms: the ledger follows, both shops agree, nothing is booked twice."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sandbox.shopify import PretendShopify
from sandbox.woocommerce import WooShop
from tests.street import Street

OPENING = "opening > available@A"


@pytest.fixture
def shops(street: Street) -> tuple[PretendShopify, WooShop]:
    street.world.move("mug", 10, OPENING, "50")
    street.world.move("cup", 10, OPENING, "30")
    stock = {"mug": 10, "cup": 10}
    shops = street.open_shopify(stock), street.open_woo(stock)
    street.settle()
    return shops


def agree(street: Street, shops: tuple[PretendShopify, WooShop], sku: str, number: int) -> None:
    street.settle(8)
    assert street.world.available(sku) == number
    assert [shop.shown()[sku] for shop in shops] == [number, number]
    assert street.world.verify() == []


def test_a_shopify_order_is_placed_shipped_and_returned_to_stock(
    street: Street, shops: tuple[PretendShopify, WooShop]
) -> None:
    order = shops[0].place_order([("mug", 3), ("cup", 1)])
    assert order is not None
    agree(street, shops, "mug", 7)
    street.world.now += timedelta(hours=1)
    shops[0].fulfill(order)
    agree(street, shops, "mug", 7)
    assert street.world.level("mug")["committed"] == 0
    assert street.world.balance("cost_of_goods_sold") == 18
    line = shops[0].order(order).lines[0].id
    shops[0].refund(order, {line: 2}, "RETURN")
    agree(street, shops, "mug", 9)
    assert street.world.balance("cost_of_goods_sold") == 8


def test_a_cancelled_shopify_order_gives_back_what_had_not_left(
    street: Street, shops: tuple[PretendShopify, WooShop]
) -> None:
    order = shops[0].place_order([("mug", 3)])
    assert order is not None
    agree(street, shops, "mug", 7)
    street.world.now += timedelta(minutes=1)
    shops[0].cancel(order)
    agree(street, shops, "mug", 10)


def test_a_refund_before_shipping_without_restock_holds_the_goods_for_a_check(
    street: Street, shops: tuple[PretendShopify, WooShop]
) -> None:
    order = shops[0].place_order([("mug", 3)])
    assert order is not None
    agree(street, shops, "mug", 7)
    street.world.now += timedelta(minutes=1)
    shops[0].refund(order, {shops[0].order(order).lines[0].id: 1}, "NO_RESTOCK")
    agree(street, shops, "mug", 7)
    assert street.world.level("mug")["quarantined"] == 1
    assert street.cases() == ["goods_to_check"]


def test_an_edited_line_moves_only_the_difference(street: Street, shops: tuple[PretendShopify, WooShop]) -> None:
    order = shops[0].place_order([("mug", 5)])
    assert order is not None
    agree(street, shops, "mug", 5)
    street.world.now += timedelta(minutes=1)
    shops[0].edit_line(order, shops[0].order(order).lines[0].id, 2)
    agree(street, shops, "mug", 8)


def test_a_woocommerce_order_is_placed_completed_and_refunded_with_restock(
    street: Street, shops: tuple[PretendShopify, WooShop]
) -> None:
    order = shops[1].place_order([("mug", 4)])
    assert order is not None
    agree(street, shops, "mug", 6)
    street.world.now += timedelta(minutes=1)
    shops[1].set_status(order, "completed")
    agree(street, shops, "mug", 6)
    assert street.world.balance("cost_of_goods_sold") == 20
    street.world.now += timedelta(minutes=1)
    shops[1].refund(order, {shops[1].line_ids(order)[0]: 3}, restock=True)
    agree(street, shops, "mug", 9)
    assert street.world.balance("cost_of_goods_sold") == 5


def test_a_woocommerce_order_that_failed_takes_nothing_although_the_shop_keeps_its_number_down(
    street: Street, shops: tuple[PretendShopify, WooShop]
) -> None:
    order = shops[1].place_order([("mug", 4)])
    assert order is not None
    agree(street, shops, "mug", 6)
    street.world.now += timedelta(minutes=1)
    shops[1].set_status(order, "failed")
    agree(street, shops, "mug", 10)


def test_a_pending_woocommerce_order_holds_nothing_until_it_is_paid(
    street: Street, shops: tuple[PretendShopify, WooShop]
) -> None:
    order = shops[1].place_order([("mug", 2)], status="pending")
    assert order is not None
    agree(street, shops, "mug", 10)
    street.world.now += timedelta(minutes=1)
    shops[1].set_status(order, "processing")
    agree(street, shops, "mug", 8)
    street.world.now += timedelta(minutes=1)
    shops[1].set_status(order, "cancelled")
    agree(street, shops, "mug", 10)


def test_an_order_cancelled_long_after_it_was_completed_comes_back_to_be_checked(
    street: Street, shops: tuple[PretendShopify, WooShop]
) -> None:
    order = shops[1].place_order([("mug", 2)])
    assert order is not None
    street.settle()
    street.world.now += timedelta(minutes=1)
    shops[1].set_status(order, "completed")
    street.settle()
    street.world.now += timedelta(days=2)
    shops[1].set_status(order, "cancelled")
    street.settle(8)
    assert street.world.level("mug")["quarantined"] == 2
    assert [shop.shown()["mug"] for shop in shops] == [8, 8]


def test_a_trashed_or_deleted_order_is_held_as_it_is_and_a_person_is_asked(
    street: Street, shops: tuple[PretendShopify, WooShop]
) -> None:
    first, second = (shops[1].place_order([("mug", 1)]) for _ in range(2))
    assert first is not None
    assert second is not None
    agree(street, shops, "mug", 8)
    street.world.now += timedelta(minutes=1)
    shops[1].trash(first)
    shops[1].delete(second)
    agree(street, shops, "mug", 8)
    assert street.cases() == ["order_deleted", "order_trashed"]


def test_a_kit_sells_its_components_and_shows_what_the_scarcest_allows(street: Street) -> None:
    world = street.world
    world.move("mug", 10, OPENING, "50")
    world.move("spoon", 7, OPENING, "7")
    world.kit("set", {"mug": 1, "spoon": 2})
    shopify, woo = street.open_shopify({"mug": 10, "set": 0}), street.open_woo({"set": 0, "spoon": 7})
    street.settle()
    assert (shopify.shown()["set"], woo.shown()["set"]) == (3, 3)
    shopify.place_order([("set", 1), ("mug", 1)])
    street.settle(8)
    assert (world.available("mug"), world.available("spoon")) == (8, 5)
    assert (shopify.shown(), woo.shown()) == ({"mug": 8, "set": 2}, {"set": 2, "spoon": 5})
    assert world.verify() == []


def test_two_lines_that_share_a_component_are_summed(street: Street) -> None:
    world = street.world
    world.move("mug", 3, OPENING, "15")
    world.kit("pair", {"mug": 2})
    woo = street.open_woo({"mug": 3, "pair": 1})
    street.settle()
    woo.place_order([("pair", 1), ("mug", 1)])
    street.settle(8)
    assert world.available("mug") == 0
    assert woo.shown() == {"mug": 0, "pair": 0}
