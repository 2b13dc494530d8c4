"""Several locations: Shopify's map one to one, WooCommerce's number is the sum, orders without a place are routed."""

from __future__ import annotations

from datetime import timedelta

import pytest

from app.accounts.audit import list_entries
from app.listings.places import map_place
from sandbox.shopify import PretendShopify
from sandbox.shopify.state import gid
from tests.drifting import audit, cases, open_shops
from tests.street import Street


def test_each_shopify_location_shows_its_own_number_and_woocommerce_the_sum(street: Street) -> None:
    world = street.world
    world.move("mug", 6, "opening > available@A", "30")
    world.move("mug", 4, "opening > available@B", "20")
    shopify = street.open_shopify({"mug": 0}, places={"A": world.a, "B": world.b})
    woo = street.open_woo({"mug": 0})
    street.settle(8)
    assert street.shown_at(shopify, "mug") == {"A": 6, "B": 4}
    assert woo.shown()["mug"] == 10


def test_an_order_of_a_shop_with_several_places_is_committed_at_once_and_placed_by_the_reading(street: Street) -> None:
    world = street.world
    world.move("mug", 2, "opening > available@A", "10")
    world.move("mug", 9, "opening > available@B", "45")
    shopify = street.open_shopify({"mug": 0}, places={"A": world.a, "B": world.b})
    woo = street.open_woo({"mug": 0})
    street.settle(8)
    shopify.place_order([("mug", 5)])
    street.settle(8)
    assert (world.available("mug", "A"), world.available("mug", "B")) == (2, 4)
    assert street.shown_at(shopify, "mug") == {"A": 2, "B": 4}
    assert woo.shown()["mug"] == 6
    assert world.verify() == []


def test_an_order_without_a_place_goes_where_there_is_enough_and_the_choice_sticks(street: Street) -> None:
    world = street.world
    world.move("mug", 2, "opening > available@A", "10")
    world.move("mug", 9, "opening > available@B", "45")
    woo = street.open_woo({"mug": 11})
    street.settle()
    order = woo.place_order([("mug", 3)])
    assert order is not None
    street.settle(5)
    assert (world.level("mug", "A")["committed"], world.level("mug", "B")["committed"]) == (0, 3)
    world.move("mug", 50, "supplier > available@A", "250")
    street.world.now += timedelta(minutes=1)
    woo.edit_line(order, woo.line_ids(order)[0], 4)
    street.settle(5)
    assert (world.level("mug", "A")["committed"], world.level("mug", "B")["committed"]) == (0, 4)


def test_a_moved_fulfilment_order_moves_the_commitment_to_the_other_place(street: Street) -> None:
    world = street.world
    world.move("mug", 5, "opening > available@A", "25")
    world.move("mug", 5, "opening > available@B", "25")
    shopify = street.open_shopify({"mug": 0}, places={"A": world.a, "B": world.b})
    street.settle(8)
    order = shopify.place_order([("mug", 2)])
    assert order is not None
    street.settle(8)
    street.world.now += timedelta(minutes=1)
    target = next(gid("Location", place.id) for place in shopify.locations.values() if place.name == "B")
    shopify.move_fulfillment_order(order, target)
    street.settle(8)
    assert (world.level("mug", "A")["committed"], world.level("mug", "B")["committed"]) == (0, 2)
    assert street.shown_at(shopify, "mug") == {"A": 5, "B": 3}


@pytest.mark.parametrize("policy", ["ledger_wins", "channel_wins", "ask"])
def test_a_sale_from_a_place_that_is_none_of_ours_takes_nothing_from_one_that_is(street: Street, policy: str) -> None:
    shop, woo = open_shops(street, "shopify", policy)
    assert isinstance(shop, PretendShopify)
    annex = shop.add_location("Annex")
    shop.set_stock_by_hand("mug", annex, 30)
    shop.place_order([("mug", 25)])  # the delivery names no place, and there was only one
    street.live(90)
    assert street.parked() == ["unknown_location"]
    assert (street.world.available("mug", "A"), street.shown_at(shop, "mug")["A"], woo.shown()) == (20, 20, {"mug": 20})
    assert [case for case in cases(street) if case.cause == "hand_edit"] == []
    map_place(street.runtime, street.world.merchant_id, street.channel_of(shop), annex, street.world.b)
    with street.world.session() as session:
        assert list_entries(session)[0].action == "place.mapped"
    street.world.move("mug", 30, "supplier > available@B", "90")
    street.live(90)
    assert street.parked() == []
    assert (street.world.available("mug", "A"), street.world.available("mug", "B")) == (20, 5)
    assert street.shown_at(shop, "mug") == {"A": 20, "Annex": 5}
    assert woo.shown() == {"mug": 25}
    assert street.world.verify() == []


def test_of_an_order_at_two_places_that_of_ours_is_booked_though_the_other_is_none(street: Street) -> None:
    shop, woo = open_shops(street, "shopify", "ledger_wins")
    assert isinstance(shop, PretendShopify)
    annex = shop.add_location("Annex")
    street.heard = lambda told: False
    order = shop.place_order([("mug", 5)])
    assert order is not None
    shop.fulfill(order, {"mug": 3})
    shop.move_fulfillment_order(order, annex)
    audit(street)
    street.live(60)
    assert street.parked() == ["unknown_location"]
    assert (street.world.available("mug", "A"), street.shown_at(shop, "mug")["A"], woo.shown()) == (17, 17, {"mug": 17})
    assert [case for case in cases(street) if case.cause == "hand_edit"] == []


@pytest.mark.parametrize("event", ["split", "merged", "placed_on_hold", "hold_released", "cancelled"])
def test_every_event_of_a_fulfilment_order_has_its_order_read_again_though_all_others_are_lost(
    street: Street, event: str
) -> None:
    world = street.world
    world.move("mug", 5, "opening > available@A", "25")
    world.move("mug", 5, "opening > available@B", "25")
    shopify = street.open_shopify({"mug": 0}, places={"A": world.a, "B": world.b})
    street.settle(8)
    order = shopify.place_order([("mug", 2)])
    assert order is not None
    street.settle(8)
    assert (world.level("mug", "A")["committed"], world.level("mug", "B")["committed"]) == (2, 0)
    street.heard = lambda posted: posted.headers["X-Shopify-Topic"] == f"fulfillment_orders/{event}"
    target = next(gid("Location", place.id) for place in shopify.locations.values() if place.name == "B")
    shopify.move_fulfillment_order(order, target)
    happen(shopify, order, event)
    street.settle(5)
    owed = 0 if event == "cancelled" else 2
    assert (world.level("mug", "A")["committed"], world.level("mug", "B")["committed"]) == (0, owed)
    assert world.verify() == []


def happen(shopify: PretendShopify, order: str, event: str) -> None:
    """Staff do to the order's fulfilment order what brings the event."""
    if event == "cancelled":
        shopify.cancel(order)
    elif event in ("split", "merged"):
        shopify.split_fulfillment_order(order, "mug", 1)
        if event == "merged":
            shopify.merge_fulfillment_orders(order)
    else:
        shopify.hold(order)
        if event == "hold_released":
            shopify.release(order)
