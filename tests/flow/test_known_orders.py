"""Orders that vanish or change without a word, and what a poll need not fetch again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import orjson
import pytest
from sqlalchemy import Row

from app.inbox.known import check_known
from app.inbox.polls import Claim, Overtaken, claim_poll, hold_poll
from app.inbox.read import poll_orders
from app.worker import Worker
from connectors.http import Http
from sandbox.base import Request, Response
from sandbox.shopify import PretendShopify
from sandbox.shopify.cost import Bucket
from sandbox.woocommerce import WooShop
from tests.street import Street

Shop = PretendShopify | WooShop


@pytest.fixture(params=["shopify", "woocommerce"])
def shop(request: pytest.FixtureRequest, street: Street) -> Shop:
    street.world.move("mug", 500, "opening > available@A", "500")
    opened: Shop = street.open_shopify({"mug": 500}) if request.param == "shopify" else street.open_woo({"mug": 500})
    street.settle(2)
    return opened


def delete(shop: Shop, order: object) -> None:
    """For good, and nobody is told."""
    shop.delete_order(str(order)) if isinstance(shop, PretendShopify) else shop.delete(int(str(order)))


def look(street: Street, shop: Shop) -> None:
    """Open orders are looked for, hours later."""
    street.world.now += timedelta(seconds=street.settings.sync.known_interval_s)
    street.settle(2)


def fetched(shop: PretendShopify, street: Street) -> Counter[str]:
    """Whole orders asked for, by key."""
    calls = street.adapters[street.channel_of(shop)].calls
    asked = [orjson.loads(call.body) for call in calls if b"OrdersByKey" in call.body]
    return Counter(key for body in asked for key in body["variables"]["ids"])


def test_an_order_that_was_deleted_for_good_is_found_and_frozen_as_it_was(street: Street, shop: Shop) -> None:
    gone, kept = shop.place_order([("mug", 3)]), shop.place_order([("mug", 2)])
    street.settle(70)
    street.heard = lambda posted: False
    delete(shop, gone)
    street.settle(70)
    assert street.cases() == []  # no window shows it
    look(street, shop)
    assert street.cases() == ["order_deleted"]
    assert street.world.level("mug")["committed"] == 5  # the shop put nothing back either
    with street.world.session() as session:
        frozen = session.rows("select order_key from sales_order where merchant_id = %(merchant_id)s and frozen")
    assert [row.order_key for row in frozen] == [str(gone)] != [str(kept)]
    look(street, shop)
    assert street.cases() == ["order_deleted"]


def test_a_trashed_order_is_found_by_the_poll_and_frozen_as_it_was(street: Street) -> None:
    street.world.move("mug", 500, "opening > available@A", "500")
    shop = street.open_woo({"mug": 500})
    order = shop.place_order([("mug", 3)])
    street.settle(70)
    street.heard = lambda posted: False
    shop.trash(int(str(order)))
    street.settle(70)
    assert street.cases() == ["order_trashed"]
    assert street.world.level("mug")["committed"] == 3
    shop.delete(int(str(order)))
    look(street, shop)
    assert street.cases() == ["order_trashed"]  # it is frozen already


def test_a_draft_that_no_listing_shows_is_not_taken_for_deleted(street: Street) -> None:
    street.world.move("mug", 500, "opening > available@A", "500")
    shop = street.open_woo({"mug": 500})
    order = int(str(shop.place_order([("mug", 3)])))
    street.settle(70)
    street.heard = lambda posted: False
    shop.get_order(order).status = "checkout-draft"
    look(street, shop)
    assert street.cases() == []
    assert street.world.verify() == []


def test_a_shop_that_is_down_or_says_nonsense_makes_no_order_deleted(
    street: Street, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.place_order([("mug", 3)])
    street.settle(70)
    merchant, channel = street.world.merchant_id, street.channel_of(shop)
    for status, body in ((503, b""), (404, b"<h1>404</h1>"), (200, b"<html>"), (200, b'{"data":{"nodes":[]}}')):
        street.world.now += timedelta(seconds=street.settings.sync.known_interval_s)
        answer = Response(status, {"Content-Type": "application/json"}, body)
        monkeypatch.setattr(shop, "handle", lambda request, answer=answer: answer)
        assert check_known(street.runtime, merchant, channel).error
    monkeypatch.undo()
    street.settle(5)
    assert street.cases() == []


def test_a_refund_that_was_deleted_in_the_shop_is_noticed_though_no_stamp_moves(street: Street) -> None:
    street.world.move("mug", 500, "opening > available@A", "500")
    shop = street.open_woo({"mug": 500})
    order = int(str(shop.place_order([("mug", 3)])))
    (line,) = shop.line_ids(order)
    shop.refund(order, {line: 1}, restock=False)
    street.settle(70)
    before = street.world.level("mug")
    found = shop.get_order(order)
    shop._selling.delete_refund(found, found.refunds[0])
    look(street, shop)
    assert street.world.level("mug") != before
    assert street.world.verify() == []


def test_an_order_is_fetched_once_and_from_then_on_only_listed(street: Street) -> None:
    street.world.move("mug", 500, "opening > available@A", "500")
    shop = street.open_shopify({"mug": 500})
    orders = [str(shop.place_order([("mug", 1)])) for _ in range(7)]
    street.world.now += timedelta(seconds=30)
    for _ in range(10):
        street.settle(31)
    assert fetched(shop, street) == Counter(orders)
    street.heard = lambda posted: False
    shop.fulfill(orders[2])
    street.world.now += timedelta(seconds=30)
    for _ in range(10):
        street.settle(31)
    assert fetched(shop, street) == Counter([*orders, orders[2]])
    assert street.world.level("mug")["committed"] == 6


def test_an_order_read_within_the_second_of_its_version_is_read_again_since_that_second_may_hold_another_change(
    street: Street,
) -> None:
    street.world.move("mug", 500, "opening > available@A", "500")
    shop = street.open_shopify({"mug": 500})
    street.settle(40)
    street.heard = lambda posted: False
    order = str(shop.place_order([("mug", 5)]))
    street.poll(shop)
    shop.edit_line(order, shop.order(order).lines[0].id, 2)  # the same second, the same version
    street.settle(70)
    assert street.world.level("mug")["committed"] == 2


def test_a_delivery_that_came_after_a_reading_of_the_same_version_had_begun_has_the_order_read_again(
    street: Street,
) -> None:
    street.world.move("mug", 500, "opening > available@A", "500")
    shop = street.open_shopify({"mug": 500})
    street.settle(40)
    street.heard = lambda posted: False
    order = str(shop.place_order([("mug", 5)]))
    street.deliver()
    street.poll(shop)
    street.heard = lambda posted: "orders/updated" in posted.headers.values()
    shop.edit_line(order, shop.order(order).lines[0].id, 2)  # the same second, the same version
    street.world.now += timedelta(milliseconds=300)
    street.deliver()
    street.settle(2)  # both are looked at in one go; no reading of changes is due so soon
    assert street.world.level("mug")["committed"] == 2


def test_a_page_never_asks_for_more_than_the_bucket_holds(street: Street) -> None:
    street.world.move("mug", 5_000, "opening > available@A", "500")
    shop = street.open_shopify({"mug": 5_000})
    street.settle(1)
    street.heard = lambda posted: False
    for _ in range(120):
        shop.place_order([("mug", 1)])
    street.deliver()
    wait = lambda seconds: setattr(street.world, "now", street.world.now + timedelta(seconds=seconds))  # noqa: E731
    patient = replace(street.runtime, open_http=lambda: Http(session=street.session, sleep=wait))
    street.worker = Worker(patient, only_merchant=street.world.merchant_id)
    shop.endpoint.bucket = Bucket(600, 20)  # a fifth of the smallest plan
    refused = Counter[bool]()
    take = shop.endpoint.bucket.take

    def watched(points: int, now: Any) -> bool:
        taken = take(points, now)
        refused[not taken] += 1
        return taken

    shop.endpoint.bucket.take = watched  # type: ignore[method-assign]
    street.settle(300, rounds_max=6_000)
    assert street.world.level("mug")["committed"] == 120
    assert refused[True] <= refused[False] / 4


class Shifting:
    """WooCommerce while buyers are at it: before every page of a listing, something happens."""

    def __init__(self, shop: WooShop, happen: Callable[[int], None]) -> None:
        self.shop, self.happen, self.pages, self.handle_now = shop, happen, 0, shop.handle

    def handle(self, request: Request) -> Response:
        if request.path.endswith("/orders") and "modified_after" in dict(request.query):
            self.pages += 1
            self.happen(self.pages)
        return self.handle_now(request)


@pytest.mark.parametrize("seed", range(6))
def test_no_order_is_skipped_while_orders_change_vanish_and_come_between_the_pages(
    street: Street, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    street.rng.seed(seed)
    street.world.move("mug", 5_000, "opening > available@A", "5000")
    shop = street.open_woo({"mug": 5_000})
    street.settle(1)
    street.heard = lambda posted: False
    orders = [int(str(shop.place_order([("mug", 1)]))) for _ in range(330)]
    living = set(orders)

    def happen(page: int) -> None:
        if page > 12:
            return
        street.world.now += timedelta(seconds=2)
        for order in street.rng.sample(sorted(living), 9):
            what = street.rng.choice(["ship", "trash", "delete", "new"])
            if what == "ship":
                shop.set_status(order, "completed")
            elif what == "new":
                living.add(int(str(shop.place_order([("mug", 1)]))))
            else:
                living.discard(order)
                shop.trash(order) if what == "trash" else shop.delete(order)

    shifting = Shifting(shop, happen)
    monkeypatch.setattr(shop, "handle", shifting.handle)
    for _ in range(6):
        street.settle(31, rounds_max=2_000)
    assert shifting.pages > 8
    assert {int(key) for key in _told(street)} >= living
    look(street, shop)
    told = _told(street)
    shop_says = {str(order): shop.get_order(order).status for order in living}
    assert {key: told[key].status for key in shop_says} == shop_says
    assert not any(told[key].frozen for key in shop_says)
    # What was shipped before it was deleted holds no stock, and nothing tells that it is gone.
    assert {order.status for key, order in told.items() if key not in shop_says and not order.frozen} <= {"completed"}
    assert street.world.verify() == []


def _told(street: Street) -> dict[str, Row[Any]]:
    """What we know of each order, by its key."""
    with street.world.session() as session:
        rows = session.rows("select order_key, status, frozen from sales_order where merchant_id = %(merchant_id)s")
    return {row.order_key: row for row in rows}


def test_a_reading_that_was_taken_over_stops_and_ends_nothing(street: Street, shop: Shop) -> None:
    channel, now = street.channel_of(shop), street.world.now
    street.world.now += timedelta(seconds=60)
    with street.world.session() as session:
        claimed = claim_poll(street.runtime, session, channel, "orders")
    assert claimed is not None
    claim = Claim(street.world.merchant_id, channel, "orders", claimed.attempt)
    street.world.now += timedelta(seconds=street.settings.sync.attempt_deadline_s - 1)
    with street.world.session() as session:
        hold_poll(street.runtime, session, claim)
    street.world.now += timedelta(seconds=60)
    assert poll_orders(street.runtime, street.world.merchant_id, channel).documents == 0  # put off: still ours
    street.world.now += timedelta(seconds=street.settings.sync.attempt_deadline_s)
    poll_orders(street.runtime, street.world.merchant_id, channel)
    with street.world.session() as session, pytest.raises(Overtaken):
        hold_poll(street.runtime, session, claim)
    assert now < street.world.now
