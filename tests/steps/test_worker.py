"""The worker as a process runs it: woken by the doorbell, ended when asked, alive through errors and a lost server."""

from __future__ import annotations

import io
import threading
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import psycopg
import pytest

from app.claims import Absences, free_abandoned
from app.core.db import Database, connect, psycopg_url
from app.core.embedded import APP_ROLE, Embedded
from app.core.errors import Unavailable
from app.inbox.read import claim_poll
from app.ledger.seal import SEALED_AFTER, find_head
from app.listings.channels import ask_for_orders
from app.publishing import attempts
from app.publishing.attempts import claim as claim_attempt
from app.wiring import Doorbell
from app.worker import ACTS, Worker, housekeeping
from tests.street import Street
from tests.world import World


@pytest.fixture
def ringing(street: Street, server: Embedded, monkeypatch: pytest.MonkeyPatch) -> Street:
    """A street whose runtime has a real doorbell."""
    url = server.url(APP_ROLE)
    monkeypatch.setattr("app.worker.app_url", lambda settings: url)
    street.runtime = replace(street.runtime, ring=Doorbell(psycopg_url(url)).ring)
    return street


def run(worker: Worker) -> threading.Thread:
    thread = threading.Thread(target=worker.run, daemon=True)
    thread.start()
    return thread


def until(event: threading.Event) -> None:
    assert event.wait(30), "it did not happen"


def test_a_delivery_wakes_a_resting_worker_and_is_posted_and_pushed(ringing: Street) -> None:
    ringing.world.move("mug", 10, "opening > available@A", "50")
    shopify, woo = ringing.open_shopify({"mug": 10}), ringing.open_woo({"mug": 10})
    ringing.settle()
    worker = Worker(ringing.runtime, only_merchant=ringing.world.merchant_id)
    thread = run(worker)
    shown = threading.Event()
    handle = woo.handle

    def watched(request: object) -> object:
        answer = handle(request)  # type: ignore[arg-type]
        if woo.shown()["mug"] == 7:
            shown.set()
        return answer

    woo.handle = watched  # type: ignore[method-assign, assignment]
    shopify.place_order([("mug", 3)])
    ringing.deliver()
    until(shown)
    worker.stop()
    thread.join(30)
    assert not thread.is_alive()


def test_a_step_that_crashes_is_tried_again_and_the_worker_goes_on(
    ringing: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    ringing.world.move("mug", 10, "opening > available@A", "50")
    shopify = ringing.open_shopify({"mug": 10})
    ringing.settle()
    crashes, done = [True, True], threading.Event()
    process = ACTS["process"]

    def sometimes(runtime: object, merchant_id: int, channel_id: int) -> bool:
        if crashes:
            crashes.pop()
            raise ZeroDivisionError
        did = process(runtime, merchant_id, channel_id)  # type: ignore[arg-type]
        done.set()
        return did

    monkeypatch.setitem(ACTS, "process", sometimes)  # type: ignore[arg-type]
    worker = Worker(ringing.runtime, only_merchant=ringing.world.merchant_id)
    thread = run(worker)
    shopify.place_order([("mug", 3)])
    ringing.deliver()
    until(done)
    worker.stop()
    thread.join(30)
    assert ringing.world.available("mug") == 7


def test_a_worker_without_database_waits_and_asks_for_the_embedded_server(street: Street, tmp_path: Path) -> None:
    asked = threading.Event()

    class Revived(Embedded):
        def ensure(self) -> bool:
            asked.set()
            return False

    away = connect(f"postgresql+psycopg://nobody@/nothing?host={tmp_path}")
    worker = Worker(replace(street.runtime, database=away), Revived(tmp_path))
    thread = run(worker)
    until(asked)
    worker.stop()
    thread.join(30)
    assert not thread.is_alive()


def test_everybody_can_see_that_a_worker_lives_as_long_as_it_does(ringing: Street, server: Embedded) -> None:
    def is_seen() -> bool:
        with ringing.world.session() as session:
            return bool(session.value("select is_worker_present()"))

    with psycopg.connect(psycopg_url(server.url(APP_ROLE)), autocommit=True) as alone:
        alone.execute("select pg_advisory_lock(presence_key('of any'))")  # had only when other tests' are gone
        assert not is_seen()
    worker = Worker(ringing.runtime, only_merchant=ringing.world.merchant_id)
    thread = run(worker)
    until(worker.present)
    assert is_seen()
    worker.stop()
    thread.join(30)


def test_housekeeping_is_done_by_one_worker_at_a_time(street: Street) -> None:
    assert housekeeping(street.runtime)
    with street.world.database.across(street.world.now) as session:
        session.value("select pg_try_advisory_xact_lock(7201965)")
        assert not housekeeping(street.runtime)


@dataclass
class Failing:
    """A database in which what is begun for one merchant fails; `goes_away`: all of it is gone from then on."""

    database: Database
    merchant_id: int
    goes_away: bool = False
    begun: list[int] = field(default_factory=list)

    def across(self, now: datetime) -> Any:
        if self.goes_away and self.begun:
            raise Unavailable("database_unavailable")
        return self.database.across(now)

    def begin(self, merchant_id: int, now: datetime, **how: Any) -> Any:
        self.begun.append(merchant_id)
        if merchant_id == self.merchant_id or self.goes_away:
            raise Unavailable("took_too_long")
        return self.database.begin(merchant_id, now, **how)


def test_housekeeping_that_fails_for_one_merchant_is_done_for_all_others(
    street: Street, other: World, logged: io.StringIO
) -> None:
    other.move("mug", 5, "opening > available@A", "50")
    street.world.now = other.now = other.now + SEALED_AFTER + timedelta(seconds=1)
    assert street.world.merchant_id < other.merchant_id  # it comes first
    failing = Failing(street.world.database, street.world.merchant_id)
    assert housekeeping(replace(street.runtime, database=failing))  # type: ignore[arg-type]
    with other.session() as session:
        assert find_head(session) is not None
    (told,) = [line for line in logged.getvalue().splitlines() if "housekeeping_failed" in line]
    line = orjson.loads(told)
    assert (line["merchant_id"], line["reason"]) == (street.world.merchant_id, "took_too_long")


def test_housekeeping_ends_when_the_database_is_away_and_is_not_tried_for_every_merchant(
    street: Street, other: World
) -> None:
    failing = Failing(street.world.database, street.world.merchant_id, goes_away=True)
    with pytest.raises(Unavailable):
        housekeeping(replace(street.runtime, database=failing))  # type: ignore[arg-type]
    assert len(failing.begun) == 1


def test_what_could_not_be_read_is_gone_after_a_week(street: Street) -> None:
    with street.world.session() as session:
        session.run(
            """insert into inbox (merchant_id, received_on, inbox_id, channel_id, kind, origin, topic, resource,
                                  resource_key, body, observed_at, state, reason, received_at)
               select %(merchant_id)s, %(now)s::date - days, nextval('inbox_seq'), 1, 'document', 'webhook',
                      'unreadable', 'unknown', '', 'sealed', %(now)s, 'parked', 'not_json', %(now)s
               from unnest(array[6, 7]) days""",
            now=street.world.now,
        )
    housekeeping(street.runtime)
    with street.world.session() as session:
        rows = session.rows("select state, body from inbox where merchant_id = %(merchant_id)s order by received_on")
    assert [(row.state, row.body is None) for row in rows] == [("done", True), ("parked", False)]


def test_what_a_killed_worker_was_at_is_free_within_seconds_and_what_a_living_one_is_at_is_not(
    street: Street, server: Embedded
) -> None:
    shopify = street.open_shopify({"mug": 10})
    street.settle()
    channel, mine = street.channel_of(shopify), replace(street.runtime, worker="mine")
    absences = Absences(grace_s=0)
    free_abandoned(street.runtime, absences, 0)  # what other tests left behind: the look is over every merchant's work
    with street.world.session() as session:
        ask_for_orders(session, channel, street.world.now)
        assert claim_attempt(mine, session, channel, 0)
        assert claim_poll(mine, session, channel, "orders")
    with psycopg.connect(psycopg_url(server.url(APP_ROLE)), autocommit=True) as presence:
        presence.execute("select pg_advisory_lock(presence_key('mine'))")
        assert free_abandoned(street.runtime, absences, 0) == 0
        assert "push_0" not in due(street, channel)
    with psycopg.connect(psycopg_url(server.url(APP_ROLE)), autocommit=True) as watching:
        watching.execute("select pg_advisory_lock(presence_key('mine'))")  # had only when the other's is gone
    gone_by = 100
    while free_abandoned(street.runtime, absences, 0) == 0 and gone_by:
        gone_by -= 1
    assert {"push_0", "poll_orders"} <= due(street, channel)


def test_a_write_whose_answer_the_database_did_not_take_is_finished_at_once_by_the_same_worker(
    ringing: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A deadlock, a restart: the claim of a living worker would else keep the channel's numbers for three minutes."""
    ringing.world.move("mug", 10, "opening > available@A", "50")
    shopify, woo = ringing.open_shopify({"mug": 10}), ringing.open_woo({"mug": 10})
    ringing.settle()
    record, failures, taken = attempts.record, [True], threading.Event()

    def sometimes(*given: Any) -> Any:
        if failures:
            failures.pop()
            raise Unavailable("database_unavailable", "deadlock detected")
        recorded = record(*given)
        taken.set()
        return recorded

    monkeypatch.setattr(attempts, "record", sometimes)
    worker = Worker(ringing.runtime, only_merchant=ringing.world.merchant_id)
    thread = run(worker)
    woo.place_order([("mug", 3)])
    ringing.deliver()
    until(taken)
    worker.stop()
    thread.join(30)
    assert shopify.shown()["mug"] == 7
    with ringing.world.session() as session:
        assert not session.value(
            "select count(*) from push_attempt where merchant_id = %(merchant_id)s and state <> 'done'"
        )


def due(street: Street, channel_id: int) -> set[str]:
    return {
        act
        for _, some, act in Worker(street.runtime, only_merchant=street.world.merchant_id).due()
        if some == channel_id
    }
