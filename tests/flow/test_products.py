"""Products that come, go and are renamed in a shop after it was connected: the listings follow by themselves."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from app.catalog.items import NewItem, create_items
from app.core.db import Row
from app.inbox.products import read_products
from app.listings.catalogue import match_by_sku
from app.listings.wanted import PAUSES_S, want_told
from sandbox.base import Delivery as Posted
from sandbox.shopify import PretendShopify
from sandbox.woocommerce import WooShop
from tests.street import Street

OPENING = "opening > available@A"
Shop = PretendShopify | WooShop
DAY = timedelta(days=1)


@pytest.fixture(params=["shopify", "woocommerce"])
def shop(street: Street, request: pytest.FixtureRequest) -> Shop:
    """Of either vendor, connected with one product."""
    street.world.move("mug", 10, OPENING, "50")
    opened = street.open_shopify({"mug": 10}) if request.param == "shopify" else street.open_woo({"mug": 10})
    street.settle(1)
    return opened


def add(shop: Shop, sku: str, stock: int) -> None:
    if isinstance(shop, WooShop):
        shop.add_product(sku, stock)
    else:
        place = next(iter(shop.locations))
        shop.add_variant(sku, {f"gid://shopify/Location/{place}": stock})


def delete(shop: Shop, sku: str) -> None:
    if isinstance(shop, WooShop):
        shop.delete_product(sku)
    else:
        shop.delete_variant(sku)


def rename(shop: Shop, sku: str, new: str) -> None:
    if isinstance(shop, WooShop):
        shop.rename_product(sku, new)
    else:
        shop.rename_variant(sku, new)


def orders_only(posted: Posted) -> bool:
    """What a shop delivers that was never told to tell of products."""
    topic = next(value for name, value in posted.headers.items() if name.lower().endswith("-topic"))
    return topic.startswith("order")


def listing(street: Street, sku: str) -> Row:
    with street.world.session() as session:
        return session.row(
            """select l.*, i.sku as item, o.state, o.believed from listing l
               left join item i on i.merchant_id = l.merchant_id and i.item_id = l.item_id
               left join stock_owner o on o.merchant_id = l.merchant_id and o.channel_id = l.channel_id
                    and o.stock_key = l.stock_key
               where l.merchant_id = %(merchant_id)s and l.sku = %(sku)s order by o.owner_id limit 1""",
            sku=sku,
        )


def later(street: Street, shop: Shop, seconds: float) -> None:
    """Let time pass without simulating all of it, then let happen what is due."""
    street.world.now += timedelta(seconds=seconds)
    street.settle(2, rounds_max=2_000)


def asked(street: Street, shop: Shop, act: Callable[[], object]) -> int:
    """Calls to the shop meanwhile."""
    before = street.calls(shop)
    act()
    return street.calls(shop) - before


def test_a_product_that_comes_later_is_a_listing_within_seconds_and_its_number_is_kept(
    street: Street, shop: Shop
) -> None:
    street.world.move("cup", 7, OPENING, "7")
    add(shop, "cup", 3)
    street.settle(5)
    found = listing(street, "cup")
    assert (found.item, found.state, found.gone_at) == ("cup", "managed", None)
    assert shop.shown()["cup"] == 7
    assert street.parked() == []


def test_an_order_of_a_product_nobody_told_of_books_itself_once_the_product_was_read(
    street: Street, shop: Shop
) -> None:
    street.world.move("cup", 7, OPENING, "7")
    street.heard = orders_only
    add(shop, "cup", 7)
    shop.place_order([("cup", 2)])
    street.settle(5)
    assert street.world.level("cup")["committed"] == 2
    assert street.parked() == []
    assert (listing(street, "cup").item, listing(street, "cup").believed) == ("cup", 5)


def test_an_order_of_a_new_product_that_is_no_item_waits_and_books_itself_when_the_item_comes(
    street: Street, shop: Shop
) -> None:
    street.heard = orders_only
    add(shop, "vase", 4)
    shop.place_order([("vase", 1)])
    street.settle(5)
    assert street.parked() == ["unknown_listing"]
    assert listing(street, "vase").item is None
    with street.world.session() as session:
        street.world.items |= create_items(session, [NewItem("vase", "Vase")])
        match_by_sku(session)
    street.settle(5)
    assert street.parked() == []
    assert street.world.level("vase")["committed"] == 1


def test_what_the_shop_does_not_have_is_asked_for_a_few_times_and_then_no_more(street: Street, shop: Shop) -> None:
    channel = street.channel_of(shop)
    nothing = "gid://shopify/ProductVariant/999999" if isinstance(shop, PretendShopify) else "999999"

    def name_it() -> None:
        with street.world.session() as session:
            want_told(session, channel, {nothing})
        street.worker.step()

    assert asked(street, shop, name_it) >= 1
    assert asked(street, shop, name_it) == 0
    reads = []
    for pause in (*PAUSES_S, *PAUSES_S):
        street.world.now += timedelta(seconds=pause)
        with street.world.session() as session:
            session.run(
                """update channel_poll set due_at = 'infinity', read_through = %(now)s
                   where merchant_id = %(merchant_id)s and kind not in ('products', 'push')""",
                now=street.world.now,
            )
            session.run(
                "update channel_poll set read_through = %(now)s where merchant_id = %(merchant_id)s",
                now=street.world.now,
            )
        reads.append(asked(street, shop, name_it))
    assert [count > 0 for count in reads] == [True] * 4 + [False] * 4


def test_a_delivery_that_says_what_is_known_asks_for_nothing(street: Street, shop: Shop) -> None:
    if isinstance(shop, WooShop):
        shop.set_stock_by_hand("mug", 10)
    else:
        shop.webhooks.emit("products/update", {
            "id": 1, "variants": [{"id": (v := shop.variant("mug")).id, "inventory_item_id": v.item_id, "sku": "mug"}],
        })  # fmt: skip
    street.deliver()
    street.worker.step()
    with street.world.session() as session:
        assert session.value("select count(*) from product_wanted where merchant_id = %(merchant_id)s") == 0


def test_a_sku_that_changes_in_the_shop_is_followed_and_the_mapping_stays(street: Street, shop: Shop) -> None:
    rename(shop, "mug", "mug-2026")
    street.settle(5)
    assert listing(street, "mug-2026").item == "mug"
    shop.place_order([("mug-2026", 2)])
    street.settle(5)
    assert street.world.level("mug")["committed"] == 2
    assert street.cases() == []


def test_an_unmapped_product_that_gets_an_items_sku_is_that_item(street: Street, shop: Shop) -> None:
    add(shop, "CUP", 3)
    street.settle(5)
    assert listing(street, "CUP").item is None
    street.world.move("cup", 7, OPENING, "7")
    rename(shop, "CUP", "cup")
    later(street, shop, 70)
    assert listing(street, "cup").item == "cup"
    assert shop.shown()["cup"] == 7


def test_a_mapped_product_that_gets_another_items_sku_stays_what_it_is_and_a_person_is_asked(
    street: Street, shop: Shop
) -> None:
    street.world.move("cup", 3, OPENING, "3")
    rename(shop, "mug", "cup")
    street.settle(5)
    assert listing(street, "cup").item == "mug"
    assert street.cases() == ["listing_renamed"]
    assert shop.shown()["cup"] == 10


def test_a_deleted_product_is_gone_and_its_number_is_not_written_any_more(street: Street, shop: Shop) -> None:
    delete(shop, "mug")
    street.world.move("mug", 1, "available@A > shrinkage")
    later(street, shop, 3_700)  # at the latest the audit finds out
    found = listing(street, "mug")
    assert found.gone_at is not None
    assert found.state == "gone"
    writes = len(shop.context.writes)

    def sell_elsewhere() -> None:
        for _ in range(5):
            street.world.move("mug", 1, "available@A > shrinkage")
            street.settle(3)

    assert asked(street, shop, sell_elsewhere) == 0
    assert len(shop.context.writes) == writes
    assert len(street.cases()) <= 1


def test_the_whole_catalogue_is_read_again_each_day_and_finds_what_nobody_told_of(street: Street, shop: Shop) -> None:
    street.world.move("cup", 7, OPENING, "7")
    street.world.move("jug", 4, OPENING, "4")
    add(shop, "jug", 4)
    street.settle(5)
    street.heard = lambda posted: False
    add(shop, "cup", 7)
    rename(shop, "mug", "mug-2026")
    delete(shop, "jug")
    with street.world.session() as session:  # no audit, which would look at the jug's number
        session.run(
            """update channel_poll set due_at = 'infinity'
               where merchant_id = %(merchant_id)s and kind in ('stock', 'webhooks')"""
        )
    later(street, shop, DAY.total_seconds())
    later(street, shop, 60)
    assert listing(street, "cup").item == "cup"
    assert listing(street, "mug-2026").item == "mug"
    assert (listing(street, "jug").gone_at is None, listing(street, "jug").state) == (False, "gone")
    assert [listing(street, sku).gone_at for sku in ("cup", "mug-2026")] == [None, None]


def test_a_shop_that_fails_while_products_are_read_is_asked_again_later(street: Street, shop: Shop) -> None:
    street.heard = orders_only
    street.world.move("cup", 7, OPENING, "7")
    street.settle(1)
    add(shop, "cup", 7)
    channel, merchant = street.channel_of(shop), street.world.merchant_id
    with street.world.session() as session:
        variant = None if isinstance(shop, WooShop) else shop.variant("cup")
        key = f"gid://shopify/ProductVariant/{variant.id}" if variant else shop.stock_key("cup")
        want_told(session, channel, {key})
    faults = shop.context.faults
    shop.context.faults = type(faults)(timeout_before=1.0)
    assert not read_products(street.runtime, merchant, channel)
    shop.context.faults = faults
    assert listing(street, "cup") is None
    street.settle(5)
    assert listing(street, "cup").item == "cup"


def test_a_variation_that_is_added_later_is_found_under_its_product(street: Street) -> None:
    woo = street.open_woo({})
    woo.add_variable("shirt", {"shirt-s": 5})
    street.world.move("shirt-s", 5, OPENING, "5")
    street.world.move("shirt-m", 6, OPENING, "6")
    street.settle(5)
    woo.add_variation("shirt", "shirt-m", 1)
    street.settle(5)
    assert listing(street, "shirt-m").item == "shirt-m"
    assert woo.shown() == {"shirt-s": 5, "shirt-m": 6}


def test_a_variation_that_is_deleted_is_gone_and_its_sisters_stay(street: Street) -> None:
    woo = street.open_woo({})
    woo.add_variable("shirt", {"shirt-s": 5, "shirt-m": 6})
    for sku, units in (("shirt-s", 5), ("shirt-m", 6)):
        street.world.move(sku, units, OPENING, "5")
    street.settle(5)
    woo.delete_product("shirt-m")
    street.settle(10)
    assert listing(street, "shirt-m").state == "gone"
    later(street, woo, 60)  # it was read a moment before it went
    assert listing(street, "shirt-m").gone_at is not None
    assert (listing(street, "shirt-s").gone_at, listing(street, "shirt-s").state) == (None, "managed")


def test_a_variation_whose_product_keeps_the_number_from_now_on_is_written_there(street: Street) -> None:
    """Nobody tells: only the number that is due finds that it is kept elsewhere."""
    woo = street.open_woo({})
    woo.add_variable("shirt", {"shirt-s": 5})
    street.world.move("shirt-s", 5, OPENING, "5")
    street.settle(5)
    street.heard = lambda posted: False
    variation = woo.state.product_of_sku("shirt-s")
    parent = woo.state.products[variation.parent_id]
    variation.manage, variation.stock, parent.manage, parent.stock = False, None, True, 5
    street.world.move("shirt-s", 2, OPENING, "2")
    calls = asked(street, woo, lambda: street.settle(120))
    assert parent.stock == 7
    assert calls < 40


def test_a_product_out_of_the_trash_is_kept_equal_again(street: Street) -> None:
    street.world.move("mug", 10, OPENING, "50")
    woo = street.open_woo({"mug": 10})
    street.settle(1)
    woo.trash_product("mug")
    street.settle(10)
    assert (listing(street, "mug").state, listing(street, "mug").gone_at is None) == ("gone", False)
    street.world.move("mug", 4, "available@A > shrinkage")
    woo.untrash_product("mug")
    later(street, woo, 70)
    assert (listing(street, "mug").state, listing(street, "mug").gone_at) == ("managed", None)
    assert woo.shown()["mug"] == 6


def test_a_page_that_goes_to_the_trash_is_no_product_and_nothing_is_asked(street: Street) -> None:
    street.world.move("mug", 10, OPENING, "50")
    woo = street.open_woo({"mug": 10})
    street.settle(1)
    woo._hooks.emit("product.deleted", 4_711)
    calls = asked(street, woo, lambda: street.settle(2))
    assert calls == 0
    assert listing(street, "mug").state == "managed"
