"""Several locations: Shopify's map one to one, WooCommerce's number is the sum, orders without a place are routed."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from app.accounts.audit import list_entries
from app.listings.channels import set_drift_policy
from app.listings.places import map_place
from app.publishing.whatif import read_suppose
from app.publishing.why import run
from app.wiring import CONNECTORS
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


def test_an_order_without_a_place_does_not_keep_what_others_sell_from_being_taken_off(street: Street) -> None:
    """Its own two are taken off where the shop takes them, once."""
    world, shopify = street.world, open_two_places(street)
    woo = street.open_woo({"mug": 18})
    street.settle(8)
    order, owed = sell_unplaced(shopify)
    street.live(5)
    woo.place_order([("mug", 4)])
    street.live(10)
    assert (world.available("mug", "A"), world.available("mug", "B")) == (3, 9)
    assert street.shown_at(shopify, "mug") == {"A": 5, "B": 7}
    assert woo.shown()["mug"] == 12
    shopify.order(order).allocations += owed
    street.live(60)
    assert (world.available("mug", "A"), world.available("mug", "B")) == (5, 7)
    assert street.shown_at(shopify, "mug") == {"A": 5, "B": 7}
    assert written(street, shopify) == [(9, 5)]
    assert world.verify() == []


def test_what_is_sold_out_meanwhile_is_not_shown_below_what_the_shop_itself_took(street: Street) -> None:
    world, shopify = street.world, open_two_places(street)
    woo = street.open_woo({"mug": 18})
    street.settle(8)
    order, owed = sell_unplaced(shopify)
    street.live(5)
    for units in (7, 9):
        woo.place_order([("mug", units)])
    street.live(10)
    assert street.shown_at(shopify, "mug") == {"A": 2, "B": -2}
    shopify.order(order).allocations += owed
    street.live(60)
    assert (world.available("mug", "A"), world.available("mug", "B")) == (2, -2)
    assert street.shown_at(shopify, "mug") == {"A": 2, "B": -2}


def test_a_number_is_not_raised_while_an_order_of_the_item_has_no_place(street: Street) -> None:
    world, shopify = street.world, open_two_places(street)
    order, owed = sell_unplaced(shopify)
    street.live(5)
    world.move("mug", 5, "supplier > available@A", "20")
    street.live(30)
    assert street.shown_at(shopify, "mug") == {"A": 9, "B": 7}
    shopify.order(order).allocations += owed
    street.live(60)
    assert street.shown_at(shopify, "mug") == {"A": 14, "B": 7}


def test_orders_whose_places_follow_one_another_do_not_keep_a_number_waiting(street: Street) -> None:
    """There is no moment in this rush at which every order has its place."""
    world, shopify = street.world, open_two_places(street)
    world.move("mug", 200, "supplier > available@A", "600")
    woo = street.open_woo({"mug": 218})
    street.settle(8)
    waiting, behind = [sell_unplaced(shopify)], []
    for _ in range(12):
        waiting.append(sell_unplaced(shopify))
        order, owed = waiting.pop(0)
        shopify.order(order).allocations += owed
        woo.place_order([("mug", 3)])
        street.live(5)
        behind.append(street.shown_at(shopify, "mug")["A"] - (209 - 3 * len(behind) - 3))
    assert max(behind) <= 3  # what was sold in the last five seconds
    while waiting:
        order, owed = waiting.pop()
        shopify.order(order).allocations += owed
    street.live(60)
    assert street.shown_at(shopify, "mug") == {"A": 209 - 36, "B": 9 - 26}
    assert world.verify() == []


def test_a_number_that_was_seen_while_an_order_has_no_place_is_lowered_all_the_same(street: Street) -> None:
    shopify = open_two_places(street)
    woo = street.open_woo({"mug": 18})
    street.settle(8)
    sell_unplaced(shopify)
    audit(street, 20)
    woo.place_order([("mug", 4)])
    street.live(10)
    assert street.shown_at(shopify, "mug") == {"A": 5, "B": 7}


def test_a_kit_that_is_sold_without_a_place_lowers_its_parts_at_once_and_its_own_number_once(street: Street) -> None:
    world = street.world
    world.kit("pair", {"mug": 2})
    for place in ("A", "B"):
        world.move("mug", 9, f"opening > available@{place}", "45")
    shopify = street.open_shopify({"mug": 0, "pair": 0}, places={"A": world.a, "B": world.b})
    street.settle(8)
    assert street.shown_at(shopify, "pair") == {"A": 4, "B": 4}
    order, owed = sell_unplaced(shopify, "pair", 1, "A")
    street.live(10)
    assert street.shown_at(shopify, "mug") == {"A": 7, "B": 9}
    assert street.shown_at(shopify, "pair") == {"A": 3, "B": 4}
    shopify.order(order).allocations += owed
    street.live(60)
    assert street.shown_at(shopify, "mug") == {"A": 7, "B": 9}
    assert street.shown_at(shopify, "pair") == {"A": 3, "B": 4}


def test_why_says_that_such_a_number_is_only_lowered_and_what_another_rule_would_write(street: Street) -> None:
    shopify = open_two_places(street)
    sell_unplaced(shopify)
    street.live(5)
    modes = {"shopify": CONNECTORS["shopify"].abilities.write_mode}
    with street.world.session() as session:
        lowered, other = run(session, "mug", None, read_suppose(("buffer=1",), modes)).numbers
        raised, _ = run(session, "mug", None, read_suppose(("min=20",), modes)).numbers
    assert (lowered.shown, lowered.target, [w.reason for w in lowered.waiting]) == (9, 7, ["unlocated_order"])
    for number, writes in ((lowered, (9, 8, True)), (other, (9, 8, True)), (raised, None)):
        assert number.supposed is not None
        assert number.supposed.writes == writes


def written(street: Street, shopify: PretendShopify) -> list[tuple[int, int]]:
    """What was written there since the first push, in order: from, to."""
    with street.world.session() as session:
        rows = session.rows(
            """select r.expected, r.target from push_row r join push_attempt a using (merchant_id, attempt_id)
               where r.merchant_id = %(merchant_id)s and a.channel_id = %(channel)s and r.outcome = 'written'
               order by r.attempt_id""",
            channel=street.channel_of(shopify),
        )
    return [(row.expected, row.target) for row in rows if row.expected]


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


def sell_unplaced(
    shopify: PretendShopify, sku: str = "mug", units: int = 2, where: str = "B"
) -> tuple[str, list[FulfillmentOrder]]:
    """Units are sold from there, and the shop has not said so yet: the order, and what it owes where."""
    place = next(gid("Location", place.id) for place in shopify.locations.values() if place.name == where)
    order = shopify.place_order([(sku, units)], place)
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
