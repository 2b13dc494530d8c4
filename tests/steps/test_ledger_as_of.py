"""Three dates: what there was as of a day, and as it was known; months that close and stay as they closed."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from app.core.errors import InvalidInput
from app.ledger import as_of as query
from app.ledger import period
from app.ledger.adjust import adjust
from app.ledger.as_of import PastStock, Places, Worth, quantities_as_of, worth_on
from app.ledger.models import OWNED, Account, Adjustment
from tests.statements import counted
from tests.world import World

BUY = "supplier > available@A"
SELL = "available@A > customer"
OCTOBER = date(2026, 10, 1)
IN_SEPTEMBER = datetime(2026, 9, 20, 10, tzinfo=UTC)
IN_OCTOBER = datetime(2026, 10, 20, 10, tzinfo=UTC)


def recorded_at(world: World, at: datetime) -> World:
    """The same merchant at another time."""
    return replace(world, now=at)


def stock(world: World, as_of: datetime, known_at: datetime | None = None, **places: int) -> list[PastStock]:
    with world.session() as session:
        return list(quantities_as_of(session, as_of, Places(**places), known_at=known_at, limit=100))


def available(world: World, as_of: datetime, known_at: datetime | None = None) -> int:
    return sum(row.available for row in stock(world, as_of, known_at))


def worth(world: World, as_of: date, known_at: datetime | None = None) -> Worth:
    with world.session() as session:
        return worth_on(session, since=as_of.replace(day=1), as_of=as_of, known_at=known_at)


def posted_on(world: World, movement_id: int) -> date:
    with world.session() as session:
        day: date = session.value(
            "select posted_on from movement where merchant_id = %(merchant_id)s and movement_id = %(id)s",
            id=movement_id,
        )
    return day


def test_a_movement_recorded_late_is_there_as_of_its_day_and_not_as_known_before_it_was_recorded(world: World) -> None:
    happened, recorded = world.now - timedelta(days=3), world.now
    world.move("mug", 5, BUY, "50", occurred_at=happened)
    late = recorded_at(world, recorded + timedelta(days=2))
    late.move("mug", 2, SELL, occurred_at=happened + timedelta(hours=1))
    before_the_sale, after_it = happened, happened + timedelta(hours=1)
    assert available(late, happened - timedelta(microseconds=1)) == 0
    assert available(late, before_the_sale) == 5
    assert available(late, after_it) == 3
    assert available(late, after_it, known_at=recorded) == 5
    assert available(late, after_it, known_at=recorded - timedelta(microseconds=1)) == 0
    assert available(late, after_it, known_at=late.now) == 3


def test_value_and_cost_as_of_a_day_are_those_that_were_known_then(world: World) -> None:
    receipt = world.move("mug", 10, BUY, "100")
    world.move("mug", 4, SELL)
    late, day = recorded_at(world, world.now + timedelta(days=2)), world.now.date()
    with late.session() as session:
        adjust(session, [Adjustment(receipt, Decimal(10), Account.LANDED_COST, "bill", "1", world.now)])
    assert worth(late, day) == Worth(Decimal(66), Decimal(44))
    assert worth(late, day, known_at=world.now) == Worth(Decimal(60), Decimal(40))
    assert worth(late, day, known_at=world.now - timedelta(seconds=1)) == Worth(Decimal(0), Decimal(0))
    assert worth(late, day - timedelta(days=1)) == Worth(Decimal(0), Decimal(0))


def test_stock_at_any_time_as_known_at_any_time_is_the_sum_of_its_movements(world: World) -> None:
    dice = random.Random(7)
    ends = [("supplier", None), ("customer", None)] + [(str(s), p) for s in OWNED for p in ("A", "B")]
    told: list[tuple[datetime, datetime, str, tuple[str, str | None], tuple[str, str | None], int]] = []
    for day in range(8):
        then = recorded_at(world, world.now + timedelta(days=day))
        batch = []
        for _ in range(12):
            source, target = dice.sample(ends, 2)
            happened, sku = then.now - timedelta(hours=dice.randrange(150)), dice.choice(("mug", "cup"))
            told.append((happened, then.now, sku, source, target, dice.randint(1, 9)))
            if source[1] or target[1]:
                path = " > ".join(f"{state}@{place}" if place else state for state, place in (source, target))
                batch.append(then.movement(sku, told[-1][-1], path, occurred_at=happened))
        then.post(*batch)
    for _ in range(25):
        as_of = world.now + timedelta(hours=dice.randrange(-150, 200))
        known_at = world.now + timedelta(hours=dice.randrange(-1, 200))
        expected: Counter[tuple[str, str, str]] = Counter()
        for happened, recorded, sku, source, target, quantity in told:
            if happened <= as_of and recorded <= known_at:
                for (state, place), sign in ((source, -1), (target, 1)):
                    if place:
                        expected[sku, place, state] += sign * quantity
        found = {
            (row.sku, "A" if row.location_id == world.a else "B", state): getattr(row, state)
            for row in stock(world, as_of, known_at)
            for state in OWNED
        }
        assert {key: n for key, n in found.items() if n} == {key: n for key, n in expected.items() if n}


def test_what_there_was_is_asked_for_in_one_statement_by_item_by_place_and_page_by_page(world: World) -> None:
    for number in range(6):
        world.move(f"item {number}", number + 1, BUY, "1")
        world.move(f"item {number}", 1, "available@A > available@B")
    with counted(world.database) as statements:
        everything = stock(world, world.now)
    assert sum("movement" in statement for statement in statements) == 1
    assert len(everything) == 12
    third = everything[4]
    assert stock(world, world.now, item_id=third.item_id, location_id=third.location_id) == [third]
    with world.session() as session:
        page = quantities_as_of(session, world.now, Places(after=(third.item_id, third.location_id)), limit=3)
    assert list(page) == everything[5:8]
    assert (third.available, third.on_hand) == (2, 2)


def test_an_index_leads_to_the_movements_of_an_item_and_to_those_recorded_since(world: World) -> None:
    world.move("mug", 5, BUY, "50")
    with world.session() as session:
        session.run("set local enable_seqscan = off")
        plan = session.rows(
            f"explain {query._QUANTITIES}",
            as_of=world.now, known_at=None, item=world.items["mug"], place=None, item_after=0, place_after=0, limit=9,
        )  # fmt: skip
        assert "on movement" in str(plan)
        assert "Seq Scan on movement" not in str(plan)
        indexes = session.rows("select indexdef from pg_indexes where tablename = 'movement'")
    assert {"brin (occurred_at)", "brin (recorded_at)"} <= {row.indexdef.partition("USING ")[2] for row in indexes}


def test_a_day_ends_at_the_merchants_own_midnight_also_where_clocks_change() -> None:
    new_york = period.zone("America/New_York")
    assert period.end_of_day(date(2026, 11, 1), new_york) == datetime(2026, 11, 2, 4, 59, 59, 999999, UTC)
    assert period.end_of_day(date(2026, 10, 31), new_york) == datetime(2026, 11, 1, 3, 59, 59, 999999, UTC)


@pytest.mark.parametrize("october_is_booked_in", [True, False])
def test_what_comes_late_for_a_month_before_the_first_one_never_changes_a_closed_month(
    world: World, october_is_booked_in: bool
) -> None:
    if october_is_booked_in:
        world.move("mug", 10, BUY, "100", occurred_at=IN_OCTOBER)
    with world.session() as session:
        figures = period.close(session, OCTOBER)
    late = world.move("mug", 5, BUY, "40", occurred_at=IN_SEPTEMBER)
    assert posted_on(world, late) == date(2026, 11, 1)
    assert worth(world, date(2026, 10, 31)) == Worth(*figures)
    with world.session() as session:
        months = period.list_months(session)
    assert [(month.month.month, month.closed_at is None) for month in months] == [(9, False), (10, False), (11, True)]
    assert (months[0].inventory_value, months[0].cogs) == (0, 0)


def test_a_late_bill_for_a_closed_month_is_booked_on_the_first_open_day(world: World) -> None:
    receipt = world.move("mug", 10, BUY, "100", occurred_at=IN_OCTOBER)
    with world.session() as session:
        figures = period.close(session, OCTOBER)
        adjust(session, [Adjustment(receipt, Decimal(5), Account.GOODS_RECEIVED, "bill", "1", IN_SEPTEMBER)])
    assert worth(world, date(2026, 10, 31)) == Worth(*figures)
    assert worth(world, date(2026, 11, 1)).inventory_value == 105


def test_a_month_that_is_not_over_is_not_closed(world: World) -> None:
    world.move("mug", 10, BUY, "100")
    for month in (date(2026, 11, 1), date(2027, 1, 1)):
        with pytest.raises(InvalidInput) as refused, world.session() as session:
            period.close(session, month)
        assert refused.value.reason == "month_not_over"


def test_months_close_in_order(world: World) -> None:
    for at in (IN_SEPTEMBER, IN_OCTOBER):
        world.move("mug", 10, BUY, "100", occurred_at=at)
    with pytest.raises(period.PeriodClosed) as refused, world.session() as session:
        period.close(session, OCTOBER)
    assert (refused.value.reason, refused.value.detail) == ("earlier_month_open", "close 2026-09 first")
    with world.session() as session:
        assert period.close(session, date(2026, 9, 1)) == (100, 0)
        assert period.close(session, OCTOBER) == (200, 0)
