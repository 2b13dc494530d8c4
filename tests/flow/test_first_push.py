"""From a connected shop to its first correct push: nothing is written before a person has approved what was shown."""

from __future__ import annotations

import pytest

from app.core.errors import Conflict, NotFound
from app.listings import matching
from app.listings.catalogue import unmap_listing
from app.listings.opening import choose, open_from_shop, preview_opening
from app.listings.states import change_state, get_standing
from app.publishing.first_push import FirstPush, NumbersMoved, approve, find_first_push, lay_out
from sandbox.shopify import PretendShopify
from sandbox.woocommerce import WooShop
from tests.drifting import PLATFORMS
from tests.flow.test_shadow import state_of, writes
from tests.street import Street
from tests.world import World

OPENING = "opening > available@A"
Shop = PretendShopify | WooShop


def open_shop(street: Street, platform: str, stock: dict[str, int]) -> Shop:
    """Connected as a person connects it: looking on only."""
    street.town.state = "shadow"
    shop: Shop = street.open_shopify(stock) if platform == "shopify" else street.open_woo(stock)
    street.settle()
    return shop


def match_all(street: Street, shop: Shop, *kinds: str) -> None:
    channel_id = street.channel_of(shop)
    with street.world.session() as session:
        listings, _ = matching.propose(session, channel_id).of(kinds or ("new",))
        matching.accept(session, channel_id, kinds or ("new",), listings=listings, by="ann")
        rows = session.rows("select sku, item_id from item where merchant_id = %(merchant_id)s")
        street.world.items |= {row.sku: row.item_id for row in rows}


def open_ledger(street: Street, shop: Shop) -> tuple[int, int]:
    with street.world.session() as session:
        return open_from_shop(session, street.channel_of(shop))


def show(street: Street, shop: Shop) -> FirstPush:
    with street.world.session() as session:
        return lay_out(session, street.channel_of(shop))


def say_yes(street: Street, shop: Shop, shown: FirstPush, *, zeros: bool = False) -> FirstPush:
    with street.world.session() as session:
        return approve(session, street.channel_of(shop), shown.digest, by="ann", zeros=zeros)


def counts(shown: FirstPush) -> dict[str, int]:
    names = ("rises", "falls", "zeros", "unknown", "same", "unread")
    return {name: getattr(shown, name) for name in names if getattr(shown, name)}


@PLATFORMS
def test_a_shop_is_imported_matched_opened_shown_and_approved_before_a_number_is_written(
    street: Street, platform: str
) -> None:
    shop = open_shop(street, platform, {"mug": 10, "bowl": 4, "gone": 0})
    match_all(street, shop)
    assert open_ledger(street, shop) == (3, 14)
    shown = show(street, shop)
    assert counts(shown) == {"same": 3}
    street.world.move("mug", 2, "supplier > available@A", "8")
    street.settle()
    shown = show(street, shop)
    assert counts(shown) == {"rises": 1, "same": 2}
    assert writes(street, shop) == []
    say_yes(street, shop, shown)
    street.settle(60)
    assert state_of(street, shop) == "active"
    assert shop.shown() == {"mug": 12, "bowl": 4, "gone": 0}
    assert street.world.verify() == []
    assert street.cases() == []


def test_no_command_makes_a_shop_active_that_nobody_approved(street: Street) -> None:
    shop = open_shop(street, "woo", {"mug": 10})
    with street.world.session() as session, pytest.raises(Conflict, match="first-push"):
        change_state(session, street.channel_of(shop), "active", "ann")
    with street.world.session() as session:
        change_state(session, street.channel_of(shop), "paused", "ann")
    street.settle()
    with street.world.session() as session, pytest.raises(Conflict, match="first-push"):
        change_state(session, street.channel_of(shop), "active", "ann")


@PLATFORMS
def test_the_same_stock_is_never_opened_twice_when_a_second_shop_is_connected(street: Street, platform: str) -> None:
    first = open_shop(street, platform, {"mug": 10, "empty": 0})
    match_all(street, first)
    open_ledger(street, first)
    second = open_shop(street, "woo" if platform == "shopify" else "shopify", {"mug": 10, "empty": 3, "own": 2})
    match_all(street, second)
    with street.world.session() as session:
        told = preview_opening(session, street.channel_of(second))
    assert told.items == {"known": 2, "open": 1}
    assert (told.equal, told.differ, told.units) == (1, 1, 2)
    assert open_ledger(street, second) == (1, 2)
    assert open_ledger(street, second) == (0, 0)
    assert [street.world.available(sku) for sku in ("mug", "empty", "own")] == [10, 0, 2]


@PLATFORMS
def test_what_is_sold_between_connecting_and_opening_is_neither_lost_nor_counted_twice(
    street: Street, platform: str
) -> None:
    shop = open_shop(street, platform, {"mug": 10})
    match_all(street, shop)
    shop.place_order([("mug", 3)])
    street.settle()
    assert street.world.available("mug") == -3
    open_ledger(street, shop)
    assert (street.world.available("mug"), shop.shown()["mug"]) == (7, 7)
    assert counts(show(street, shop)) == {"same": 1}


def test_costs_of_the_shop_value_the_opening_and_missing_ones_are_told(street: Street) -> None:
    street.town.state = "shadow"
    shop = street.open_shopify({})
    place = next(iter(shop.locations.values()))
    key = f"gid://shopify/Location/{place.id}"
    shop.add_variant("mug", {key: 4}, unit_cost="2.50")
    shop.add_variant("bowl", {key: 2})
    street.settle(60)
    match_all(street, shop)
    with street.world.session() as session:
        session.run("""update channel set facts = facts || '{"currency": "USD"}' where merchant_id = %(merchant_id)s""")
        told = preview_opening(session, street.channel_of(shop))
    assert (told.units, told.without_cost) == (6, 1)
    assert told.examples == [("bowl", "without_cost", 2)]
    open_ledger(street, shop)
    assert [street.world.worth(sku)[1] for sku in ("mug", "bowl")] == [10, 0]


def test_costs_in_another_currency_than_the_merchants_are_not_taken(street: Street) -> None:
    shop = open_shop(street, "shopify", {"mug": 1})
    with street.world.session() as session:
        session.run("""update channel set facts = facts || '{"currency": "JPY"}' where merchant_id = %(merchant_id)s""")
        assert not preview_opening(session, street.channel_of(shop)).costs_apply


def test_an_item_with_two_numbers_at_one_place_is_left_for_a_person(street: Street) -> None:
    world = street.world
    world.item("mug")
    street.town.state = "shadow"
    shop = street.open_shopify({"mug": 5})
    shop.add_variant("mug", {f"gid://shopify/Location/{next(iter(shop.locations))}": 7})
    street.settle(60)
    with world.session() as session:
        told = preview_opening(session, street.channel_of(shop))
    assert told.items == {"twice": 1}
    assert open_ledger(street, shop) == (0, 0)


def test_where_the_opening_stock_comes_from_is_said_once(street: Street) -> None:
    shop = open_shop(street, "woo", {"mug": 1})
    with street.world.session() as session:
        assert choose(session, "shop", street.channel_of(shop), "ann").source == "shop"
        assert choose(session, "shop", street.channel_of(shop), "ben").chosen_by == "ann"
        with pytest.raises(Conflict, match="before"):
            choose(session, "zero", None, "ben")


def test_numbers_that_would_fall_to_none_because_nobody_counted_need_a_word_of_their_own(street: Street) -> None:
    shop = open_shop(street, "woo", {"mug": 10})
    match_all(street, shop)
    shown = show(street, shop)
    assert counts(shown) == {"unknown": 1}
    with pytest.raises(Conflict, match="confirm"):
        say_yes(street, shop, shown)
    say_yes(street, shop, shown, zeros=True)
    street.settle(60)
    assert shop.shown()["mug"] == 0


@PLATFORMS
def test_sales_since_it_was_shown_do_not_stand_in_the_way(street: Street, platform: str) -> None:
    shop = open_shop(street, platform, {"mug": 10})
    match_all(street, shop)
    open_ledger(street, shop)
    street.world.move("mug", 5, "supplier > available@A", "8")
    shown = show(street, shop)
    shop.place_order([("mug", 2)])
    street.settle()
    say_yes(street, shop, shown)
    shop.place_order([("mug", 1)])
    street.settle(60)
    assert (state_of(street, shop), shop.shown()["mug"], street.world.available("mug")) == ("active", 12, 12)


def test_numbers_that_moved_otherwise_since_are_shown_again_before_anything_is_written(street: Street) -> None:
    shop = open_shop(street, "woo", {"mug": 10})
    match_all(street, shop)
    open_ledger(street, shop)
    shown = show(street, shop)
    street.world.move("mug", 5, "supplier > available@A", "8")
    with pytest.raises(NumbersMoved) as refused:
        say_yes(street, shop, shown)
    assert refused.value.moved == 1
    again = show(street, shop)
    with pytest.raises(Conflict, match="laid out since"):
        say_yes(street, shop, shown)
    say_yes(street, shop, again)
    street.settle(60)
    assert shop.shown()["mug"] == 15


@PLATFORMS
def test_a_number_edited_in_the_shop_after_the_approval_is_found_before_the_first_write(
    street: Street, platform: str
) -> None:
    shop = open_shop(street, platform, {"mug": 10})
    match_all(street, shop)
    open_ledger(street, shop)
    street.heard = lambda posted: False  # nobody tells of it: only the reading can find it
    shown = show(street, shop)
    say_yes(street, shop, shown)
    if isinstance(shop, WooShop):
        shop.set_stock_by_hand("mug", 3)
    else:
        shop.set_stock_by_hand("mug", f"gid://shopify/Location/{next(iter(shop.locations))}", 3)
    street.settle(60)
    assert (state_of(street, shop), writes(street, shop)) == ("shadow", [])
    with street.world.session() as session:
        again = find_first_push(session, street.channel_of(shop))
        assert not get_standing(session, street.channel_of(shop)).approved
    assert again is not None
    assert (again.moved, counts(again)) == (1, {"rises": 1})
    say_yes(street, shop, again)
    street.settle(60)
    assert (state_of(street, shop), shop.shown()["mug"]) == ("active", 10)


def test_a_product_that_came_after_it_was_shown_is_shown_before_it_is_written(street: Street) -> None:
    shop = open_shop(street, "woo", {"mug": 10, "bowl": 3})
    match_all(street, shop)
    open_ledger(street, shop)
    with street.world.session() as session:
        key = session.value("select listing_key from listing where merchant_id = %(merchant_id)s and sku = 'bowl'")
        unmap_listing(session, street.channel_of(shop), key)
    shown = show(street, shop)
    assert counts(shown) == {"same": 1}
    street.map(shop, "bowl")
    with pytest.raises(NumbersMoved):
        say_yes(street, shop, shown)


def test_a_channel_that_was_approved_is_never_laid_out_or_opened_again(street: Street) -> None:
    shop = open_shop(street, "woo", {"mug": 10})
    match_all(street, shop)
    open_ledger(street, shop)
    shown = show(street, shop)
    say_yes(street, shop, shown)
    street.settle(60)
    with pytest.raises(Conflict):
        show(street, shop)
    with pytest.raises(Conflict):
        open_ledger(street, shop)
    assert say_yes(street, shop, shown).done_at is not None  # a second click does nothing


def test_another_merchants_shop_is_nothing_to_lay_out_open_or_approve(street: Street, other: World) -> None:
    shop = open_shop(street, "woo", {"mug": 10})
    match_all(street, shop)
    shown, channel_id = show(street, shop), street.channel_of(shop)
    for act in (
        lambda s: lay_out(s, channel_id), lambda s: open_from_shop(s, channel_id),
        lambda s: preview_opening(s, channel_id), lambda s: approve(s, channel_id, shown.digest, by="eve"),
    ):  # fmt: skip
        with other.session() as session, pytest.raises(NotFound):
            act(session)


def test_many_numbers_take_as_many_statements_as_few(street: Street) -> None:
    from tests.statements import counted

    told = []
    street.world.move("other", 1, OPENING, "1")  # the month's first movement opens its period
    for number in (1, 40):
        shop = open_shop(street, "woo", {f"{number}-{n}": 5 for n in range(number)})
        match_all(street, shop)
        with counted(street.world.database) as statements:
            open_ledger(street, shop)
            show(street, shop)
        told.append([" ".join(s.split())[:50] for s in statements])
    assert told[0] == told[1]


def test_items_of_one_shop_are_at_once_proposed_and_mapped_in_another_that_waits(street: Street) -> None:
    first, second = open_shop(street, "woo", {"MUG": 10, "BOWL": 1}), open_shop(street, "woo", {"mug": 3, "BOWL": 2})
    match_all(street, first)
    with street.world.session() as session:
        found = matching.read_matching(session, street.channel_of(second))
        told = matching.count_by_state(session, street.channel_of(second))
    assert [(group.kind, group.listings) for group in found.groups] == [("like_sku", 1)]
    assert told == {"mapped": 1, "left_out": 0, "open": 1}
