"""A channel's catalogue as listings: matched by exact SKU, repeated without harm, and changed by what changed there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from app.listings.catalogue import Mapped, import_entries, map_listing
from app.listings.channels import get_channel, shop_of
from app.listings.connect import import_catalogue
from connectors.base import CatalogueEntry, StockKey, StockReading
from sandbox.shopify import PretendShopify
from sandbox.shopify.state import gid
from sandbox.woocommerce import WooShop
from tests.street import Street
from tests.world import World

OPENING = "opening > available@A"


def again(street: Street, shop: PretendShopify | WooShop) -> Mapped:
    """The import once more."""
    channel_id, merchant_id = street.channel_of(shop), street.world.merchant_id
    with street.world.session() as session:
        channel = get_channel(session, channel_id)
    connector = street.runtime.connectors[channel.platform]
    told = shop_of(street.runtime, merchant_id, channel)
    return import_catalogue(street.runtime, merchant_id, channel_id, connector, told)


def rows(world: World, table: str) -> list[tuple[Any, ...]]:
    with world.session() as session:
        return [
            tuple(row)
            for row in session.rows(
                f"select to_jsonb(t) - 'seen_at' from {table} t where merchant_id = %(merchant_id)s order by 1"
            )
        ]


def listings(world: World) -> dict[str, tuple[str | None, int | None]]:
    """Title → SKU and item."""
    with world.session() as session:
        found = session.rows("select title, sku, item_id from listing where merchant_id = %(merchant_id)s")
    return {row.title: (row.sku, row.item_id) for row in found}


def owners(world: World) -> dict[str, tuple[str, int | None, int | None]]:
    """Stock key → state, item, belief."""
    with world.session() as session:
        found = session.rows(
            "select stock_key, state, item_id, believed from stock_owner where merchant_id = %(merchant_id)s"
        )
    return {row.stock_key: (row.state, row.item_id, row.believed) for row in found}


def written_to(shop: PretendShopify | WooShop, sku: str) -> list[int]:
    return [write.quantity for write in shop.context.writes if write.sku == sku]


@pytest.mark.parametrize("kind", ["shopify", "woo"])
def test_the_same_import_again_changes_nothing_and_has_nothing_written(street: Street, kind: str) -> None:
    for sku, units in (("mug", 5), ("bowl", 0)):
        street.world.item(sku)
        if units:
            street.world.move(sku, units, OPENING, "5")
    stock = {"mug": 5, "bowl": 0, "unknown": 3}
    shop = street.open_shopify(stock) if kind == "shopify" else street.open_woo(stock)
    street.settle()
    tables = ("listing", "stock_owner", "due_listing", "channel_location", "channel")
    before = {table: rows(street.world, table) for table in tables}
    writes = len(shop.context.writes)
    assert again(street, shop) == Mapped(3, 1)
    assert {table: rows(street.world, table) for table in tables} == before
    street.settle()
    assert len(shop.context.writes) == writes


def test_a_variant_that_appears_later_is_a_listing_from_the_next_import_on(street: Street) -> None:
    world = street.world
    world.move("mug", 5, OPENING, "5")
    shop = street.open_shopify({"mug": 5})
    street.settle()
    world.move("bowl", 7, OPENING, "7")
    shop.add_variant("bowl", {gid("Location", place): 2 for place in shop.locations})
    assert again(street, shop) == Mapped(2, 0)
    street.settle()
    assert shop.shown() == {"mug": 5, "bowl": 7}
    assert street.cases() == []


def test_an_order_of_a_variant_that_no_import_has_seen_is_booked_by_its_exact_sku(street: Street) -> None:
    world = street.world
    world.move("mug", 5, OPENING, "5")
    world.move("bowl", 7, OPENING, "7")
    shop = street.open_shopify({"mug": 5})
    street.settle()
    shop.add_variant("bowl", {gid("Location", place): 7 for place in shop.locations})
    shop.place_order([("bowl", 2), ("mug", 1)])
    street.settle()
    assert (world.available("bowl"), world.available("mug")) == (5, 4)
    again(street, shop)
    street.settle()
    assert shop.shown() == {"mug": 4, "bowl": 5}
    assert (street.cases(), world.verify()) == ([], [])


def test_an_order_of_a_new_variant_whose_item_comes_later_waits_and_is_then_booked_once(street: Street) -> None:
    world = street.world
    shop = street.open_shopify({"mug": 5})
    shop.place_order([("mug", 2)])
    street.settle()
    assert street.parked() == ["unknown_listing"]
    world.move("mug", 5, OPENING, "5")
    again(street, shop)
    street.settle()
    assert (street.parked(), world.available("mug"), shop.shown()["mug"]) == ([], 3, 3)


@pytest.mark.parametrize("kind", ["shopify", "woo"])
def test_a_variant_that_was_removed_is_written_no_more_and_holds_nothing_up(street: Street, kind: str) -> None:
    world = street.world
    for sku in ("mug", "bowl"):
        world.move(sku, 5, OPENING, "5")
    stock = {"mug": 5, "bowl": 5}
    shop = street.open_shopify(stock) if kind == "shopify" else street.open_woo(stock)
    street.settle()
    if isinstance(shop, WooShop):
        shop.delete_product("mug")
    else:
        shop.delete_variant("mug")
    again(street, shop)
    for sku in ("mug", "bowl"):
        world.move(sku, 3, "supplier > available@A", "3")
    street.settle()
    assert shop.shown()["bowl"] == 8
    assert [state for state, _, _ in owners(world).values()].count("managed") == 1
    calls = street.calls(shop)
    world.move("mug", 3, "supplier > available@A", "3")
    street.settle()
    assert street.calls(shop) == calls
    assert rows(world, "due_listing") == []


def test_two_listings_of_one_sku_are_one_item_and_both_show_its_number(street: Street) -> None:
    world = street.world
    world.move("mug", 9, OPENING, "9")
    shop = street.open_shopify({"mug": 9})
    place = gid("Location", next(iter(shop.locations)))
    second = shop.add_variant("mug", {place: 4}, title="the same mug elsewhere")
    again(street, shop)
    street.settle()
    assert {item for _, item in listings(world).values()} == {world.items["mug"]}
    shop.place_order([("mug", 2)])
    street.settle()
    numbers = [shop.inventory.available(v.item_id, second_place) for v in (shop.variant("mug"), second)
               for second_place in shop.locations]  # fmt: skip
    assert (world.available("mug"), numbers) == (7, [7, 7])


@pytest.mark.parametrize("sku", ["", " ", "MUG", "mug ", " mug", "mug\u200b", "mu\u0000g", None])
def test_what_is_not_exactly_a_sku_is_no_item(street: Street, sku: str | None) -> None:
    world = street.world
    world.item("mug")
    shop = street.open_woo({"bowl": 1})
    entry = replace(one("7", sku), sku=None if sku is None or "\0" in sku else sku)
    with world.session() as session:
        assert import_entries(session, street.channel_of(shop), [entry]).unmapped == 1
    assert owners(world)["7"] == ("managed", None, 3)
    street.settle()
    assert shop.context.writes == []


def one(key: str, sku: str | None, stock_key: str = "", quantity: int | None = 3, **more: Any) -> CatalogueEntry:
    """An entry as a shop without places has them."""
    entry = CatalogueEntry(
        listing_key=key, stock_key=stock_key or key, sku=sku, title=f"title {key}", barcode=None, tracked=True,
        price=None, unit_cost=None, stock=(StockReading(StockKey(stock_key or key), quantity),),
    )  # fmt: skip
    return replace(entry, **more)


def brought_in(street: Street, entries: Sequence[CatalogueEntry]) -> Mapped:
    """One page into the street's only shop."""
    with street.world.session() as session:
        return import_entries(session, min(street.shops), entries)


@pytest.fixture
def empty(street: Street) -> Street:
    street.open_woo({})
    return street


def test_products_without_a_sku_are_not_taken_for_each_other(empty: Street) -> None:
    assert brought_in(empty, [one("1", None), one("2", None)]) == Mapped(2, 2)
    empty.world.item("mug")
    with empty.world.session() as session:
        map_listing(session, min(empty.shops), "1", empty.world.items["mug"])
    assert brought_in(empty, [one("1", None), one("2", None)]) == Mapped(2, 1)
    assert [item for _, item, _ in owners(empty.world).values()] == [empty.world.items["mug"], None]


def test_a_page_that_names_a_listing_twice_counts_it_once_as_it_was_named_last(empty: Street) -> None:
    empty.world.item("mug")
    assert brought_in(empty, [one("1", None), one("2", "mug"), one("1", "mug")]) == Mapped(2, 0)
    assert len(rows(empty.world, "listing")) == len(rows(empty.world, "stock_owner")) == 2


def test_an_empty_page_is_no_page(empty: Street) -> None:
    assert brought_in(empty, []) == Mapped(0, 0)


def test_another_merchants_item_of_the_same_sku_is_never_ours(empty: Street, other: World) -> None:
    other.item("mug")
    assert brought_in(empty, [one("1", "mug")]) == Mapped(1, 1)


def test_variations_that_share_a_number_are_written_only_while_they_are_one_item(empty: Street) -> None:
    world = empty.world
    small, large = world.item("small"), world.item("large")
    shared = [one("13/14", "small", "13"), one("13/15", "large", "13")]
    brought_in(empty, shared)
    assert owners(world)["13"] == ("managed", None, 3)
    brought_in(empty, [one("23/24", "small", "23"), one("23/25", "small", "23")])
    assert owners(world)["23"] == ("managed", small, 3)
    assert large not in {item for _, item, _ in owners(world).values()}


def test_a_number_that_another_item_came_to_share_is_that_of_the_first_no_more(empty: Street) -> None:
    world = empty.world
    small, _ = world.item("small"), world.item("large")
    brought_in(empty, [one("13/14", "small", "13")])
    assert owners(world)["13"] == ("managed", small, 3)
    brought_in(empty, [one("13/15", "large", "13")])  # the next page, or a variation that was added later
    assert owners(world)["13"] == ("managed", None, 3)
    brought_in(empty, [one("13/15", "large", "15")])  # it keeps a number of its own now
    assert owners(world)["13"] == ("managed", small, 3)


def test_what_a_person_mapped_stays_mapped_whatever_the_shop_says(empty: Street) -> None:
    world = empty.world
    mug, _ = world.item("mug"), world.item("bowl")
    brought_in(empty, [one("1", "unknown")])
    with world.session() as session:
        map_listing(session, min(empty.shops), "1", mug)
    assert brought_in(empty, [one("1", "bowl")]) == Mapped(1, 0)
    assert owners(world)["1"][1] == mug
    assert listings(world)["title 1"] == ("bowl", mug)


def test_a_product_whose_number_the_shop_stops_keeping_is_left_alone_until_it_keeps_one_again(empty: Street) -> None:
    world = empty.world
    world.move("mug", 5, OPENING, "5")
    states = []
    for tracked, bundle in ((True, False), (False, False), (False, True), (True, False)):
        brought_in(empty, [one("1", "mug", tracked=tracked, bundle=bundle)])
        states.append(owners(world)["1"][0])
    assert states == ["managed", "untracked", "bundle", "managed"]


def test_a_first_number_becomes_the_belief_and_a_later_import_never_moves_it(empty: Street) -> None:
    brought_in(empty, [one("1", "mug", quantity=None)])
    brought_in(empty, [one("1", "mug", quantity=8)])
    brought_in(empty, [one("1", "mug", quantity=5)])
    assert owners(empty.world)["1"][2] == 8
