"""A shop's clock that jumps: what was asked for by the old one says nothing about what it missed."""

from __future__ import annotations

from datetime import timedelta

import pytest

from app.inbox.read import poll_orders
from tests.drifting import adjustments, causes
from tests.street import Street


@pytest.fixture
def ahead() -> dict[str, timedelta]:
    return {"by": timedelta(0)}


@pytest.mark.parametrize("jump_s", [60, 600])
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
