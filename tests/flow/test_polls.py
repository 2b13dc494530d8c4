"""Polls: what fails is tried again when it makes sense, a throttled channel when it says so."""

from __future__ import annotations

from datetime import timedelta

import pytest

from app.inbox.polls import Claim, fail_poll
from app.inbox.read import poll_orders
from app.listings.belief import look_at
from connectors.errors import ChannelError, Throttled, Transient
from sandbox.base import Request, Response
from sandbox.shopify.cost import Bucket
from sandbox.woocommerce import WooShop
from tests.street import Street


def due_in_s(street: Street, channel: int) -> float:
    with street.world.session() as session:
        row = session.row(
            """select due_at, failures from channel_poll
               where merchant_id = %(merchant_id)s and channel_id = %(c)s and kind = 'orders'""",
            c=channel,
        )
    assert row is not None
    return float((row.due_at - street.world.now).total_seconds())


@pytest.mark.parametrize(
    ("error", "pauses"),
    [
        (Throttled("throttled", retry_after_s=3.0), [3, 3, 3, 3]),
        (Transient("unavailable"), [1, 2, 5, 15]),
        (Transient("unavailable", retry_after_s=4.0), [4, 4, 5, 15]),
    ],
)
def test_the_pause_after_a_failure_grows_only_where_nobody_says_when_to_come_back(
    street: Street, error: ChannelError, pauses: list[int]
) -> None:
    channel = street.channel_of(street.open_shopify({"mug": 1}))
    seen = []
    for attempt in range(len(pauses)):
        fail_poll(street.runtime, Claim(street.world.merchant_id, channel, "orders", attempt), error)
        with street.world.session() as session:
            session.run("update channel_poll set attempt = attempt + 1 where merchant_id = %(merchant_id)s")
        seen.append(round(due_in_s(street, channel)))
    assert seen == pauses


def test_a_reading_that_is_throttled_again_and_again_goes_on_where_it_was_and_ends(street: Street) -> None:
    street.world.move("mug", 500, "opening > available@A", "500")
    shop = street.open_shopify({"mug": 500})
    street.settle(1)
    street.heard = lambda posted: False
    for _ in range(60):
        shop.place_order([("mug", 1)])
        street.world.now += timedelta(seconds=1)
    street.deliver()
    shop.endpoint.bucket = Bucket(1_000, 100)
    street.settle(120, rounds_max=2_000)
    assert street.world.level("mug")["committed"] == 60


def test_a_poll_that_died_is_taken_over_after_its_deadline_and_its_late_answer_is_ignored(street: Street) -> None:
    shop = street.open_shopify({"mug": 5})
    street.settle(1)
    channel, merchant = street.channel_of(shop), street.world.merchant_id
    with street.world.session() as session:
        session.run(
            """update channel_poll set due_at = %(now)s, deadline = %(now)s + interval '3 minutes', attempt = 7
               where merchant_id = %(merchant_id)s and kind = 'orders'""",
            now=street.world.now,
        )
    shop.place_order([("mug", 1)])
    assert poll_orders(street.runtime, merchant, channel).documents == 0
    street.world.now += timedelta(minutes=4)
    assert poll_orders(street.runtime, merchant, channel).documents == 1
    fail_poll(street.runtime, Claim(merchant, channel, "orders", 7), Transient("unavailable"))
    assert due_in_s(street, channel) > 5


def test_looks_at_numbers_of_a_shop_that_throttles_wait_as_long_as_it_says(street: Street) -> None:
    street.world.move("mug", 5, "opening > available@A", "25")
    shop = street.open_woo({"mug": 5})
    street.settle(10)
    handle, asked = shop.handle, []

    def throttled(request: Request) -> Response:
        if "/products" not in request.path:
            return handle(request)
        asked.append(street.world.now)
        return Response(429, {"Retry-After": "600"}, b"")

    shop.handle = throttled  # type: ignore[method-assign]
    with street.world.session() as session:
        look_at(session, street.channel_of(shop), stock_keys(street, shop))
    street.live(120)
    assert len(asked) == 1
    shop.handle = handle  # type: ignore[method-assign]
    street.live(600)
    with street.world.session() as session:
        left = "select count(*) from stock_owner where merchant_id = %(merchant_id)s and look_since is not null"
        assert session.value(left) == 0
        assert session.value("select max(failures) from channel_poll where merchant_id = %(merchant_id)s") == 0


def stock_keys(street: Street, shop: WooShop) -> list[str]:
    with street.world.session() as session:
        rows = session.rows(
            "select stock_key from stock_owner where merchant_id = %(merchant_id)s and channel_id = %(channel)s",
            channel=street.channel_of(shop),
        )
    return [row.stock_key for row in rows]
