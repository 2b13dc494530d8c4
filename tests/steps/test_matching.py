"""Matching a shop's products to items: certain by key, probable with a confidence, never guessed, and taken back."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from app.catalog.items import NewItem, create_items
from app.core.errors import Conflict, InvalidInput, NotFound
from app.listings import matching
from app.listings.catalogue import import_entries, unmap_listing
from app.listings.channels import NewChannel, create_channel, map_location
from connectors.base import CatalogueEntry, StockKey, StockReading
from tests.statements import counted
from tests.street import Street
from tests.world import World

OPENING = "opening > available@A"


def entry(key: str, sku: str | None = None, title: str = "", stock: int | None = 5, **more: object) -> CatalogueEntry:
    """A listing that carries its own number, unless `stock_key` says otherwise."""
    stock_key = str(more.pop("stock_key", key))
    made = CatalogueEntry(
        key, stock_key, sku, title or f"Product {key}", None, tracked=True, price=None, unit_cost=None,
        stock=(StockReading(StockKey(stock_key), stock),),
    )  # fmt: skip
    return replace(made, **more)  # type: ignore[arg-type]


@pytest.fixture
def shop(street: Street) -> int:
    """A channel without places that nothing was imported from yet; it is never called."""
    with street.world.session() as session:
        new = NewChannel(
            "woocommerce",
            "Shop",
            f"key-{session.merchant_id}",
            f"https://shop-{session.merchant_id}.test",
            {},
            {},
            "shadow",
        )
        channel_id = create_channel(street.runtime, session, new)
        map_location(session, channel_id, "", street.world.a)
    return channel_id


def bring(world: World, shop: int, *entries: CatalogueEntry) -> None:
    with world.session() as session:
        import_entries(session, shop, entries)


def proposed(world: World, shop: int) -> dict[str, tuple[str, str | None, int]]:
    """(kind, SKU of the item, confidence) by listing key."""
    with world.session() as session:
        matching.propose(session, shop)
        rows = session.rows(
            """select l.listing_key, p.kind, coalesce(i.sku, p.item_sku) as sku, p.confidence
               from match_proposal p join listing l using (merchant_id, listing_id)
               left join item i on i.merchant_id = p.merchant_id and i.item_id = p.item_id
               where p.merchant_id = %(merchant_id)s and p.channel_id = %(channel)s""",
            channel=shop,
        )
    return {row.listing_key: (row.kind, row.sku, row.confidence) for row in rows}


def accept(world: World, shop: int, *kinds: str) -> matching.MatchBatch:
    with world.session() as session:
        listings, _ = matching.propose(session, shop).of(kinds)
        return matching.accept(session, shop, kinds, listings=listings, by="ann")


def items(world: World) -> set[str]:
    with world.session() as session:
        return {row.sku for row in session.rows("select sku from item where merchant_id = %(merchant_id)s")}


def mapped(world: World, shop: int) -> dict[str, str | None]:
    with world.session() as session:
        rows = session.rows(
            """select l.listing_key, i.sku from listing l left join item i using (merchant_id, item_id)
               where l.merchant_id = %(merchant_id)s and l.channel_id = %(channel)s""",
            channel=shop,
        )
    return {row.listing_key: row.sku for row in rows}


def test_a_first_shops_products_become_items_by_their_skus_and_nothing_else_does(street: Street, shop: int) -> None:
    world = street.world
    bring(
        world, shop, entry("1", "MUG", "Mug", barcode="4006381333931"), entry("2", "BOWL"), entry("3", None),
        entry("4", "TWIN"), entry("5", "TWIN"), entry("6", "GIFT", tracked=False), entry("7", "x" * 300),
    )  # fmt: skip
    assert proposed(world, shop) == {
        "1": ("new", "MUG", 100), "2": ("new", "BOWL", 100), "3": ("blank", None, 0), "4": ("duplicate_sku", None, 0),
        "5": ("duplicate_sku", None, 0), "6": ("untracked", None, 0), "7": ("bad_sku", None, 0),
    }  # fmt: skip
    batch = accept(world, shop, "new")
    assert (batch.items, batch.listings, batch.made_by) == (2, 2, "ann")
    assert items(world) == {"MUG", "BOWL"}
    assert {key: sku for key, sku in mapped(world, shop).items() if sku} == {"1": "MUG", "2": "BOWL"}
    with world.session() as session:
        assert session.value("select barcode from item where merchant_id = %(merchant_id)s and sku = 'MUG'")


def test_a_second_shops_products_are_found_by_sku_barcode_and_name_with_a_confidence(street: Street, shop: int) -> None:
    world = street.world
    with world.session() as session:
        create_items(session, [NewItem("MUG", "Blue mug", "111"), NewItem("BOWL", "Salad bowl", "222")])
        create_items(session, [NewItem("TEA", "Teapot, with infuser"), NewItem("CUP", "Cup", "333")])
        create_items(session, [NewItem("CAP", "Other cup", "333")])
    bring(
        world, shop, entry("1", "mug", "whatever"), entry("2", "B-1", "else", barcode="222"),
        entry("3", "T-1", "TEAPOT WITH INFUSER"), entry("4", "C-1", "c", barcode="333"), entry("5", "CUP"),
    )  # fmt: skip
    assert proposed(world, shop) == {
        "1": ("like_sku", "MUG", 90), "2": ("barcode", "BOWL", 95), "3": ("name", "TEA", 70),
        "4": ("two_items", None, 0),
    }  # fmt: skip
    assert mapped(world, shop)["5"] == "CUP"  # an exact SKU maps by itself


def test_two_products_of_one_shop_are_never_proposed_as_the_same_item(street: Street, shop: int) -> None:
    world = street.world
    with world.session() as session:
        create_items(session, [NewItem("MUG", "Mug", "111")])
    bring(
        world, shop, entry("1", "A", "x", barcode="111"), entry("2", "B", "y", barcode="111"), entry("3", "C", "Mug"),
        entry("4", "D", "mug"),
    )  # fmt: skip
    found = proposed(world, shop)
    assert [found[key][0] for key in "12"] == ["two_items", "two_items"]
    assert [found[key][:2] for key in "34"] == [("new", "C"), ("new", "D")]
    bring(world, shop, entry("5", "MUG", "exact"), entry("6", "E", "other", barcode="111"))
    assert proposed(world, shop)["6"][0] == "two_items"


def test_one_barcode_on_two_products_is_shown_apart_from_what_is_certain(street: Street, shop: int) -> None:
    bring(street.world, shop, entry("1", "A", barcode="111"), entry("2", "B", barcode="111"))
    assert {kind for kind, _, _ in proposed(street.world, shop).values()} == {"same_barcode"}
    accept(street.world, shop, "same_barcode")
    assert items(street.world) == {"A", "B"}


def test_variations_and_translations_that_share_a_number_become_one_item(street: Street, shop: int) -> None:
    world = street.world
    bring(
        world, shop, entry("13/14", "RED", "Shirt, red", stock_key="13"),
        entry("13/15", "BLUE", "Shirt, blue", stock_key="13"), entry("20", "POT", "Pot", stock_key="20"),
        entry("21", "POT", "Topf", stock_key="20"),
    )  # fmt: skip
    assert proposed(world, shop) == {
        "13/14": ("shared", "BLUE", 80), "13/15": ("shared", "BLUE", 80), "20": ("new", "POT", 100),
        "21": ("new", "POT", 100),
    }  # fmt: skip
    batch = accept(world, shop, "new", "shared")
    assert (batch.items, batch.listings) == (2, 4)
    with world.session() as session:
        owners = session.rows("select item_id from stock_owner where merchant_id = %(merchant_id)s")
    assert len(owners) == 2
    assert all(owner.item_id is not None for owner in owners)
    bring(world, shop, entry("13/16", "GREEN", "Shirt, green", stock_key="13"))
    assert proposed(world, shop) == {"13/16": ("same_number", "BLUE", 100)}


def test_an_item_with_two_numbers_in_one_shop_is_shown(street: Street, shop: int) -> None:
    world = street.world
    with world.session() as session:
        create_items(session, [NewItem("MUG", "Mug")])
    bring(world, shop, entry("1", "MUG"), entry("2", "MUG"))
    assert {key: kind for key, (kind, _, _) in proposed(world, shop).items()} == {"1": "twice", "2": "twice"}


def test_what_a_person_left_out_is_proposed_no_more(street: Street, shop: int) -> None:
    bring(street.world, shop, entry("1", "MUG"))
    with street.world.session() as session:
        unmap_listing(session, shop, "1")
    assert proposed(street.world, shop) == {}


def test_an_acceptance_is_taken_back_whole_once(street: Street, shop: int) -> None:
    world = street.world
    bring(world, shop, entry("1", "MUG"), entry("2", "BOWL"))
    batch = accept(world, shop, "new")
    with world.session() as session:
        assert matching.undo(session, batch.batch_id) == (2, 2)
    assert (items(world), mapped(world, shop)) == (set(), {"1": None, "2": None})
    assert proposed(world, shop)["1"] == ("new", "MUG", 100)
    with world.session() as session, pytest.raises(Conflict, match="already"):
        matching.undo(session, batch.batch_id)


def test_taking_back_leaves_an_item_that_has_moved(street: Street, shop: int) -> None:
    world = street.world
    bring(world, shop, entry("1", "MUG"), entry("2", "BOWL"))
    batch = accept(world, shop, "new")
    with world.session() as session:
        world.items["MUG"] = session.value(
            "select item_id from item where merchant_id = %(merchant_id)s and sku = 'MUG'"
        )
    world.move("MUG", 3, OPENING, "3")
    with world.session() as session:
        assert matching.undo(session, batch.batch_id) == (2, 1)
    assert items(world) == {"MUG"}


def test_what_was_shown_is_what_is_accepted_or_nothing_is(street: Street, shop: int) -> None:
    bring(street.world, shop, entry("1", "MUG"))
    with street.world.session() as session, pytest.raises(Conflict, match="look again"):
        matching.accept(session, shop, ["new"], listings=2, by="ann")
    with street.world.session() as session, pytest.raises(InvalidInput):
        matching.accept(session, shop, ["blank"], listings=1, by="ann")
    assert items(street.world) == set()


def test_matching_takes_as_many_statements_for_a_thousand_products_as_for_one(street: Street, shop: int) -> None:
    world = street.world
    counts = []
    for number in (1, 1_000):
        bring(world, shop, *[entry(f"{number}-{n}", f"{number}-{n}", unit_cost=Decimal(1)) for n in range(number)])
        with world.session() as session, counted(world.database) as statements:
            listings, _ = matching.propose(session, shop).of(["new"])
            matching.accept(session, shop, ["new"], listings=listings, by="ann")
        counts.append(len(statements))
    assert counts[0] == counts[1]


def test_another_merchants_acceptance_is_nothing_at_all(street: Street, shop: int, other: World) -> None:
    bring(street.world, shop, entry("1", "MUG"))
    batch = accept(street.world, shop, "new")
    with other.session() as session:
        assert matching.propose(session, shop).groups == []
        with pytest.raises(NotFound):
            matching.undo(session, batch.batch_id)
