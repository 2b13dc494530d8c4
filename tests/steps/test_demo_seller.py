"""The demo's buyers, staff and suppliers: the same dice sell the same, a shop sells what it shows, books add up."""

from __future__ import annotations

import argparse
import heapq
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from app.core.errors import Unavailable
from app.demo import goods as shelf
from app.demo import shops
from app.demo.goods import KIT, KIT_OF, PLACES, Merchant, create_demo_merchant, goods
from app.demo.play import Demo
from app.demo.seller import STORIES, Seller
from app.demo.shops import SHOPIFY, WOO, Street, dice, fill, open_street
from app.demo.staff import shopify_steps, woo_steps
from sandbox.base import Sale
from sandbox.faults import NONE
from tests.conftest import NOW
from tests.street import Street as World

STEPS = sorted({step for _, steps in STORIES for step in steps})


_names = count(1)


@pytest.fixture
def merchant(street: World, monkeypatch: pytest.MonkeyPatch) -> Merchant:
    """The demo's merchant under a name that no other test has given."""
    monkeypatch.setattr(shelf, "MERCHANT", f"demo {next(_names)}")
    return create_demo_merchant(street.runtime)


@pytest.fixture
def streets() -> Iterator[list[Street]]:
    """Streets that were opened; their ports are closed afterwards."""
    opened: list[Street] = []
    yield opened
    for street in opened:
        for front in street.fronts.values():
            front._server.server_close()


def opened(streets: list[Street], seed: int = 1) -> Street:
    streets.append(open_street(lambda: NOW, seed, NONE))
    fill(streets[-1], PLACES, goods())
    return streets[-1]


def seller_of(street: Street, seed: int, runtime: Any = None, merchant: Any = None) -> Seller:
    return Seller(street, runtime, merchant, goods(), 5.0, dice(seed))


def sold(street: Street, seed: int, orders: int) -> dict[str, list[Sale]]:
    """The two shops' books after so many buyers, with what their orders came to."""
    seller = seller_of(street, seed)
    for _ in range(orders):
        seller._sell()
    for _, _, act in heapq.nsmallest(len(seller._later), seller._later, key=lambda later: later[1]):
        act()
    return {name: list(shop.context.sales) for name, shop in street.shops.items()}


def plain(book: dict[str, list[Sale]]) -> dict[str, list[tuple[str, int]]]:
    return {name: [(sale.sku, sale.units) for sale in sales] for name, sales in book.items()}


def test_the_same_seed_sells_the_same_and_another_seed_something_else(streets: list[Street]) -> None:
    first, again = (sold(opened(streets), 7, 60) for _ in range(2))
    other = sold(opened(streets), 8, 60)
    assert plain(first) == plain(again) != plain(other)
    assert all(first[name] for name in (SHOPIFY, WOO))


def test_every_act_of_staff_leaves_the_shops_number_at_what_its_own_book_says(streets: list[Street]) -> None:
    street = opened(streets)
    book = sold(street, 3, 150)
    first = {good.sku: sum(good.opening) for good in goods()}
    first[KIT] = sum(min(by_place[n] // units for by_place, units in openings()) for n in range(len(PLACES)))
    for name, shop in street.shops.items():
        left = Counter(first)
        for sale in book[name]:
            left[sale.sku] -= sale.units
        assert shop.shown() == dict(left)
    assert {sale.units > 0 for sales in book.values() for sale in sales} == {True, False}


def openings() -> list[tuple[tuple[int, int], int]]:
    """Opening by place and units of each component of the kit."""
    by_sku = {good.sku: good.opening for good in goods()}
    return [(by_sku[sku], units) for sku, units in KIT_OF.items()]


def test_no_shop_alone_sells_a_unit_that_it_does_not_show(streets: list[Street]) -> None:
    street = opened(streets)
    seller = seller_of(street, 4)
    for _ in range(900):
        seller._sell()
    assert seller.tally.turned_away > 0
    for shop in street.shops.values():
        assert min(shop.shown().values()) >= 0
    placed = sum(1 for _ in seller.street.shopify.orders) + len(seller.street.woo.state.orders)
    assert seller.tally.orders == placed


@pytest.mark.parametrize("step", STEPS)
def test_a_step_of_staff_repeated_finds_nothing_left_and_never_gives_back_more_than_was_sold(
    streets: list[Street], step: str
) -> None:
    street, rng = opened(streets), dice(5)
    order = street.shopify.place_order([("MUG-WHT", 3), ("BOWL-BLU", 1)])
    number = street.woo.place_order([("MUG-WHT", 3), ("BOWL-BLU", 1)], "processing")
    assert order is not None
    assert number is not None
    for _ in range(6):
        shopify_steps(street.shopify)[step](order, rng)
        woo_steps(street.woo)[step](str(number), rng)
    for shop in street.shops.values():
        units = Counter[str]()
        for sale in shop.context.sales:
            units[sale.sku] += sale.units
            assert units[sale.sku] >= 0
        away = Counter[str]()
        for parcel in shop.context.parcels:
            away[parcel.sku] += parcel.units
            assert away[parcel.sku] >= 0
    assert shopify_steps(street.shopify).keys() == woo_steps(street.woo).keys() == set(STEPS)


def test_suppliers_bring_only_what_runs_low_and_every_delivery_is_booked_and_noted(
    street: World, merchant: Merchant, streets: list[Street]
) -> None:
    seller = seller_of(opened(streets), 6, street.runtime, merchant)
    for _ in range(3):
        street.world.now += timedelta(seconds=1)
        seller._restock()
    assert {receipt.sku for receipt in seller.receipts} == {"RUG-GRN"}  # three left; nothing else is low
    assert available(street, merchant, "RUG-GRN") == 3 + sum(receipt.units for receipt in seller.receipts)


def test_a_delivery_is_booked_once_however_often_the_database_goes_away(
    street: World, merchant: Merchant, streets: list[Street]
) -> None:
    database = street.world.database
    begun: list[int] = []

    class Flaky:
        """Away twice before anything is done, once after it was committed."""

        @staticmethod
        def begin(*arguments: Any, **how: Any) -> Any:
            begun.append(1)
            if len(begun) <= 2:
                raise Unavailable("database_unavailable")
            return Lost(database.begin(*arguments, **how)) if len(begun) == 3 else database.begin(*arguments, **how)

        @staticmethod
        def close() -> None:
            pass

    class Lost:
        def __init__(self, inner: Any) -> None:
            self.inner = inner

        def __enter__(self) -> Any:
            return self.inner.__enter__()

        def __exit__(self, *error: Any) -> None:
            self.inner.__exit__(*error)
            raise Unavailable("database_unavailable", "the answer to the commit was lost")

    runtime = replace(street.runtime, database=Flaky())  # type: ignore[arg-type]
    seller = seller_of(opened(streets), 6, runtime, merchant)
    seller.stopping.set()  # its pause between two tries is over at once
    seller._restock()
    assert len(begun) == 4
    assert available(street, merchant, "RUG-GRN") == 3 + seller.receipts[0].units
    assert len(seller.receipts) == 1


def available(street: World, merchant: Merchant, sku: str) -> int:
    with street.runtime.begin(merchant.merchant_id, NOW) as session:
        return int(
            session.value(
                "select sum(available) from level where merchant_id = %(merchant_id)s and item_id = %(item)s",
                item=merchant.items[sku],
            )
        )


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_run_whose_buyers_broke_off_is_no_success(street: World, streets: list[Street], tmp_path: Path) -> None:
    demo_street = opened(streets)
    seller = seller_of(demo_street, 1)
    seller.goods, seller._skus, seller._weights = [], ["no such sku"], [1.0]
    seller.start()
    seller._thread.join(30)
    args = argparse.Namespace(for_s=0.0, faults="none", seed=1, json=True, rate=5.0)
    with pytest.raises(Unavailable) as broken:
        Demo(args, street.runtime, tmp_path)._live(demo_street, seller)
    assert broken.value.reason == "seller_broke_off"


def test_shops_that_were_saved_come_back_with_their_numbers_orders_and_places(
    streets: list[Street], tmp_path: Path
) -> None:
    street = opened(streets)
    sold(street, 2, 30)
    file = tmp_path / "shops.pickle"
    street.save(file)
    back = shops.reopen_street(file, lambda: NOW, 1, NONE)
    streets.append(back)
    assert {name: shop.shown() for name, shop in back.shops.items()} == {
        name: shop.shown() for name, shop in street.shops.items()
    }
    assert back.places == street.places
    assert back.shopify.orders.keys() == street.shopify.orders.keys()
    taken = set(street.woo.state.orders)
    assert back.woo.place_order([("MUG-WHT", 1)], "processing") not in taken
    assert list(tmp_path.iterdir()) == [file]


def test_only_shops_that_this_version_wrote_down_are_gone_on_with(
    streets: list[Street], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / shops.SHOPS_FILE
    assert not shops.can_reopen(file)
    opened(streets).save(file)
    assert shops.can_reopen(file)
    monkeypatch.setattr(shops, "FORM", shops.FORM + 1)
    assert not shops.can_reopen(file)


def test_orders_that_nobody_will_ask_for_leave_open_ones_are_shipped_first_and_what_is_shown_stays(
    streets: list[Street],
) -> None:
    street = opened(streets)
    sold(street, 2, 30)
    shown = {name: shop.shown() for name, shop in street.shops.items()}
    street.forget(NOW + shops.KEPT)
    assert street.shopify.orders
    assert street.woo.state.orders
    owed = [order for order in street.shopify.orders.values() if order.open_allocations()]
    open_ = [order for order in street.woo.state.orders.values() if order.status in shops.OPEN]
    assert owed
    assert open_
    street.forget(NOW + shops.KEPT + timedelta(seconds=1))
    assert list(street.shopify.orders.values()) == owed  # shipped just now
    assert [order for order in owed if order.open_allocations()] == []
    assert list(street.woo.state.orders.values()) == open_
    assert {order.status for order in open_} == {"completed"}
    assert {name: shop.shown() for name, shop in street.shops.items()} == shown


def test_ports_that_are_free_are_kept_and_those_in_use_are_given_up(streets: list[Street]) -> None:
    taken = int(opened(streets).fronts[WOO].base_url.rpartition(":")[2])
    assert shops._port(taken) != taken
    free = shops.free_port()
    assert shops._port(free) == free
