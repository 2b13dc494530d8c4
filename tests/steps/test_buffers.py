"""Buffers from probability on a real database: what is measured, what is held back, who is due, and what `why` says."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from random import Random

import pytest

from app.core.db import Row, Session
from app.core.errors import InvalidInput
from app.listings.rules import list_item_owners, set_rule
from app.publishing.buffer import RECENT_S, fit
from app.publishing.demand import REFRESH_EVERY, Refreshed, refresh_buffers
from app.publishing.staleness import ASSUMED_ARRIVAL_S, ASSUMED_PUSH_S, MEASURED_MIN, list_staleness, measure_staleness
from app.publishing.why import why
from app.publishing.why_text import render
from app.worker import housekeeping
from bench.buffers import Sale, count_sums, moments
from tests.statements import counted
from tests.street import Street
from tests.world import World

OPENING = "opening > available@A"


def a_street_that_sells(street: Street, stock: int = 12, sales: int = 4) -> Street:
    """Two shops over one stock; the first sells `sales` orders of two."""
    street.world.move("mug", stock + 2 * sales, OPENING, "50")
    street.open_shopify({"mug": stock + 2 * sales})
    street.open_woo({"mug": stock + 2 * sales})
    street.settle()
    for _ in range(sales):
        next(iter(street.shops.values())).place_order([("mug", 2)])
        street.settle(1)
    later(street, RECENT_S + 60)
    return street


def later(street: Street, seconds: float) -> None:
    street.world.now += timedelta(seconds=seconds)


def owners(world: World) -> list[Row]:
    with world.session() as session:
        return list(session.rows("select * from stock_owner where merchant_id = %(merchant_id)s order by channel_id"))


def target(street: Street, chance: str | None) -> Refreshed:
    """All numbers get the target, and what is to be held back is worked out."""
    with street.world.session() as session:
        for item in {owner.item_id for owner in owners(street.world)}:
            numbers = list_item_owners(session, item)
            set_rule(session, numbers, {"oversell_target": None if chance is None else Decimal(chance)})
    return refresh_buffers(street.runtime, street.world.merchant_id)


def demands(world: World) -> list[Row]:
    with world.session() as session:
        return list(session.rows("select * from listing_demand where merchant_id = %(merchant_id)s order by owner_id"))


def due(world: World) -> list[int]:
    with world.session() as session:
        rows = session.rows(
            "select distinct owner_id from due_listing where merchant_id = %(merchant_id)s order by owner_id"
        )
        return [row.owner_id for row in rows]


def test_without_a_target_nothing_is_measured_or_held_back(street: Street) -> None:
    a_street_that_sells(street)
    assert refresh_buffers(street.runtime, street.world.merchant_id) == Refreshed(measured=False, owners=0)
    assert demands(street.world) == []


def test_a_listing_holds_back_for_what_the_other_channel_sells_and_not_for_what_it_sells_itself(street: Street) -> None:
    a_street_that_sells(street)
    assert target(street, "0.001") == Refreshed(measured=True, owners=2)
    shopify, woo = demands(street.world)
    assert (shopify.others_per_day, shopify.units) == (0, [0, 0, 0])
    assert woo.own_per_day == 0
    assert woo.others_per_day == pytest.approx(4 / 7, rel=0.1)  # four orders, over no less than a week
    assert woo.seen == 4
    assert woo.order_units == [2]
    assert woo.units[0] >= 2
    assert woo.units == sorted(woo.units)


def test_the_held_back_units_reach_the_shop_and_go_again_when_the_target_does(street: Street) -> None:
    a_street_that_sells(street, stock=2)
    target(street, "0.001")
    shopify_shop, woo_shop = street.shops.values()
    street.settle()
    assert (shopify_shop.shown()["mug"], woo_shop.shown()["mug"]) == (2, 0)
    target(street, None)
    assert demands(street.world) == []
    street.settle()
    assert woo_shop.shown()["mug"] == 2


def test_plentiful_stock_is_shown_whole(street: Street) -> None:
    a_street_that_sells(street, stock=5_000)
    target(street, "0.001")
    street.settle()
    assert [shop.shown()["mug"] for shop in street.shops.values()] == [5_000, 5_000]


def test_an_order_right_before_holds_back_more_until_the_rush_is_over(street: Street) -> None:
    a_street_that_sells(street, stock=40)
    target(street, "0.01")
    world = street.world
    with world.session() as session:
        session.run(
            """update listing_demand set units = '{1,5,9}', low_below = '{90,90,90}'
               where merchant_id = %(merchant_id)s and others_per_day > 0"""
        )
    street.settle()
    shop, woo = street.shops.values()
    assert woo.shown()["mug"] == 39
    shop.place_order([("mug", 1)])
    street.settle(1)
    assert woo.shown()["mug"] == 39 - 5
    refresh_buffers(street.runtime, world.merchant_id)
    later(street, RECENT_S + 1)
    refresh_buffers(street.runtime, world.merchant_id)
    street.settle(1)
    assert woo.shown()["mug"] == 39 - 1


def test_what_was_worked_out_this_hour_is_left_alone_and_nobody_is_due(street: Street) -> None:
    a_street_that_sells(street)
    target(street, "0.001")
    street.settle()
    assert due(street.world) == []
    assert refresh_buffers(street.runtime, street.world.merchant_id) == Refreshed(measured=False, owners=0)
    later(street, REFRESH_EVERY.total_seconds())
    assert refresh_buffers(street.runtime, street.world.merchant_id) == Refreshed(measured=False, owners=2)
    assert due(street.world) == []  # worked out anew, and the same as before


def test_another_target_is_worked_out_at_once(street: Street) -> None:
    a_street_that_sells(street)
    target(street, "0.1")
    lenient = demands(street.world)[1].units
    street.settle()
    assert due(street.world) == []
    assert target(street, "0.0001") == Refreshed(measured=False, owners=2)
    assert demands(street.world)[1].units > lenient
    assert due(street.world) == [demands(street.world)[1].owner_id]


@pytest.mark.parametrize("chance", ["0", "0.6", "-0.1"])
def test_a_target_that_is_no_small_chance_is_refused(street: Street, chance: str) -> None:
    a_street_that_sells(street)
    with pytest.raises(InvalidInput, match="oversell_target"):
        target(street, chance)


def test_the_delay_is_measured_from_the_sale_and_from_the_due_number_with_its_retries(street: Street) -> None:
    a_street_that_sells(street, stock=900, sales=MEASURED_MIN + 5)
    channels = sorted(street.shops)
    with street.world.session() as session:
        session.run(
            """update push_row r set due_since = a.closed_at - interval '40 seconds'
               from push_attempt a
               where r.merchant_id = %(merchant_id)s and a.merchant_id = r.merchant_id
                 and a.attempt_id = r.attempt_id"""
        )
        session.run(
            """update sales_order set placed_at = recorded_at - interval '7 seconds'
               where merchant_id = %(merchant_id)s"""
        )
        measure_staleness(session)
        shopify, woo = (list_staleness(session)[channel] for channel in channels)
    assert (woo.arrival.p99_s, woo.arrival.measured) == (pytest.approx(7), pytest.approx(MEASURED_MIN + 3, abs=2))
    assert woo.push.p99_s == pytest.approx(40 if woo.push.measured >= MEASURED_MIN else ASSUMED_PUSH_S)
    assert woo.seconds == woo.arrival.p99_s + woo.push.p99_s
    assert (shopify.arrival.p99_s, shopify.push.p99_s) == (ASSUMED_ARRIVAL_S, ASSUMED_PUSH_S)  # the other sold nothing
    assert woo.sizes == {2: MEASURED_MIN + 5}


@pytest.mark.parametrize("skew_s", [600, -600])
def test_a_shop_whose_clock_is_wrong_is_neither_sooner_nor_later_for_it(street: Street, skew_s: int) -> None:
    a_street_that_sells(street, stock=900, sales=MEASURED_MIN + 5)
    _, woo = sorted(street.shops)
    with street.world.session() as session:
        session.run("update channel set clock_skew_s = %(skew)s where merchant_id = %(merchant_id)s", skew=skew_s)
        session.run(
            """update sales_order set placed_at = recorded_at + make_interval(secs => %(skew)s - 7)
               where merchant_id = %(merchant_id)s""",
            skew=skew_s,
        )
        measure_staleness(session)
        assert list_staleness(session)[woo].arrival.p99_s == pytest.approx(7)
    assert target(street, "0.01").owners == 2
    assert {row.recent for row in demands(street.world)} == {0}  # all of them were sold a while ago


def test_how_orders_cluster_is_counted_in_the_database_as_the_replay_counts_it(street: Street) -> None:
    world = street.world
    shop = street.open_shopify({"mug": 5, "cup": 5})
    rng, now, sold = Random(3), world.now.timestamp(), {}
    for sku, often in (("mug", 9_000), ("cup", 40_000)):
        at, sales = now - 80 * 86_400, []
        while (at := at + rng.expovariate(1 / often) * rng.choice((0.02, 1, 1))) < now:
            sales.append(Sale(at, rng.choice((1, 2)), 0))
        sold[sku] = sales
    with world.session() as session:
        for sku, sales in sold.items():
            keep_orders(session, street.channel_of(shop), world.item(sku), sales)
        measure_staleness(session)
        measured = list_staleness(session)[street.channel_of(shop)]
    staleness_s = ASSUMED_ARRIVAL_S + ASSUMED_PUSH_S
    expected = fit(count_sums([m for sales in sold.values() for m in moments(sales, staleness_s)], staleness_s), 360)
    assert measured.seconds == staleness_s
    assert measured.sales > 500
    for ours, theirs in zip(measured.patterns, expected, strict=True):
        assert (ours.slope, ours.base, ours.follow) == pytest.approx((theirs.slope, theirs.base, theirs.follow))


def keep_orders(session: Session, channel_id: int, item_id: int, sales: Sequence[Sale]) -> None:
    """Orders as PROCESS would have left them, each known at once."""
    session.run(
        """with o as (
               insert into sales_order (merchant_id, order_id, channel_id, order_key, placed_at, recorded_at)
               select %(merchant_id)s, nextval('sales_order_seq'), %(channel)s, %(item)s || '/' || n, to_timestamp(at),
                      to_timestamp(at)
               from unnest(%(at)s::float8[]) with ordinality u(at, n) returning order_id, order_key)
           insert into order_line (merchant_id, order_id, line_key, item_id, quantity)
           select %(merchant_id)s, order_id, '1', %(item)s,
                  (%(units)s::bigint[])[split_part(order_key, '/', 2)::integer] from o""",
        channel=channel_id,
        item=item_id,
        at=[sale.at for sale in sales],
        units=[sale.units for sale in sales],
    )


def test_few_measured_delays_count_only_where_they_are_worse_than_what_is_assumed(street: Street) -> None:
    a_street_that_sells(street)
    with street.world.session() as session:
        measure_staleness(session)
        quick = list_staleness(session)[max(street.shops)]
        session.run(
            """update sales_order set recorded_at = placed_at + interval '2 hours'
               where merchant_id = %(merchant_id)s"""
        )
        measure_staleness(session)
        slow = list_staleness(session)[max(street.shops)]
    assert quick.arrival.p99_s == ASSUMED_ARRIVAL_S
    assert slow.arrival.p99_s == pytest.approx(7_200)


def test_orders_of_a_kit_count_for_its_parts_and_those_of_a_part_for_the_kit(street: Street) -> None:
    world = street.world
    for sku in ("cup", "saucer"):
        world.move(sku, 60, OPENING, "10")
    world.kit("set", {"cup": 2, "saucer": 1})
    street.open_shopify({"set": 30, "cup": 60})
    street.open_woo({"set": 30, "cup": 60})
    street.settle()
    shop = next(iter(street.shops.values()))
    shop.place_order([("set", 3)])
    street.settle(1)
    shop.place_order([("cup", 3)])
    street.settle(1)
    target(street, "0.001")
    by_item = {o.owner_id: o.item_id for o in owners(world)}
    seen = {by_item[d.owner_id]: d for d in demands(world) if d.others_per_day > 0}
    assert seen[world.items["cup"]].order_units == [3, 6]  # three cups, and two for each of three sets
    assert seen[world.items["set"]].order_units == [2, 3]  # three cups are missing in two sets


def test_why_tells_the_rate_the_delay_the_target_and_the_units(street: Street) -> None:
    a_street_that_sells(street, stock=3)
    target(street, "0.001")
    with street.world.session() as session:
        number = why(session, "mug")[1]
    held = number.by_chance
    assert held is not None
    assert (held.target, held.orders, held.order_units, held.recent) == (0.001, 4, 2, 0)
    assert held.staleness_s == held.arrival.p99_s + held.push.p99_s
    assert number.steps[:2] == (("available", 3), ("chance", 3 - held.units))
    text = render(number)
    assert f"buffer for a chance of overselling of 0.100%: {held.units}, while fewer than {held.low_below}" in text
    assert f"others sell {held.others_per_day:.2f} orders a day" in text
    assert "a sale is known after 300.0 s (assumed, 4 measured)" in text


def test_the_number_of_statements_does_not_grow_with_the_listings(street: Street) -> None:
    a_street_that_sells(street)
    world = street.world
    counts = []
    for items in (0, 5):
        if items:
            skus = {f"more {n}": 5 for n in range(items)}
            for sku in skus:
                world.move(sku, 5, OPENING, "5")
            street.open_shopify(skus)
            street.settle()
        target(street, "0.001")
        later(street, REFRESH_EVERY.total_seconds())
        with counted(world.database) as statements:
            assert refresh_buffers(street.runtime, world.merchant_id).owners == 2 + items
        counts.append(len(statements))
    assert counts[0] == counts[1]


def test_the_housekeeper_works_buffers_out(street: Street) -> None:
    a_street_that_sells(street)
    target(street, "0.001")
    before = demands(street.world)[1].refreshed_at
    later(street, REFRESH_EVERY.total_seconds())
    assert housekeeping(street.runtime)
    assert demands(street.world)[1].refreshed_at > before


def test_another_merchants_sales_are_not_seen(street: Street, other: World) -> None:
    a_street_that_sells(street)
    target(street, "0.001")
    with other.session() as session:
        assert list_staleness(session) == {}
        assert session.rows("select * from listing_demand where merchant_id > 0") == []
