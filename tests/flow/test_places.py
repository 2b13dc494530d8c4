"""Several locations: Shopify's map one to one, WooCommerce's number is the sum, orders without a place are routed."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from app.accounts.audit import list_entries
from app.listings.channels import set_drift_policy
from app.listings.places import map_place
from sandbox.shopify import PretendShopify
from sandbox.shopify.state import FulfillmentOrder, gid
from tests.drifting import audit, cases, causes, edit, open_shops
from tests.street import Street
from tests.world import World


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


def test_an_order_that_the_shop_places_later_without_a_word_is_read_until_it_has_its_place(
    world: World, tmp_path: Path
) -> None:
    street = Street(world, tmp_path, sync={"poll_interval_s": 3_600})
    shopify = open_two_places(street)
    order, owed = sell_unplaced(shopify)
    street.live(20)
    assert (world.available("mug", "A"), world.available("mug", "B")) == (7, 9)  # where there is enough, for now
    shopify.order(order).allocations += owed
    street.live(60)
    assert (world.available("mug", "A"), world.available("mug", "B")) == (9, 7)
    assert street.shown_at(shopify, "mug") == {"A": 9, "B": 7}
    with world.session() as session:  # nothing more is rung for it
        assert session.value("select count(*) from inbox where merchant_id = %(merchant_id)s and state <> 'done'") == 0


@pytest.mark.parametrize("policy", ["ledger_wins", "channel_wins", "ask"])
def test_what_an_order_without_a_place_did_to_a_number_is_no_edit(street: Street, policy: str) -> None:
    world, shopify = street.world, open_two_places(street, policy)
    order, owed = sell_unplaced(shopify)
    audit(street)
    assert cases(street) == []
    shopify.order(order).allocations += owed
    audit(street)
    assert (world.available("mug", "A"), world.available("mug", "B")) == (9, 7)
    assert street.shown_at(shopify, "mug") == {"A": 9, "B": 7}
    assert [case for case in cases(street) if case.state == "open" or case.cause == "hand_edit"] == []
    assert world.verify() == []


@pytest.mark.parametrize("policy", ["ledger_wins", "channel_wins", "ask"])
def test_an_order_that_never_gets_a_place_holds_its_goods_for_an_hour_and_then_a_person_says_what_is_right(
    street: Street, policy: str
) -> None:
    world, shopify = street.world, open_two_places(street, policy)
    sell_unplaced(shopify)
    street.live(60)
    world.move("mug", 30, "supplier > available@A", "90")
    edit(shopify, 0, place=1)  # that number is told once more
    street.live(120)
    assert (street.shown_at(shopify, "mug"), causes(street)) == ({"A": 9, "B": 7}, [])
    street.world.now += timedelta(hours=1)
    audit(street)
    assert street.shown_at(shopify, "mug") == {"A": 37, "B": 7}
    assert causes(street) == [("order_unread", "open")]
    assert world.verify() == []


def open_two_places(street: Street, policy: str = "ledger_wins") -> PretendShopify:
    """Nine mugs at each of two places of ours and of a Shopify shop."""
    world = street.world
    world.move("mug", 9, "opening > available@A", "45")
    world.move("mug", 9, "opening > available@B", "45")
    shopify = street.open_shopify({"mug": 0}, places={"A": world.a, "B": world.b})
    street.settle(8)
    with world.session() as session:
        set_drift_policy(session, street.channel_of(shopify), policy)
    return shopify


def sell_unplaced(shopify: PretendShopify) -> tuple[str, list[FulfillmentOrder]]:
    """Two mugs are sold from B, and the shop has not said so yet: the order, and what it owes where."""
    place = next(gid("Location", place.id) for place in shopify.locations.values() if place.name == "B")
    order = shopify.place_order([("mug", 2)], place)
    assert order is not None
    owed, shopify.order(order).allocations = shopify.order(order).allocations, []
    return order, owed


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
