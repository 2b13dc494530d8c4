"""Several workers at the same work at once: a claim is one worker's, a posting happens once, one write is open."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial
from threading import RLock
from typing import Any

import pytest
import requests

from app.core.db import Session
from app.inbox import backfill
from app.inbox.polls import Claim, claim_poll, end_poll
from app.inbox.process import process
from app.inbox.read import poll_orders
from app.listings.channels import ask_for_orders
from app.listings.importing import request_import
from app.publishing.push import push
from app.worker import Worker
from sandbox.inprocess import ShopAdapter
from sandbox.shopify.cost import Bucket
from tests.drifting import edit
from tests.steps.test_ledger_races import together, wait_until_somebody_waits
from tests.street import Street


class OneAtATime(ShopAdapter):
    """A pretend shop is no thread-safe thing; a real one has its own locks."""

    lock: RLock

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        with self.lock:
            return super().send(request, *args, **kwargs)


@pytest.fixture
def busy(street: Street) -> Street:
    street.world.move("mug", 100, "opening > available@A", "500")
    street.world.move("cup", 100, "opening > available@A", "500")
    shopify = street.open_shopify({"mug": 100, "cup": 100})
    shopify.endpoint.bucket = Bucket(20_000, 1_000)  # time hardly moves here, so no points come back
    street.open_woo({"mug": 100, "cup": 100})
    street.settle(3)
    lock = RLock()
    for prefix, adapter in list(street.session.adapters.items()):
        if isinstance(adapter, ShopAdapter):
            safe = OneAtATime(adapter.shop)
            safe.lock = lock
            street.session.mount(prefix, safe)
    return street


def test_documents_are_processed_once_by_whichever_worker_claims_them(busy: Street) -> None:
    shopify = next(iter(busy.shops.values()))
    for _ in range(20):
        shopify.place_order([("mug", 1), ("cup", 1)])
    busy.deliver()
    channel = busy.channel_of(shopify)
    runtime = busy.runtime
    together(4, lambda _: process(runtime, busy.world.merchant_id, channel) and None)
    assert (busy.world.available("mug"), busy.world.available("cup")) == (80, 80)
    assert busy.world.verify() == []


def test_a_due_poll_is_read_by_one_worker(busy: Street) -> None:
    shopify = next(iter(busy.shops.values()))
    channel = busy.channel_of(shopify)
    shopify.place_order([("mug", 1)])
    with busy.world.session() as session:
        session.run("update channel_poll set due_at = %(now)s where merchant_id = %(merchant_id)s", now=busy.world.now)
    before = busy.calls(shopify)
    stored: list[int] = []
    together(4, lambda _: stored.append(poll_orders(busy.runtime, busy.world.merchant_id, channel).documents))
    assert sorted(stored) == [0, 0, 0, 1]
    assert busy.calls(shopify) - before <= 1


def test_one_write_is_open_on_a_channel_and_the_same_number_is_not_sent_twice(busy: Street) -> None:
    shopify, woo = busy.shops.values()
    shopify.place_order([("mug", 5)])
    busy.deliver()
    process(busy.runtime, busy.world.merchant_id, busy.channel_of(shopify))
    sent: list[int] = []
    merchant_id, channel_id = busy.world.merchant_id, busy.channel_of(woo)
    together(
        4, lambda n: sent.append(push(busy.runtime, merchant_id, channel_id, n % 2).recorded.written)
    )  # both lanes
    busy.settle(5)
    assert sum(sent) == 1
    assert woo.shown()["mug"] == 95
    assert busy.cases() == []


def test_four_workers_in_a_rush_end_where_one_would(busy: Street) -> None:
    workers = [Worker(busy.runtime, only_merchant=busy.world.merchant_id) for _ in range(4)]
    for round_ in range(5):
        for shop in busy.shops.values():
            for _ in range(3):
                shop.place_order([("mug", 1), ("cup", 2)])
        busy.deliver()
        busy.world.move("mug", 1, "supplier > available@A", "5")
        together(4, lambda number: workers[number].step() and None)
        assert round_ >= 0
    busy.settle(40)
    assert (busy.world.available("mug"), busy.world.available("cup")) == (75, 40)
    assert [shop.shown() for shop in busy.shops.values()] == [{"mug": 75, "cup": 40}] * 2
    assert busy.world.verify() == []


def test_an_order_and_what_was_told_of_another_number_hold_nothing_that_a_write_to_both_needs(busy: Street) -> None:
    """Who records a write locks its numbers in the order of their ids. The order here is of the later one, and what is
    told is about the earlier one."""
    shopify = next(iter(busy.shops.values()))
    channel = busy.channel_of(shopify)
    (earlier, told), (later, sold) = owners(busy, channel)
    shopify.place_order([(sold, 1)])
    edit(shopify, -7, told)
    busy.deliver()
    with ThreadPoolExecutor(1) as other, busy.world.session() as recording:
        lock(recording, earlier)
        processed = other.submit(process, busy.runtime, busy.world.merchant_id, channel)
        wait_until_somebody_waits(busy.world, recording)
        lock(recording, later)
        recording.connection.commit()
        assert processed.result(30).documents == 3
    assert busy.world.available(sold) == 99


def test_a_reading_that_ends_while_a_back_fill_does_is_followed_by_one_that_is_complete(
    busy: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reading still sees the back-fill at work when it ends, so nothing is concluded from it. Put off until the
    next usual one, a shop's first push would wait for five minutes."""
    merchant_id, channel = busy.world.merchant_id, busy.channel_of(next(iter(busy.shops.values())))
    with busy.world.session() as session:
        at = session.now
        request_import(session, channel, "orders", since=at - timedelta(days=1), until=at)
        session.run("update channel_poll set due_at = %(now)s where merchant_id = %(merchant_id)s", now=at)
        claimed = claim_poll(busy.runtime, session, channel, "orders")
        assert claimed is not None
    busy.world.now += timedelta(seconds=1)
    ending = partial(
        end_poll, busy.runtime, Claim(merchant_id, channel, "orders", claimed.attempt), through=at, every_s=300
    )
    with ThreadPoolExecutor(1) as other:
        ended = []

        def meanwhile(session: Session, channel_id: int, when: datetime) -> None:
            ask_for_orders(session, channel_id, when)
            ended.append(other.submit(ending))
            wait_until_somebody_waits(busy.world, session)

        monkeypatch.setattr(backfill, "ask_for_orders", meanwhile)
        backfill.run_import(busy.runtime, merchant_id, channel)
        ended[0].result(30)
    assert (merchant_id, channel, "poll_orders") in Worker(busy.runtime, only_merchant=merchant_id).due()


def owners(street: Street, channel: int) -> list[tuple[int, str]]:
    with street.world.session() as session:
        rows = session.rows(
            """select owner_id, sku from stock_owner join item using (merchant_id, item_id)
               where merchant_id = %(merchant_id)s and channel_id = %(channel)s order by owner_id""",
            channel=channel,
        )
    return [(row.owner_id, row.sku) for row in rows]


def lock(session: Session, owner: int) -> None:
    session.rows(
        "select from stock_owner where merchant_id = %(merchant_id)s and owner_id = %(id)s for update", id=owner
    )
