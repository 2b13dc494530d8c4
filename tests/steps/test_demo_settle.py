"""When the demo calls it quiet: whatever is under way, alone, keeps it waiting; each wrong number is named."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from app.core.errors import Unavailable
from app.demo import settle
from app.demo.months import read_months
from app.demo.outcome import read_stock
from app.demo.settle import channel_mismatches, is_quiet, mismatches, wait_until_quiet
from app.demo.shops import numbers_of
from sandbox.woocommerce import WooShop
from tests.street import Street
from tests.world import World

OPENING = "opening > available@A"
UNDER_WAY = {
    "a document": "update inbox set state = 'open' where merchant_id = %(merchant_id)s",
    "a reading": "update inbox set state = 'reading' where merchant_id = %(merchant_id)s",
    "a write that is due": """insert into due_listing (merchant_id, channel_id, due_id, owner_id, marked_at)
        select merchant_id, channel_id, 1, owner_id, now() from stock_owner
        where merchant_id = %(merchant_id)s limit 1""",
    "an open attempt": """update push_attempt set state = 'open' where merchant_id = %(merchant_id)s
        and attempt_id = (select max(attempt_id) from push_attempt where merchant_id = %(merchant_id)s)""",
    "an unclear attempt": """update push_attempt set state = 'unclear' where merchant_id = %(merchant_id)s
        and attempt_id = (select max(attempt_id) from push_attempt where merchant_id = %(merchant_id)s)""",
    "a contradiction": "update stock_owner set observed_revision = 1 where merchant_id = %(merchant_id)s",
    "a look": "update stock_owner set look_since = now() where merchant_id = %(merchant_id)s",
    "a lost answer": "update stock_owner set unclear_attempt_id = 1 where merchant_id = %(merchant_id)s",
    "a wait for orders": "update stock_owner set awaiting_since = now() where merchant_id = %(merchant_id)s",
    "orders never read": "update channel_poll set completed_at = null where merchant_id = %(merchant_id)s",
}


@pytest.fixture
def shop(street: Street) -> WooShop:
    """A shop at rest that has sold something and been written to."""
    street.world.move("mug", 9, OPENING, "9")
    shop = street.open_woo({"mug": 4})
    street.settle()
    shop.place_order([("mug", 2)])
    street.settle(40)
    return shop


def quiet(street: Street) -> bool:
    since = street.world.now - timedelta(hours=1)
    return is_quiet(street.runtime, street.world.merchant_id, since)


def unequal(street: Street, shop: WooShop) -> list[str]:
    channel_id = street.channel_of(shop)
    return channel_mismatches(street.runtime, street.world.merchant_id, channel_id, numbers_of(shop))


def test_a_street_at_rest_is_quiet_and_equal(street: Street, shop: WooShop) -> None:
    assert quiet(street)
    assert unequal(street, shop) == []


@pytest.mark.parametrize("cause", UNDER_WAY)
def test_whatever_is_still_under_way_is_not_quiet(street: Street, shop: WooShop, cause: str) -> None:
    with street.world.session() as session:
        assert session.run(UNDER_WAY[cause]) > 0
        if cause != "a write that is due":  # which a change of an owner also is
            session.run("delete from due_listing where merchant_id = %(merchant_id)s")
    assert not quiet(street)


def test_orders_that_were_last_read_before_the_end_may_hold_a_sale(street: Street, shop: WooShop) -> None:
    assert not is_quiet(street.runtime, street.world.merchant_id, street.world.now)


def test_another_merchants_work_keeps_nobody_waiting(street: Street, shop: WooShop, other: World) -> None:
    theirs = Street(other, street.data)
    theirs.open_woo({"mug": 1})
    assert quiet(street)


def test_a_number_that_is_not_its_target_is_named_with_both(street: Street, shop: WooShop) -> None:
    shop.set_stock_by_sql("mug", 3)
    assert unequal(street, shop) == [f"{shop.stock_key('mug')} : shows 3, should show 7"]
    shop.set_stock_by_sql("mug", 7)
    assert unequal(street, shop) == []


def both(street: Street, shop: WooShop) -> Any:
    """The demo's street, as far as it is asked here: the shop, its lock and its channel."""
    shops, front = {"Woo": shop}, SimpleNamespace(lock=nullcontext())
    return SimpleNamespace(shops=shops, fronts={"Woo": front}, channels={"Woo": street.channel_of(shop)})


def test_a_street_that_never_comes_to_rest_has_no_time_to_report(
    street: Street, shop: WooShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settle, "SETTLE_MAX_S", 0.05)
    monkeypatch.setattr(settle, "LOOK_EVERY_S", 0.0)
    shop.set_stock_by_sql("mug", 3)
    street.world.now -= timedelta(hours=1)
    assert mismatches(street.runtime, street.world.merchant_id, both(street, shop)) != []
    assert wait_until_quiet(street.runtime, street.world.merchant_id, both(street, shop)) is None


def test_a_database_that_is_away_for_a_moment_is_waited_for(street: Street, shop: WooShop) -> None:
    database, begun = street.world.database, []

    class Flaky:
        @staticmethod
        def begin(*arguments: Any, **how: Any) -> Any:
            begun.append(1)
            if len(begun) == 1:
                raise Unavailable("database_unavailable")
            return database.begin(*arguments, **how)

        @staticmethod
        def close() -> None:
            begun.append(2)

    clock: Callable[[], Any] = lambda: street.world.now - timedelta(hours=1)  # noqa: E731
    runtime = replace(street.runtime, database=Flaky(), clock=clock)  # type: ignore[arg-type]
    assert wait_until_quiet(runtime, street.world.merchant_id, both(street, shop)) is not None
    assert begun[:2] == [1, 2]


def test_the_audit_reads_what_is_for_sale_by_place_and_what_is_on_hand_in_whatever_state(
    world: World, other: World
) -> None:
    world.move("mug", 10, OPENING, "50")
    world.move("mug", 4, "opening > available@B", "20")
    for path in ("available@A > committed@A", "available@A > damaged@A", "available@B > quarantined@B"):
        world.move("mug", 2, path)
    world.move("mug", 1, "committed@A > customer")
    other.move("mug", 7, OPENING, "7")
    with world.session() as session:
        stock = read_stock(session)
    assert stock.available == {"mug": {world.a: 6, world.b: 2}}
    assert stock.on_hand == {"mug": 13}


def test_each_month_has_its_cost_of_sales_and_what_the_stock_is_worth_at_its_end(world: World) -> None:
    world.move("mug", 10, OPENING, "50")
    world.move("mug", 4, "available@A > customer")
    world.now += timedelta(days=40)
    world.move("mug", 1, "available@A > customer")
    with world.session() as session:
        months = read_months(session)
    assert [month["month"] for month in months] == ["2026-11", "2027-01"]
    assert [(float(month["inventory_value"]), float(month["cogs"])) for month in months] == [(30, 20), (25, 5)]
