"""Races on the ledger: threads behind a barrier, real transactions, no sleeping."""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from threading import Barrier, Event

import pytest

from app.core.db import Session
from app.ledger import period
from app.ledger.as_of import Worth, worth_on
from app.ledger.post import post
from tests.world import World

CLIENTS = 8
WAITS = "select exists (select from pg_locks where not granted and %(pid)s = any(pg_blocking_pids(pid)))"
BUY, SELL = "supplier > available@A", "available@A > customer"
OCTOBER = date(2026, 10, 1)
IN_SEPTEMBER = datetime(2026, 9, 20, 10, tzinfo=UTC)
IN_OCTOBER = datetime(2026, 10, 20, 10, tzinfo=UTC)


def together(clients: int, act: Callable[[int], None]) -> None:
    """Run `act(n)` in as many threads, all let go at the same moment; the first error is raised."""
    barrier = Barrier(clients)

    def run(number: int) -> None:
        barrier.wait()
        act(number)

    with ThreadPoolExecutor(clients) as pool:
        for done in [pool.submit(run, number) for number in range(clients)]:
            done.result()


def wait_until_somebody_waits(world: World, holder: Session) -> None:
    """For a lock that this session holds."""
    pid = holder.value("select pg_backend_pid()")
    for _ in range(3_000):
        with world.session() as session:
            if session.value(WAITS, pid=pid):
                return
        Event().wait(0.01)
    raise AssertionError("nobody waits")


def close_october(world: World) -> Worth:
    with world.session() as session:
        return Worth(*period.close(session, OCTOBER))


def worth_of_october(world: World) -> Worth:
    with world.session() as session:
        return worth_on(session, since=OCTOBER, as_of=date(2026, 10, 31))


def days_of(world: World, state: str) -> set[date]:
    """The days on which what went there is booked."""
    with world.session() as session:
        rows = session.rows(
            "select posted_on from movement where merchant_id = %(merchant_id)s and to_state::text = %(state)s",
            state=state,
        )
    return {row.posted_on for row in rows}


def test_eight_clients_on_two_hot_skus_lose_no_unit(world: World) -> None:
    for sku in ("mug", "cup"):
        world.move(sku, 1000, "supplier > available@A", "5000")

    def act(number: int) -> None:
        for _ in range(25):
            batch = [world.movement(sku, 1, path) for sku in ("mug", "cup")
                     for path in ("available@A > committed@A", "committed@A > customer")]  # fmt: skip
            random.Random(number).shuffle(batch)
            world.post(*sorted(batch, key=lambda m: m.to_state == "customer"))

    together(CLIENTS, act)
    assert [world.available(sku) for sku in ("mug", "cup")] == [800, 800]
    assert world.worth("mug")[0] == 800
    assert world.balance("cost_of_goods_sold") == 2000
    assert world.verify() == []


def test_writers_who_touch_the_same_items_in_other_orders_never_deadlock(world: World) -> None:
    skus = [f"sku {n}" for n in range(6)]
    for sku in skus:
        world.item(sku)

    def act(number: int) -> None:
        dice = random.Random(number)
        for _ in range(15):
            picked = dice.sample(skus, 4)
            world.post(
                *(
                    world.movement(sku, 1, dice.choice(["supplier > available@A", "available@B > customer"]), None)
                    for sku in picked
                )
            )

    together(CLIENTS, act)
    assert world.verify() == []


def test_the_same_fact_posted_by_eight_clients_at_once_counts_once(world: World) -> None:
    movement = world.movement("mug", 1, "supplier > available@A", "3", source_key="the one")
    together(CLIENTS, lambda _: world.post(movement) and None)
    assert world.available("mug") == 1
    assert world.verify() == []


def test_a_posting_that_began_before_the_month_closes_is_in_its_figures(world: World) -> None:
    world.move("mug", 10, BUY, "100", occurred_at=IN_OCTOBER)
    with ThreadPoolExecutor(1) as pool:
        with world.session() as posting:
            post(posting, [world.movement("mug", 4, SELL, occurred_at=IN_OCTOBER)])
            closing = pool.submit(close_october, world)
            wait_until_somebody_waits(world, posting)
        figures = closing.result()
    assert days_of(world, "customer") == {IN_OCTOBER.date()}
    assert figures == Worth(inventory_value=60, cogs=40) == worth_of_october(world)


def test_a_posting_that_begins_while_the_month_closes_lands_on_the_first_open_day(world: World) -> None:
    world.move("mug", 10, BUY, "100", occurred_at=IN_OCTOBER)
    with ThreadPoolExecutor(1) as pool:
        with world.session() as closing:
            figures = Worth(*period.close(closing, OCTOBER))
            sale = pool.submit(world.move, "mug", 4, SELL, occurred_at=IN_OCTOBER)
            wait_until_somebody_waits(world, closing)
        sale.result()
    assert days_of(world, "customer") == {date(2026, 11, 1)}
    assert figures == Worth(inventory_value=100, cogs=0) == worth_of_october(world)


@pytest.mark.parametrize("october_is_booked_in", [True, False])
def test_a_month_is_not_closed_over_a_posting_in_flight_into_a_month_before_it(
    world: World, october_is_booked_in: bool
) -> None:
    world.item("mug")
    if october_is_booked_in:
        world.move("mug", 10, BUY, "100", occurred_at=IN_OCTOBER)
    with ThreadPoolExecutor(1) as pool:
        with world.session() as posting:
            post(posting, [world.movement("mug", 4, SELL, occurred_at=IN_SEPTEMBER)])
            closing = pool.submit(close_october, world)
            wait_until_somebody_waits(world, posting)
        with pytest.raises(period.PeriodClosed, match="2026-09"):
            closing.result()
    assert days_of(world, "customer") == {IN_SEPTEMBER.date()}


@pytest.mark.parametrize("october_is_booked_in", [True, False])
def test_a_posting_into_a_month_before_the_one_that_closes_meanwhile_lands_behind_it(
    world: World, october_is_booked_in: bool
) -> None:
    world.item("mug")
    if october_is_booked_in:
        world.move("mug", 10, BUY, "100", occurred_at=IN_OCTOBER)
    with ThreadPoolExecutor(1) as pool:
        with world.session() as closing:
            figures = Worth(*period.close(closing, OCTOBER))
            sale = pool.submit(world.move, "mug", 4, SELL, occurred_at=IN_SEPTEMBER)
            wait_until_somebody_waits(world, closing)
        sale.result()
    assert days_of(world, "customer") == {date(2026, 11, 1)}
    assert worth_of_october(world) == figures


def test_eight_clients_who_post_while_the_month_closes_never_change_what_it_closed_with(world: World) -> None:
    world.move("mug", 1000, BUY, "5000", occurred_at=IN_OCTOBER)
    closed: list[Worth] = []

    def act(number: int) -> None:
        for turn in range(10):
            if (number, turn) == (0, 3):
                closed.append(close_october(world))
            world.move("mug", 1, SELL, occurred_at=(IN_SEPTEMBER, IN_OCTOBER)[turn > 0 and number % 2])

    with world.session() as session:
        session.run("insert into period (merchant_id, month) values (%(merchant_id)s, '2026-09-01')")
        period.close(session, date(2026, 9, 1))
    together(CLIENTS, act)
    assert closed == [worth_of_october(world)]
    assert 3 <= closed[0].cogs / 5 < 80
    booked = days_of(world, "customer")
    assert {OCTOBER, date(2026, 11, 1)} <= booked <= {OCTOBER, IN_OCTOBER.date(), date(2026, 11, 1)}
    assert world.worth("mug")[0] == 920
    assert world.verify() == []
