"""A process that stands still loses what it was at, and does not send it when it goes on; one that is only missed for
a moment loses nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from app.claims import GRACE_S, Absences, free_abandoned
from app.core.db import Database, Session
from app.core.errors import Unavailable
from app.core.runtime import Runtime
from app.inbox.polls import claim_poll
from app.inbox.process import process
from app.publishing import attempts
from app.publishing.push import SENT_WITHIN_S, push
from connectors.http import Http
from sandbox.woocommerce import WooShop
from tests.street import Street

OPENING = "opening > available@A"


@pytest.fixture
def woo(street: Street) -> WooShop:
    """Two mugs were sold elsewhere, which it does not show yet."""
    street.world.move("mug", 20, OPENING, "100")
    shop, other = street.open_woo({"mug": 20}), street.open_shopify({"mug": 20})
    street.settle(10)
    other.place_order([("mug", 2)])
    street.deliver()
    while process(street.runtime, street.world.merchant_id, street.channel_of(other)).documents:
        pass
    return shop


def timed(street: Street, worker: str) -> Runtime:
    """A process whose seconds pass as everybody's."""
    return replace(
        street.runtime, worker=worker,
        open_http=lambda: Http(session=street.session, monotonic=lambda: street.world.now.timestamp()),
    )  # fmt: skip


def lane_of(street: Street, woo: WooShop) -> int:
    with street.world.session() as session:
        found: int = session.value(
            """select o.owner_id %% c.write_lanes from stock_owner o join channel c using (merchant_id, channel_id)
               where o.merchant_id = %(merchant_id)s and o.channel_id = %(channel)s""",
            channel=street.channel_of(woo),
        )
    return found


@dataclass(frozen=True, slots=True)
class Interrupted(Database):
    """Something happens before a plan is made."""

    happen: Callable[[], None] = lambda: None

    @contextmanager
    def begin(self, merchant_id: int, now: datetime, *, snapshot: bool = False, **kwargs: Any) -> Iterator[Session]:
        if snapshot:
            self.happen()
        with Database.begin(self, merchant_id, now, snapshot=snapshot, **kwargs) as session:
            yield session


def take_over(street: Street) -> None:
    with street.world.session() as session:
        session.run(
            """update push_attempt set owner = 'quick/one', deadline = %(now)s + interval '3 minutes'
               where merchant_id = %(merchant_id)s and state = 'open'""",
            now=session.now,
        )


def test_a_write_whose_process_stood_still_before_it_was_sent_is_not_sent_any_more(
    street: Street, woo: WooShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill = attempts.fill

    def stand_still(*args: Any) -> attempts.Attempt | None:
        street.world.now += timedelta(seconds=SENT_WITHIN_S + 1)
        return fill(*args)

    monkeypatch.setattr(attempts, "fill", stand_still)
    merchant, channel = street.world.merchant_id, street.channel_of(woo)
    assert push(timed(street, "slow"), merchant, channel, lane_of(street, woo)).error == "stood_still"
    assert woo.context.writes == []
    monkeypatch.undo()
    street.settle(30)
    assert woo.shown()["mug"] == 18
    assert [write.quantity for write in woo.context.writes] == [18]


def test_who_comes_back_when_others_have_taken_the_attempt_over_sends_nothing(street: Street, woo: WooShop) -> None:
    merchant, channel, lane = street.world.merchant_id, street.channel_of(woo), lane_of(street, woo)
    slow = timed(street, "slow")
    slow = replace(slow, database=Interrupted(slow.database.engine, happen=lambda: take_over(street)))
    assert push(slow, merchant, channel, lane).rows == 0
    assert_nothing_was_sent(street, woo)


def test_who_loses_the_attempt_while_it_is_planned_sends_nothing(
    street: Street, woo: WooShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    merchant, channel, lane = street.world.merchant_id, street.channel_of(woo), lane_of(street, woo)
    fill = attempts.fill

    def taken_over(*args: Any) -> attempts.Attempt | None:
        take_over(street)
        return fill(*args)

    monkeypatch.setattr(attempts, "fill", taken_over)
    with pytest.raises(Unavailable, match="changed_meanwhile"):
        push(timed(street, "slow"), merchant, channel, lane)
    assert_nothing_was_sent(street, woo)


def assert_nothing_was_sent(street: Street, woo: WooShop) -> None:
    assert woo.context.writes == []
    with street.world.session() as session:
        assert session.value("select count(*) from push_row where merchant_id = %(merchant_id)s") == 0


def claims(street: Street, worker: str, shop: WooShop) -> None:
    """A worker that nobody can see takes a reading."""
    with street.world.session() as session:
        session.run("update channel_poll set due_at = %(now)s where merchant_id = %(merchant_id)s", now=session.now)
        runtime = replace(street.runtime, worker=worker)
        assert claim_poll(runtime, session, street.channel_of(shop), "orders") is not None


def is_free(street: Street, shop: WooShop) -> bool:
    with street.world.session() as session:
        deadline = session.value(
            """select deadline from channel_poll
               where merchant_id = %(merchant_id)s and channel_id = %(channel)s and kind = 'orders'""",
            channel=street.channel_of(shop),
        )
        return bool(deadline < session.now)


def test_the_work_of_a_worker_that_is_missed_for_good_is_freed_and_not_before(street: Street, woo: WooShop) -> None:
    claims(street, "gone 1", woo)
    absences = Absences()
    for after_s, free in ((0.0, False), (GRACE_S - 0.1, False), (GRACE_S, True)):
        free_abandoned(street.runtime, absences, 100.0 + after_s)
        assert is_free(street, woo) == free


def test_a_worker_whose_connection_broke_for_a_moment_keeps_its_work() -> None:
    absences = Absences()
    assert absences.note(["one", "two"], 0.0) == []
    assert absences.note(["two"], 1.0) == []  # one is back
    assert absences.note(["one", "two"], GRACE_S) == ["two"]
    assert absences.note(["one", "two"], GRACE_S + 1) == ["two"]
