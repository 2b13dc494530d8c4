"""A shop's clock that jumps: what was asked for by the old one says nothing about what it missed. A process that stands
still does not take that for such a jump."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from app.core.db import Database, Session
from app.inbox.read import poll_orders
from connectors.http import Http
from tests.drifting import adjustments, causes
from tests.street import Street


@dataclass(frozen=True, slots=True)
class Halting(Database):
    """A process that stands still for a minute before each of its transactions."""

    street: Street | None = None

    @contextmanager
    def begin(self, merchant_id: int, now: datetime, **kwargs: Any) -> Iterator[Session]:
        if self.street is not None:
            self.street.world.now += timedelta(minutes=1)
        with Database.begin(self, merchant_id, now, **kwargs) as session:
            yield session


@pytest.fixture
def ahead() -> dict[str, timedelta]:
    return {"by": timedelta(0)}


@pytest.mark.parametrize("jump_s", [-600, -60, 60, 600])
def test_a_sale_that_a_clock_put_behind_the_window_is_no_edit(
    street: Street, ahead: dict[str, timedelta], jump_s: int
) -> None:
    """`channel_wins` would have taken it off the ledger twice."""
    street.world.move("mug", 20, "opening > available@A", "100")
    woo = street.open_woo({"mug": 20}, clock=lambda: street.world.now + ahead["by"])
    street.settle(10)
    with street.world.session() as session:
        session.run("update channel set drift_policy = 'channel_wins' where merchant_id = %(merchant_id)s")
    street.heard = lambda posted: False
    ahead["by"] = timedelta(seconds=jump_s)
    street.world.now += timedelta(seconds=5)
    woo.place_order([("mug", 3)])
    with street.world.session() as session:
        session.run(  # its numbers are looked at before its orders are read again
            """update channel_poll set due_at = case kind when 'stock' then %(now)s else 'infinity' end
               where merchant_id = %(merchant_id)s and kind in ('stock', 'orders', 'sweep', 'known')""",
            now=session.now,
        )
    street.settle(30)
    assert adjustments(street) == []
    assert {cause for cause, _ in causes(street)} <= {"order_in_flight", "webhook_lost"}
    assert street.world.level("mug")["available"] == 17


def test_a_shop_whose_servers_disagree_about_the_time_is_not_read_without_a_pause(
    street: Street, ahead: dict[str, timedelta]
) -> None:
    street.world.move("mug", 20, "opening > available@A", "100")
    woo = street.open_woo({"mug": 20}, clock=lambda: street.world.now + ahead["by"])
    street.settle(10)
    merchant, channel = street.world.merchant_id, street.channel_of(woo)
    read, now = 0, street.world.now
    for turn in range(120):
        ahead["by"] = timedelta(seconds=20 * (turn % 2))
        before = street.calls(woo)
        poll_orders(street.runtime, merchant, channel)
        read += street.calls(woo) > before
        street.world.now += timedelta(seconds=1)
    assert read <= 2 * 120 / street.settings.sync.poll_interval_s
    with street.world.session() as session:
        completed = session.value(
            """select completed_at from channel_poll
               where merchant_id = %(merchant_id)s and channel_id = %(channel)s and kind = 'orders'""",
            channel=channel,
        )
    assert completed > now + timedelta(seconds=60)


@pytest.mark.parametrize("behind_s", [0, 131])
def test_a_process_that_stands_still_does_not_take_the_shops_clock_for_wrong(
    street: Street, ahead: dict[str, timedelta], behind_s: int
) -> None:
    """Sales of that shop would count as older than its number, and their difference as an edit."""
    street.world.move("mug", 20, "opening > available@A", "100")
    ahead["by"] = timedelta(seconds=-behind_s)
    woo = street.open_woo({"mug": 20}, clock=lambda: street.world.now + ahead["by"])
    street.settle(10)
    halting = Halting(street.world.database.engine, clock=street.world.database.clock, street=street)
    http = Http(session=street.session, clock=lambda: street.world.now, monotonic=lambda: street.world.now.timestamp())
    woo.place_order([("mug", 1)])
    runtime = replace(street.runtime, database=halting, open_http=lambda: http)
    street.world.now += timedelta(minutes=5)
    poll_orders(runtime, street.world.merchant_id, street.channel_of(woo))
    with street.world.session() as session:
        skew_s = session.value(
            "select clock_skew_s from channel where merchant_id = %(merchant_id)s and channel_id = %(channel)s",
            channel=street.channel_of(woo),
        )
    assert skew_s == pytest.approx(-behind_s, abs=2)
