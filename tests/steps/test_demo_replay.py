"""The replay's returns: each is given back where it was sold, however long ago, and only the rest names no order."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any, cast

import pytest
from pydantic import SecretStr

from app.core.embedded import APP_ROLE, Embedded
from app.core.runtime import Runtime
from app.demo.home import prepare_home
from app.demo.mall import Mall, open_mall
from app.demo.replay import PACE, Replay
from app.demo.report import Report
from app.demo.retail import RetailOrder, read_catalogue, read_orders
from app.demo.shops import SHOPIFY, WOO, dice
from app.demo.stockroom import Stockroom
from app.wiring import build
from tests.steps.test_demo_home import Home

START = datetime(2010, 12, 1, 8, 0, tzinfo=UTC)
_numbers = count(1)


@pytest.fixture
def runtime(server: Embedded, tmp_path: Path) -> Iterator[Runtime]:
    """On a database of its own, as a replay has it: its turns are everybody's who lives there."""
    home = Home(server, tmp_path)
    settings = home.settings
    urls = {"url": server.url(APP_ROLE, home.name), "owner_url": home.owner}
    plain = {name: SecretStr(url.replace("postgresql+psycopg://", "postgresql://")) for name, url in urls.items()}
    settings = settings.model_copy(
        update={
            "sync": settings.sync.model_copy(update=PACE),
            "database": settings.database.model_copy(update=plain),
        }
    )
    prepare_home(settings, empty=True, durable=False)
    made = build(settings, name="replay")
    yield made
    made.database.close()
    home.leave()


def order_for(shop: str) -> str:
    """An order id that falls to this shop."""
    return next(order for n in _numbers if (SHOPIFY if zlib.crc32((order := str(n)).encode()) % 2 else WOO) == shop)


def line(shop: str, day: int, sku: str, units: int) -> str:
    return f"{order_for(shop)},{START + timedelta(days=day):%Y-%m-%dT%H:%M:%SZ},{sku},{units},2.95\n"


def replayed(runtime: Runtime, file: Path, *lines: str) -> tuple[Mall, Report]:
    file.write_text("order_id,occurred_at,sku,quantity,unit_price\n" + "".join(lines))
    stockroom = Stockroom(read_catalogue(file), dice(1))
    mall = open_mall(runtime, stockroom, START - timedelta(hours=12), 1)
    played = Replay(mall, stockroom, lambda text: None)
    played.run(read_orders(file))
    return mall, mall.report(stockroom, played.orders, played.lines, 1.0)


def without_an_order(mall: Mall) -> dict[str, int]:
    """Units by SKU that came back and name no order."""
    with mall.runtime.begin(mall.merchant_id, mall.now) as session:
        rows = session.rows(
            """select i.sku, sum(m.quantity)::bigint as units from movement m join item i using (merchant_id, item_id)
               where m.merchant_id = %(merchant_id)s and m.source = 'replay' and m.from_state = 'customer'
               group by i.sku"""
        )
    return {row.sku: row.units for row in rows}


def given_back(mall: Mall) -> dict[tuple[str, str], int]:
    """Units by shop and SKU that its orders' refunds put back."""
    units: dict[tuple[str, str], int] = {}
    for order in mall.shopify.orders.values():
        for sold in order.lines:
            units[SHOPIFY, sold.sku] = units.get((SHOPIFY, sold.sku), 0) + sold.refunded
    for placed in mall.woo.state.orders.values():
        for bought in placed.lines:
            units[WOO, bought.sku or ""] = units.get((WOO, bought.sku or ""), 0) + (bought.restocked or 0)
    return {key: found for key, found in units.items() if found}


def test_goods_come_back_to_the_order_that_sold_them_whichever_shop_the_return_falls_to(
    runtime: Runtime, tmp_path: Path
) -> None:
    mall, report = replayed(
        runtime, tmp_path / "orders.csv",
        line(SHOPIFY, 0, "A", 3), line(WOO, 0, "B", 3), line(WOO, 0, "C", 1), line(SHOPIFY, 0, "D", 2),
        line(SHOPIFY, 1, "C", 2), line(WOO, 30, "A", -2), line(SHOPIFY, 30, "B", -1), line(SHOPIFY, 30, "C", -7),
        line(WOO, 72, "E", 1), line(WOO, 72, "E", 1), line(WOO, 74, "D", -2),
    )  # fmt: skip
    expected = {(SHOPIFY, "A"): 2, (WOO, "B"): 1, (SHOPIFY, "C"): 2, (WOO, "C"): 1, (SHOPIFY, "D"): 2}
    assert given_back(mall) == expected
    assert without_an_order(mall) == {"C": 4}
    assert report.is_good, report


class Counter:
    """As much of a mall as returns ask for: every order has one unit, which it gives back once."""

    def __init__(self) -> None:
        self.now, self.rng, self.sold = START, dice(1), 0
        self.refunded: list[tuple[str, str]] = []

    def shown(self, shop: str, sku: str) -> int:
        return 10_000

    def sell(self, shop: str, basket: object) -> str:
        self.sold += 1
        return str(self.sold)

    def refund(self, shop: str, order: str, sku: str, units: int) -> int:
        if (shop, order) in self.refunded:
            return 0
        self.refunded.append((shop, order))
        return 1


class Shelf:
    """As much of a stockroom as returns ask for."""

    def __init__(self) -> None:
        self.came = 0

    def note(self, wanted: object) -> None:
        pass

    def take_back(self, mall: object, sku: str, units: int) -> None:
        self.came += units


def test_a_return_walks_back_over_the_items_sales_of_both_shops_latest_first_and_the_rest_names_no_order() -> None:
    mall, shelf = Counter(), Shelf()
    played = Replay(cast(Any, mall), cast(Any, shelf), lambda text: None)
    for number in range(300):
        played._play(RetailOrder(order_for((SHOPIFY, WOO)[number % 2]), START, {"A": 1}, 1))
    played._play(RetailOrder("C1", START, {"A": -200}, 1))
    assert [int(order) for _, order in mall.refunded] == list(range(300, 100, -1))
    assert {shop for shop, _ in mall.refunded} == {SHOPIFY, WOO}
    assert shelf.came == 0
    played._play(RetailOrder("C2", START, {"A": -103}, 1))
    assert len(mall.refunded) == 300
    assert shelf.came == 3
