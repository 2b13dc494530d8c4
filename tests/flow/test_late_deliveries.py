"""A shop whose deliveries come late is read as often as pays: WooCommerce with WordPress's cron, a minute late."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from app.inbox.pace import POLL_MIN_S
from app.inbox.polls import Claim, fail_poll
from app.inbox.process import process
from app.listings.cases import open_cases
from app.listings.channels import ask_for_orders
from connectors.errors import Transient
from sandbox.shopify import PretendShopify
from sandbox.woocommerce import WooShop
from tests.street import Street
from tests.world import World

SLOW = {"poll_interval_s": 300, "webhook_interval_s": 86_400, "sweep_interval_s": 86_400, "audit_interval_s": 86_400}
SHOWN_WITHIN_S = POLL_MIN_S + 3  # a reading, an order's way through the ledger, a write


@pytest.fixture
def street(world: World, tmp_path: Path) -> Street:
    """At the pace that is shipped, and nothing but orders is read by itself."""
    return Street(world, tmp_path, sync=SLOW)


@pytest.fixture
def woo(street: Street) -> WooShop:
    street.world.move("mug", 500, "opening > available@A", "500")
    woo = street.open_woo({"mug": 500}, webhooks="cron")
    street.settle(1)
    return woo


@pytest.fixture
def shopify(street: Street, woo: WooShop) -> PretendShopify:
    shop = street.open_shopify({"mug": 500})
    street.settle(1)
    return shop


def sell(street: Street, shop: WooShop | PretendShopify, orders: int, every_s: float) -> None:
    for _ in range(orders):
        shop.place_order([("mug", 1)])
        street.live(every_s)


def readings(street: Street, shop: WooShop | PretendShopify) -> int:
    with street.world.session() as session:
        count: int = session.value(
            """select attempt from channel_poll
               where merchant_id = %(merchant_id)s and channel_id = %(c)s and kind = 'orders'""",
            c=street.channel_of(shop),
        )
    return count


def due_in_s(street: Street, shop: WooShop | PretendShopify) -> float:
    with street.world.session() as session:
        due_at = session.value(
            """select due_at from channel_poll
               where merchant_id = %(merchant_id)s and channel_id = %(c)s and kind = 'orders'""",
            c=street.channel_of(shop),
        )
    return float((due_at - street.world.now).total_seconds())


def test_the_last_sale_reaches_the_other_shop_within_seconds_although_its_delivery_is_a_minute_late(
    street: Street, woo: WooShop, shopify: PretendShopify
) -> None:
    sell(street, woo, 40, 2)
    street.heard = lambda posted: False  # from here on nothing is told
    woo.place_order([("mug", 1)])
    street.live(SHOWN_WITHIN_S)
    assert shopify.shown()["mug"] == woo.shown()["mug"] == 500 - 41
    assert street.world.verify() == []


def test_what_was_read_before_its_late_delivery_came_is_booked_once_and_stays_equal(
    street: Street, woo: WooShop, shopify: PretendShopify
) -> None:
    sell(street, woo, 40, 2)
    street.settle(90, rounds_max=3_000)
    assert shopify.shown()["mug"] == woo.shown()["mug"] == 460
    assert street.world.level("mug")["committed"] == 40
    assert street.cases() == []


def test_reading_ends_by_itself_when_nobody_buys_any_more(street: Street, woo: WooShop) -> None:
    sell(street, woo, 40, 2)
    street.settle(70, rounds_max=1_000)
    busy = readings(street, woo)
    for _ in range(360):
        street.world.now += timedelta(seconds=10)
        street.deliver()
        street.worker.step()
    assert busy >= 5
    assert readings(street, woo) - busy <= 60
    idle = readings(street, woo)
    for _ in range(120):
        street.world.now += timedelta(seconds=30)
        street.worker.step()
    assert readings(street, woo) - idle <= 13  # every five minutes


def test_a_shop_that_tells_at_once_is_not_read_more_often_for_selling_much(
    street: Street, woo: WooShop, shopify: PretendShopify
) -> None:
    before = readings(street, shopify)
    sell(street, shopify, 40, 1)
    assert readings(street, shopify) == before
    assert woo.shown()["mug"] == 460


def test_a_woocommerce_shop_that_turns_out_to_tell_at_once_is_read_no_more_than_any_other(street: Street) -> None:
    street.world.move("mug", 500, "opening > available@A", "500")
    woo = street.open_woo({"mug": 500})
    street.settle(1)
    sell(street, woo, 3, 2)
    before = readings(street, woo)
    sell(street, woo, 40, 2)
    assert readings(street, woo) == before
    with street.world.session() as session:
        ask_for_orders(session, street.channel_of(woo), street.world.now)
    street.live(1)
    assert readings(street, woo) > before
    assert due_in_s(street, woo) > 290


def test_a_shop_whose_webhooks_are_gone_is_read_as_often_as_it_sells(
    street: Street, woo: WooShop, shopify: PretendShopify
) -> None:
    sell(street, shopify, 3, 1)
    with street.world.session() as session:
        open_cases(session, street.channel_of(shopify), [("webhook_gone", "webhooks", "gone", {})])
    shopify.place_order([("mug", 1)])
    street.live(2)  # told once more, and from now on nothing
    street.heard = lambda posted: False
    sell(street, shopify, 20, 2)
    street.live(SHOWN_WITHIN_S)
    assert woo.shown()["mug"] == shopify.shown()["mug"] == 476


def test_a_shop_that_fails_keeps_its_pause_however_many_orders_it_told_of(street: Street, woo: WooShop) -> None:
    sell(street, woo, 20, 2)
    street.settle(5)
    channel = street.channel_of(woo)
    woo.place_order([("mug", 1)])
    street.world.now += timedelta(seconds=70)
    attempt = readings(street, woo)
    claim = Claim(street.world.merchant_id, channel, "orders", attempt)
    fail_poll(street.runtime, claim, Transient("down", retry_after_s=200.0))
    street.deliver()
    assert process(street.runtime, street.world.merchant_id, channel).documents > 0
    assert due_in_s(street, woo) == pytest.approx(200.0)


def test_a_sale_that_no_delivery_tells_of_is_found_within_seconds_where_deliveries_have_been_lost_before(
    street: Street, shopify: PretendShopify, woo: WooShop
) -> None:
    for number in range(20):
        street.heard = lambda posted, number=number: number != 4  # type: ignore[misc]
        shopify.place_order([("mug", 1)])
        street.live(2)
    with street.world.session() as session:
        ask_for_orders(session, street.channel_of(shopify), street.world.now)  # the usual reading finds it
    street.live(3)
    shopify.place_order([("mug", 1)])
    street.live(2)
    assert due_in_s(street, shopify) < 20
    street.heard = lambda posted: False
    shopify.place_order([("mug", 1)])
    street.live(20)
    assert woo.shown()["mug"] == shopify.shown()["mug"] == 500 - 22


def test_a_shop_whose_deliveries_all_come_is_not_read_more_often(street: Street, shopify: PretendShopify) -> None:
    before = readings(street, shopify)
    sell(street, shopify, 30, 2)
    assert readings(street, shopify) - before <= 1
