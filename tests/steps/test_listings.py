"""Saying which item a listing is and by which rule it is shown, on real rows."""

from __future__ import annotations

import pytest

from app.catalog.items import NewItem, create_items
from app.core.db import Session
from app.core.errors import InvalidInput, NotFound
from app.inbox.orders import Seen
from app.inbox.resolve import resolve
from app.insight.listings import ListingView, Wanted, list_listings, list_sold
from app.listings import catalogue, lookup, rules
from app.listings.channels import get_channel, shop_of
from app.listings.connect import import_catalogue
from app.wiring import CONNECTORS
from connectors.base import OrderLine, OrderSnapshot, Units
from sandbox.shopify import PretendShopify
from sandbox.woocommerce import WooShop
from tests.statements import counted
from tests.street import Street
from tests.world import World

OPENING = "opening > available@A"
Shop = PretendShopify | WooShop


def listing(session: Session, name: str, channel: str = "Woo 0") -> lookup.Listing:
    return lookup.find_one(session, lookup.get_channel_id(session, channel), name)


def item_of(world: World, sku: str, channel: str = "Woo 0") -> int | None:
    with world.session() as session:
        return listing(session, sku, channel).item_id


def views(world: World, **wanted: object) -> dict[str | None, ListingView]:
    with world.session() as session:
        page = list_listings(session, Wanted(**wanted))  # type: ignore[arg-type]
    return {view.listing.sku: view for view in page.rows}


def map_to(street: Street, sku: str, item: str, channel: str = "Woo 0") -> None:
    with street.world.session() as session:
        one = listing(session, sku, channel)
        catalogue.map_listing(session, one.channel_id, one.listing_key, street.world.items[item])


def unmap(street: Street, sku: str, channel: str = "Woo 0") -> None:
    with street.world.session() as session:
        one = listing(session, sku, channel)
        catalogue.unmap_listing(session, one.channel_id, one.listing_key)


def set_rule(street: Street, sku: str, channel: str = "Woo 0", **change: object) -> None:
    with street.world.session() as session:
        rules.set_rule(session, rules.owners_of(session, listing(session, sku, channel)), change)  # type: ignore[arg-type]


def read_catalogue_again(street: Street, shop: Shop) -> None:
    world, channel_id = street.world, street.channel_of(shop)
    with world.session() as session:
        channel = get_channel(session, channel_id)
        found = shop_of(street.runtime, world.merchant_id, channel)
    import_catalogue(street.runtime, world.merchant_id, channel_id, CONNECTORS[channel.platform], found)


@pytest.fixture
def woo(street: Street) -> WooShop:
    """Ten mugs, and a ghost that is no item."""
    street.world.move("mug", 10, OPENING, "50")
    shop = street.open_woo({"mug": 10, "ghost": 5})
    street.settle()
    return shop


def test_mapping_by_hand_books_the_orders_that_waited_and_writes_the_number(street: Street, woo: WooShop) -> None:
    woo.place_order([("ghost", 2)])
    street.settle(5)
    assert street.parked() == ["unknown_listing"]
    street.world.move("spirit", 9, OPENING, "9")
    map_to(street, "ghost", "spirit")
    street.settle(60)
    assert street.parked() == []
    assert street.world.available("spirit") == 7
    assert woo.shown()["ghost"] == 7


def test_an_unmapped_listing_is_written_no_more_and_its_orders_wait_for_somebody(street: Street, woo: WooShop) -> None:
    unmap(street, "mug")
    street.world.move("mug", 5, OPENING, "5")
    woo.place_order([("mug", 1)])
    street.settle(60)
    assert woo.shown()["mug"] == 9
    assert street.world.available("mug") == 15
    assert street.parked() == ["unknown_listing"]
    map_to(street, "mug", "mug")
    street.settle(60)
    assert (street.parked(), woo.shown()["mug"]) == ([], 14)


def test_an_order_that_names_a_taken_out_product_twice_books_only_what_is_not_listed(
    street: Street, woo: WooShop
) -> None:
    unmap(street, "mug")
    with street.world.session() as session:
        one = listing(session, "mug")
        lines = tuple(
            OrderLine(at, key, None, "mug", 1, None, (Units("", committed=1),))
            for at, key in (("1", one.listing_key), ("2", "in no catalogue"))
        )
        snapshot = OrderSnapshot("o", "1", session.now, session.now, "processing", None, lines)
        resolved = resolve(session, one.channel_id, [(1, Seen(1, snapshot, b"", None, session.now))], {}, {})
    assert resolved.items == {(1, "1"): None, (1, "2"): street.world.items["mug"]}


def test_what_was_booked_before_unmapping_stays_and_its_refund_comes_back(street: Street, woo: WooShop) -> None:
    order = woo.place_order([("mug", 3)])
    street.settle(5)
    unmap(street, "mug")
    assert order is not None
    woo.set_status(order, "cancelled")
    street.settle(60)
    assert street.world.available("mug") == 10
    assert street.parked() == []


def test_what_a_person_took_out_stays_out_when_the_catalogue_is_read_again(street: Street, woo: WooShop) -> None:
    unmap(street, "mug")
    read_catalogue_again(street, woo)
    with street.world.session() as session:
        assert catalogue.match_by_sku(session) == 0
    assert item_of(street.world, "mug") is None
    assert views(street.world, unmapped=True)["mug"].listing.left_out
    map_to(street, "mug", "mug")
    assert not views(street.world)["mug"].listing.left_out


def test_new_items_take_their_listings_and_waiting_orders_by_exact_sku(street: Street, woo: WooShop) -> None:
    woo.place_order([("ghost", 2)])
    street.settle(5)
    street.world.move("ghost", 9, OPENING, "9")
    with street.world.session() as session:
        assert catalogue.match_by_sku(session) == 1
    street.settle(60)
    assert (street.parked(), woo.shown()["ghost"]) == ([], 7)


def test_a_number_that_listings_of_two_items_share_belongs_to_neither(street: Street, woo: WooShop) -> None:
    street.world.item("spirit")
    with street.world.session() as session:
        session.run(
            """update listing set stock_key = (select stock_key from listing where merchant_id = %(merchant_id)s
               and sku = 'mug') where merchant_id = %(merchant_id)s and sku = 'ghost'"""
        )
    map_to(street, "ghost", "spirit")
    shared = views(street.world)
    assert shared["mug"].shared
    assert shared["ghost"].shared
    assert [number.target for number in shared["mug"].numbers] == [None]
    map_to(street, "ghost", "mug")
    assert not views(street.world)["mug"].shared


def test_mapping_an_absent_listing_or_another_merchants_item_writes_nothing(
    street: Street, woo: WooShop, other: World
) -> None:
    theirs = other.item("theirs")
    channel = street.channel_of(woo)
    with street.world.session() as session, pytest.raises(NotFound, match="unknown_listing"):
        catalogue.map_listing(session, channel, "nothing-like-it", street.world.items["mug"])
    with street.world.session() as session:
        key = listing(session, "ghost").listing_key
    with pytest.raises(Exception, match="fkey"), street.world.session() as session:
        catalogue.map_listing(session, channel, key, theirs)
    with other.session() as session, pytest.raises(NotFound):
        catalogue.map_listing(session, channel, key, theirs)
    assert item_of(street.world, "ghost") is None


# Finding


def test_a_listing_is_found_by_key_and_by_sku_and_a_miss_names_the_nearest(street: Street, woo: WooShop) -> None:
    with street.world.session() as session:
        by_sku = listing(session, "mug")
        assert listing(session, by_sku.listing_key) == by_sku
        with pytest.raises(NotFound, match="there is ghost"):
            listing(session, "goast")
        with pytest.raises(NotFound, match="there is mug"):
            lookup.get_item_or_nearest(session, "MUG")
        with pytest.raises(NotFound, match="no channel has that name; there is Woo 0"):
            lookup.get_channel_id(session, "Wooo")


@pytest.mark.parametrize("text", ["", "  ", "%", "_", "\\", "'; --", "zzzzzz"])
def test_a_miss_that_is_like_nothing_says_where_to_look(street: Street, woo: WooShop, text: str) -> None:
    with street.world.session() as session, pytest.raises(NotFound, match="listing list"):
        listing(session, text)


def test_a_sku_that_two_products_share_is_ambiguous_and_each_has_its_key(street: Street, woo: WooShop) -> None:
    with street.world.session() as session:
        session.run("update listing set sku = 'mug' where merchant_id = %(merchant_id)s and sku = 'ghost'")
        with pytest.raises(InvalidInput) as refused:
            listing(session, "mug")
    assert refused.value.reason == "ambiguous_listing"
    keys = refused.value.detail.split(": ")[-1].split(", ")
    assert len(keys) == 2
    with street.world.session() as session:
        assert listing(session, keys[0]).listing_key == keys[0]


def test_a_sku_that_is_the_key_of_another_product_has_to_be_told_apart(street: Street, woo: WooShop) -> None:
    with street.world.session() as session:
        channel, key = street.channel_of(woo), listing(session, "mug").listing_key
        session.run("update listing set sku = %(key)s where merchant_id = %(merchant_id)s and sku = 'ghost'", key=key)
        with pytest.raises(InvalidInput, match="ambiguous_listing"):
            listing(session, key)
        assert lookup.find_one(session, channel, key, by="key").sku == "mug"
        assert lookup.find_one(session, channel, key, by="sku").sku == key


# Rules


def test_a_rule_holds_back_and_bounds_what_is_shown_and_is_written_at_once(street: Street, woo: WooShop) -> None:
    for change, shown in (
        ({"buffer": 3}, 7), ({"buffer": 0, "buffer_percent": 25}, 7), ({"shown_max": 5}, 5),
        ({"shown_max": None}, 7), ({"buffer": 10, "shown_min": 1}, 1),
    ):  # fmt: skip
        set_rule(street, "mug", **change)  # type: ignore[arg-type]
        street.settle(60)
        assert woo.shown()["mug"] == shown


def test_a_rule_may_count_only_some_of_the_locations_that_feed_a_number(street: Street, woo: WooShop) -> None:
    street.world.move("mug", 4, "opening > available@B", "4")
    street.settle(60)
    assert woo.shown()["mug"] == 14
    set_rule(street, "mug", locations=["B"])
    street.settle(60)
    assert woo.shown()["mug"] == 4
    set_rule(street, "mug", locations=None)
    street.settle(60)
    assert woo.shown()["mug"] == 14


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"buffer": -1}, ["buffer"]),
        ({"buffer_percent": 101}, ["buffer_percent"]),
        ({"buffer_percent": -1, "shown_min": -5}, ["buffer_percent", "shown_min"]),
        ({"shown_min": 5, "shown_max": 4}, ["shown_max"]),
        ({"shown_max": -1}, ["shown_max"]),
        ({"buffer": 10**12}, ["buffer"]),
        ({"locations": ["C"]}, ["locations"]),
        ({"locations": []}, ["locations"]),
        ({"buffer": 1, "locations": ["A", "nowhere"]}, ["locations"]),
    ],
)
def test_a_rule_out_of_bounds_names_every_field_and_changes_nothing(
    street: Street, woo: WooShop, change: dict[str, object], fields: list[str]
) -> None:
    set_rule(street, "mug", buffer=2)
    with pytest.raises(InvalidInput) as refused:
        set_rule(street, "mug", **change)
    assert [fault.where for fault in refused.value.faults] == fields
    (number,) = views(street.world)["mug"].numbers
    assert (number.owner.buffer, number.owner.location_ids, number.target) == (2, None, 8)


def test_a_new_least_is_checked_against_the_most_that_stands(street: Street, woo: WooShop) -> None:
    set_rule(street, "mug", shown_max=3)
    with pytest.raises(InvalidInput, match="min_above_max"):
        set_rule(street, "mug", shown_min=4)


def test_where_a_channel_has_places_each_counts_only_what_feeds_it(street: Street) -> None:
    world = street.world
    world.move("mug", 10, OPENING, "50")
    street.open_shopify({"mug": 10}, places={"A": world.a, "B": world.b})
    street.settle()
    with pytest.raises(InvalidInput, match="fed by B"):
        set_rule(street, "mug", "Shopify 0", locations=["A"])
    with world.session() as session:
        at_a = [o for o in rules.owners_of(session, listing(session, "mug", "Shopify 0")) if "A" in o.feeding.values()]
        rules.set_rule(session, at_a, {"locations": ["A"], "buffer": 1})
    assert sorted(n.owner.buffer for n in views(world)["mug"].numbers) == [0, 1]


def test_another_merchants_number_can_neither_be_read_nor_ruled(street: Street, woo: WooShop, other: World) -> None:
    (number,) = views(street.world)["mug"].numbers
    with other.session() as session:
        with pytest.raises(NotFound):
            rules.get_owner(session, number.owner.owner_id)
        rules.set_rule(session, [number.owner], {"buffer": 9})
    assert views(street.world)["mug"].numbers[0].owner.buffer == 0


# Looking


def test_the_list_says_item_rule_number_and_target_page_by_page(street: Street, woo: WooShop) -> None:
    set_rule(street, "mug", buffer=2)
    with street.world.session() as session:
        first = list_listings(session, Wanted(), rows_max=1)
        second = list_listings(session, Wanted(after=first.next_after), rows_max=1)
    assert first.next_after is not None
    assert second.next_after is None
    both = {view.listing.sku: view for view in [*first.rows, *second.rows]}
    assert set(both) == {"mug", "ghost"}
    assert (both["mug"].item_sku, both["mug"].numbers[0].owner.believed, both["mug"].numbers[0].target) == (
        "mug", 10, 8,
    )  # fmt: skip
    assert (both["ghost"].item_sku, both["ghost"].numbers[0].target) == (None, None)
    assert set(views(street.world, unmapped=True)) == {"ghost"}
    assert set(views(street.world, search="GHO")) == {"ghost"}


def test_the_list_takes_as_many_statements_for_a_hundred_listings_as_for_one(street: Street) -> None:
    street.open_woo({f"sku-{n:03}": n for n in range(60)})
    street.settle()
    street.world.item("sku-001")
    counts = []
    for rows_max in (1, 50):
        with counted(street.world.database) as statements, street.world.session() as session:
            list_listings(session, Wanted(), rows_max=rows_max)
        counts.append(len(statements))
    assert counts[0] == counts[1]


def test_an_unmapped_listing_suggests_items_of_its_sku_or_barcode(street: Street) -> None:
    street.open_woo({"Mug ": 1, "4006381333931": 1, "alone": 1})
    street.settle()
    with street.world.session() as session:
        create_items(session, [NewItem("mug", "A mug"), NewItem("pen", "A pen", "4006381333931"), NewItem("x", "X")])
    found = {sku: [(s.sku, s.reason) for s in v.suggestions] for sku, v in views(street.world).items()}
    assert [s for s in found.values() if s] == [[("mug", "like_sku")], [("pen", "same_barcode")]]


def test_what_waits_and_is_in_no_catalogue_is_named(street: Street, woo: WooShop) -> None:
    with street.world.session() as session:  # products can't be read for the moment
        session.run(
            """update channel_poll set failures = 1, due_at = 'infinity'
               where merchant_id = %(merchant_id)s and kind = 'products'"""
        )
    woo.add_product("brand-new", 5)
    woo.place_order([("brand-new", 1), ("ghost", 1)])
    street.settle(5)
    with street.world.session() as session:
        assert [(sold.channel, sold.sku) for sold in list_sold(session)] == [("Woo 0", "brand-new")]
