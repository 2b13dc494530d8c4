"""Shopify's search for changed orders is behind: a sale that it does not list yet is no edit, and none is missed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from itertools import count
from pathlib import Path

import pytest

from app.inbox.read import poll_orders
from sandbox.base import Request, Response
from sandbox.faults import NONE
from sandbox.shopify import PretendShopify
from sandbox.shopify.state import Order
from tests.drifting import adjustments, audit, causes, edit, numbers, open_shops
from tests.street import Street
from tests.world import World

LATE_S = 8.0  # less than the connector allows for


@pytest.fixture
def behind(street: Street) -> Street:
    """No delivery comes, and what changed is found up to eight seconds later."""
    street.town.faults = replace(NONE, search_lag_s=LATE_S)
    return street


@pytest.mark.parametrize("policy", ["ledger_wins", "channel_wins", "ask"])
def test_a_sale_that_the_search_does_not_list_yet_is_not_called_an_edit(behind: Street, policy: str) -> None:
    shop, other = open_shops(behind, "shopify", policy)
    behind.heard = lambda posted: False
    for sold in range(1, 6):
        shop.place_order([("mug", 1)])
        audit(behind)
        assert numbers(behind, shop, other) == (20 - sold,) * 3
    assert adjustments(behind) == []
    assert {cause for cause, _ in causes(behind)} <= {"webhook_lost", "order_in_flight"}


def test_an_edit_is_written_over_as_soon_as_no_sale_can_be_behind_it(behind: Street) -> None:
    shop, other = open_shops(behind, "shopify", "ledger_wins")
    edit(shop, 5)
    audit(behind, 10)
    assert causes(behind) == []
    behind.settle(30)
    assert causes(behind) == [("hand_edit", "corrected")]
    assert numbers(behind, shop, other) == (20, 20, 20)


def test_a_number_that_is_looked_at_again_and_again_is_decided_all_the_same(behind: Street) -> None:
    shop, other = open_shops(behind, "shopify", "ledger_wins")
    edit(shop, 5)
    for _ in range(8):
        audit(behind, 4)
    assert causes(behind) == [("hand_edit", "corrected")]
    assert numbers(behind, shop, other) == (20, 20, 20)


def test_what_is_found_late_is_in_the_next_window(alone: Street) -> None:
    shop = open_quiet(alone)
    shop.context.faults = replace(NONE, search_lag_s=LATE_S)
    for _ in range(8):
        shop.place_order([("mug", 1)])
        read(alone, shop)
        alone.world.now += timedelta(seconds=2)
    alone.world.now += timedelta(seconds=LATE_S)
    read(alone, shop)
    assert len(known(alone)) == 8


def test_a_reading_that_broke_off_goes_on_before_what_may_be_found_late(
    alone: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop, hidden = open_quiet(alone), set[str]()
    monkeypatch.setattr(Order, "found_at", lambda order, *_: None if order.key in hidden else order.updated_at)
    first = shop.place_order([("mug", 1)])
    assert first is not None
    hidden.add(first)
    alone.world.now += timedelta(seconds=8)
    for _ in range(40):
        shop.place_order([("mug", 1)])
    alone.world.now += timedelta(seconds=3)
    with monkeypatch.context() as patch:
        patch.setattr(shop, "handle", throttled_after(shop, "OrdersByKey", 4))
        read(alone, shop)
    assert 0 < len(known(alone)) < 40
    hidden.clear()
    alone.world.now += timedelta(seconds=3)
    read(alone, shop)
    assert len(known(alone)) == 41


@pytest.fixture
def alone(world: World, tmp_path: Path) -> Street:
    """Windows that hardly overlap."""
    return Street(world, tmp_path, sync={"poll_overlap_s": 1})


def open_quiet(street: Street) -> PretendShopify:
    """No delivery comes, and a test does the readings."""
    street.world.move("mug", 50, "opening > available@A", "50")
    shop = street.open_shopify({"mug": 50})
    street.settle(2)
    street.heard = lambda posted: False
    return shop


def throttled_after(shop: PretendShopify, document: str, calls: int) -> Callable[[Request], Response]:
    """The shop, which has had enough after so many calls of that document."""
    handle, seen = shop.handle, count(1)

    def answer(request: Request) -> Response:
        named = document.encode() in request.body
        return shop.throttled(request) if named and next(seen) > calls else handle(request)

    return answer


def read(street: Street, shop: PretendShopify) -> None:
    channel = street.channel_of(shop)
    with street.world.session() as session:
        session.run(
            """update channel_poll set due_at = %(now)s
               where merchant_id = %(merchant_id)s and channel_id = %(c)s and kind = 'orders'""",
            now=session.now, c=channel,
        )  # fmt: skip
    poll_orders(street.runtime, street.world.merchant_id, channel)


def known(street: Street) -> list[str]:
    """Orders that a reading brought."""
    with street.world.session() as session:
        rows = session.rows(
            """select distinct resource_key from inbox where merchant_id = %(merchant_id)s and topic = 'read'"""
        )
    return [row.resource_key for row in rows]
