"""A shop that is connected has open orders. What it took off its number for them before, it is not taken off again, and
what they give back later comes back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from app.ledger.opening import commit_import, preview
from app.listings import belief
from app.listings.belief import Move
from app.listings.connect import read_history
from sandbox.shopify import PretendShopify
from sandbox.woocommerce import WooShop
from tests.drifting import PLATFORMS
from tests.flow.test_first_push import match_all, open_ledger, say_yes, show
from tests.street import Street

Shop = PretendShopify | WooShop
Connect = Callable[..., tuple[Shop, list[str]]]
ORDERS = ([("mug", 3)], [("mug", 2), ("bowl", 1)], [("mug", 1)])


@pytest.fixture
def connect(street: Street, monkeypatch: pytest.MonkeyPatch) -> Connect:
    """A shop that has sold `ORDERS`, the first of them ten minutes before it is connected, and their keys."""
    opened, keys = street.town._open, list[str]()

    def after_sales(shop: Shop, *given: object) -> None:
        for lines in ORDERS:
            keys.append(str(shop.place_order(lines)))
            street.live(300)
        opened(shop, *given)  # type: ignore[arg-type]

    def connected(platform: str, stock: dict[str, int], *, history: bool = True) -> tuple[Shop, list[str]]:
        street.town.state = "shadow"
        monkeypatch.setattr(street.town, "_open", after_sales)
        shop: Shop = street.open_shopify(stock) if platform == "shopify" else street.open_woo(stock)
        monkeypatch.undo()
        if history:
            read_history(street.runtime, street.world.merchant_id, street.channel_of(shop))
        return shop, keys

    return connected


def ship(shop: Shop, order: str) -> None:
    if isinstance(shop, PretendShopify):
        shop.fulfill(order)
    else:
        shop.set_status(int(order), "completed")


def cancel(shop: Shop, order: str) -> None:
    if isinstance(shop, PretendShopify):
        shop.cancel(order)
    else:
        shop.set_status(int(order), "cancelled")


def go_live(street: Street, shop: Shop) -> None:
    match_all(street, shop)
    street.settle()
    open_ledger(street, shop)
    say_yes(street, shop, show(street, shop))
    street.settle(60)


def all_equal(street: Street, shop: Shop, **units: int) -> None:
    assert shop.shown() == units
    assert {sku: street.world.available(sku) for sku in units} == units
    assert street.cases() == []
    assert street.world.verify() == []


@PLATFORMS
def test_what_was_sold_before_is_not_taken_off_again_when_it_is_shipped(
    street: Street, connect: Connect, platform: str
) -> None:
    shop, (first, second, third) = connect(platform, {"mug": 20, "bowl": 5})
    street.settle()
    ship(shop, first)  # before it is matched, before it is opened, and afterwards
    street.settle(60)
    match_all(street, shop)
    ship(shop, second)
    street.settle(60)
    go_live(street, shop)
    ship(shop, third)
    street.settle(300)
    all_equal(street, shop, mug=14, bowl=4)


def opened_from_table(street: Street, rows: str) -> list[tuple[str, str]]:
    """The faults of a table, by column; without any it is imported."""
    table = f"sku,name,on_hand,unit_cost\n{rows}".encode()
    with street.world.session() as session:
        found = [(fault.column, fault.reason) for fault in preview(session, table).faults]
        if not found:
            commit_import(session, table, name="items.csv")
    return found


@PLATFORMS
def test_what_was_sold_before_does_not_keep_a_table_from_opening_what_can_be_sold(
    street: Street, connect: Connect, platform: str
) -> None:
    shop, (first, second, third) = connect(platform, {"mug": 20, "bowl": 5})
    street.settle(60)
    match_all(street, shop)
    street.settle(60)
    ship(shop, third)
    street.settle(60)
    assert street.world.level("mug")["committed"] == 5
    assert opened_from_table(street, "mug,Mug,14,2.50\nbowl,Bowl,4,1\n") == []
    say_yes(street, shop, show(street, shop))
    ship(shop, first)
    cancel(shop, second)
    street.settle(300)
    all_equal(street, shop, mug=16, bowl=5)


@PLATFORMS
def test_a_table_does_not_open_what_was_sold_since_and_says_what_to_do_instead(
    street: Street, connect: Connect, platform: str
) -> None:
    shop, _ = connect(platform, {"mug": 20, "bowl": 5})
    match_all(street, shop)
    street.settle(60)
    shop.place_order([("mug", 1)])
    street.settle(60)
    assert opened_from_table(street, "mug,Mug,13,2.50\nbowl,Bowl,4,1\n") == [("on_hand", "sold_since")]
    assert opened_from_table(street, "mug,Mug,,2.50\nbowl,Bowl,4,1\n") == []
    assert (street.world.available("mug"), street.world.available("bowl")) == (-1, 4)


@PLATFORMS
def test_what_was_sold_before_and_is_first_seen_when_it_is_shipped_is_not_taken_off(
    street: Street, connect: Connect, platform: str
) -> None:
    shop, (first, _, _) = connect(platform, {"mug": 20, "bowl": 5}, history=False)
    street.settle(60)
    go_live(street, shop)
    ship(shop, first)
    street.settle(300)
    all_equal(street, shop, mug=14, bowl=4)


@PLATFORMS
@pytest.mark.parametrize("when", ["unmatched", "matched", "opened"])
def test_what_is_cancelled_after_connecting_comes_back(
    street: Street, connect: Connect, platform: str, when: str
) -> None:
    shop, (_, second, _) = connect(platform, {"mug": 20, "bowl": 5})
    street.settle(60)
    if when == "unmatched":
        cancel(shop, second)
        street.settle(60)
    match_all(street, shop)
    street.settle(60)
    if when == "matched":
        cancel(shop, second)
        street.settle(60)
    go_live(street, shop)
    if when == "opened":
        cancel(shop, second)
    street.settle(300)
    all_equal(street, shop, mug=16, bowl=5)


def test_an_order_that_is_paid_after_connecting_is_taken_off_then(
    street: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    street.town.state = "shadow"
    opened, keys = street.town._open, list[str]()

    def after_order(shop: WooShop, *given: object) -> None:
        keys.append(str(shop.place_order([("mug", 3)], status="pending")))
        street.live(600)
        opened(shop, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(street.town, "_open", after_order)
    shop = street.open_woo({"mug": 20})
    read_history(street.runtime, street.world.merchant_id, street.channel_of(shop))
    street.settle(60)
    go_live(street, shop)
    assert shop.shown() == {"mug": 20}
    shop.set_status(int(keys[0]), "processing")
    street.settle(300)
    all_equal(street, shop, mug=17)


@PLATFORMS
def test_what_is_sold_before_anybody_said_what_it_is_is_taken_off_once(street: Street, platform: str) -> None:
    street.town.state = "shadow"
    shop: Shop = street.open_shopify({"mug": 20}) if platform == "shopify" else street.open_woo({"mug": 20})
    street.settle(60)
    shop.place_order([("mug", 3)])
    street.settle(120)
    go_live(street, shop)
    street.settle(300)
    all_equal(street, shop, mug=17)


@pytest.mark.parametrize(
    ("began_s", "ended_s", "believed", "looked"),
    [(-60, -60, 20, False), (60, 60, 17, False), (-60, 60, None, True)],
    ids=["before the number was read", "after it", "from before until after"],
)
def test_a_number_moves_by_what_happened_since_it_was_read(
    street: Street, began_s: int, ended_s: int, believed: int | None, looked: bool
) -> None:
    street.open_shopify({"mug": 20})
    with street.world.session() as session:
        owner = session.row("select owner_id, counted_since from stock_owner where merchant_id = %(merchant_id)s")
        since = owner.counted_since
        move = Move(owner.owner_id, -3, since + timedelta(seconds=began_s), since + timedelta(seconds=ended_s))
        belief.move(session, [move])
        now = session.row("select believed, look_since from stock_owner where merchant_id = %(merchant_id)s")
    assert (now.believed, now.look_since is not None) == (believed, looked)


@PLATFORMS
def test_what_is_sold_and_looked_at_before_anybody_said_what_it_is_is_taken_off_once(
    street: Street, platform: str
) -> None:
    street.town.state = "shadow"
    shop: Shop = street.open_shopify({"mug": 20}) if platform == "shopify" else street.open_woo({"mug": 20})
    street.settle(60)
    shop.place_order([("mug", 3)])
    street.settle(120)
    with street.world.session() as session:
        session.run("update stock_owner set look_since = %(now)s where merchant_id = %(merchant_id)s", now=session.now)
    street.settle(120)
    with street.world.session() as session:
        assert session.value("select believed from stock_owner where merchant_id = %(merchant_id)s") == 17
    match_all(street, shop)
    street.settle()
    with street.world.session() as session:
        assert session.value("select believed from stock_owner where merchant_id = %(merchant_id)s") == 17
    open_ledger(street, shop)
    assert street.world.available("mug") == shop.shown()["mug"] == 17
