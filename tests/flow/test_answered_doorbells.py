"""A doorbell asks for a reading that begins after it rang, and any such reading answers it: none is fetched twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta

import orjson
import pytest

from app.inbox.known import check_known
from app.inbox.process import process
from app.inbox.read import answer_rings, poll_orders
from sandbox.base import Delivery, Request, Response
from sandbox.shopify import PretendShopify
from sandbox.woocommerce import WooShop
from tests.street import Street

AN_HOUR = 3_600


@pytest.fixture
def shop(street: Street) -> PretendShopify:
    """Nothing is read by itself from here on, and no delivery comes but what a test lets through."""
    street.world.move("mug", 500, "opening > available@A", "500")
    shop = street.open_shopify({"mug": 500})
    street.settle(2)
    street.heard = lambda posted: False
    return shop


def hear(street: Street, *topics: str) -> None:
    """What the shop told until now is delivered, as far as it is about that."""
    street.heard = lambda posted: _topic(posted) in topics
    street.world.now += timedelta(seconds=5)
    street.deliver()
    street.heard = lambda posted: False


def _topic(posted: Delivery) -> str:
    headers = posted.headers
    return headers.get("X-Shopify-Topic") or headers.get("X-WC-Webhook-Topic") or ""


def poll(street: Street, channel: int, kind: str = "orders") -> None:
    """That reading, two seconds later, and what came of it is processed."""
    street.world.now += timedelta(seconds=2)
    with street.world.session() as session:
        session.run(
            """update channel_poll set due_at = %(now)s
               where merchant_id = %(merchant_id)s and channel_id = %(c)s and kind = %(kind)s""",
            now=session.now, c=channel, kind=kind,
        )  # fmt: skip
    (poll_orders if kind == "orders" else check_known)(street.runtime, street.world.merchant_id, channel)
    work_off(street, channel)


def work_off(street: Street, channel: int) -> None:
    while process(street.runtime, street.world.merchant_id, channel).documents:
        pass


def ring(street: Street, channel: int) -> tuple[int, str]:
    """Doorbells are answered: how much was new or done, and the failure."""
    read = answer_rings(street.runtime, street.world.merchant_id, channel)
    work_off(street, channel)
    return read.documents, read.error


def waiting(street: Street) -> Counter[str]:
    """Doorbells by what became of them."""
    with street.world.session() as session:
        rows = session.rows("select state, reason from inbox where merchant_id = %(merchant_id)s and kind = 'doorbell'")
    return Counter(row.reason or row.state for row in rows)


def fetched(street: Street, shop: PretendShopify) -> Counter[str]:
    """Whole orders asked for, by key."""
    calls = street.adapters[street.channel_of(shop)].calls
    asked = [orjson.loads(call.body) for call in calls if b"OrdersByKey" in call.body]
    return Counter(key for body in asked for key in body["variables"]["ids"])


def test_a_doorbell_whose_order_was_read_since_it_rang_costs_no_call(street: Street, shop: PretendShopify) -> None:
    channel, order = street.channel_of(shop), str(shop.place_order([("mug", 5)]))
    poll(street, channel)
    shop.edit_line(order, shop.order(order).lines[0].id, 3)
    hear(street, "orders/edited")
    assert waiting(street) == {"open": 1}
    poll(street, channel)
    before = fetched(street, shop)
    assert ring(street, channel) == (1, "")
    assert (waiting(street), fetched(street, shop)) == ({"read_since": 1}, before)
    assert street.world.level("mug")["committed"] == 3


def test_a_doorbell_of_woocommerce_is_answered_by_a_reading_as_well(street: Street) -> None:
    street.world.move("mug", 500, "opening > available@A", "500")
    shop: WooShop = street.open_woo({"mug": 500})
    street.settle(2)
    street.heard = lambda posted: False
    channel, order = street.channel_of(shop), int(str(shop.place_order([("mug", 5)])))
    poll(street, channel)
    shop.trash(order)
    hear(street, "order.deleted")
    assert waiting(street) == {"open": 1}
    poll(street, channel)
    calls = street.calls(shop)
    ring(street, channel)
    assert (waiting(street), street.calls(shop)) == ({"read_since": 1}, calls)
    assert street.cases() == ["order_trashed"]


def test_a_doorbell_that_rang_after_a_reading_began_is_not_answered_by_it_though_one_from_before_still_waits(
    street: Street, shop: PretendShopify
) -> None:
    channel, order = street.channel_of(shop), str(shop.place_order([("mug", 5)]))
    poll(street, channel)
    line = shop.order(order).lines[0].id
    shop.edit_line(order, line, 3)
    hear(street, "orders/edited")
    poll(street, channel)
    shop.edit_line(order, line, 2)
    hear(street, "orders/edited")
    assert waiting(street) == {"open": 2}
    ring(street, channel)
    assert waiting(street) == {"read_since": 1, "done": 1}
    assert street.world.level("mug")["committed"] == 2


def test_a_reading_within_a_second_of_the_doorbell_does_not_answer_it_since_clocks_of_processes_differ(
    street: Street, shop: PretendShopify
) -> None:
    channel, order = street.channel_of(shop), str(shop.place_order([("mug", 5)]))
    poll(street, channel)
    shop.edit_line(order, shop.order(order).lines[0].id, 3)
    hear(street, "orders/edited")
    street.world.now -= timedelta(seconds=1.5)
    poll(street, channel)
    ring(street, channel)
    assert waiting(street) == {"done": 1}


def test_however_many_doorbells_ring_for_an_order_it_is_fetched_once(street: Street, shop: PretendShopify) -> None:
    channel, order = street.channel_of(shop), str(shop.place_order([("mug", 50)]))
    for units in range(49, 19, -1):
        shop.edit_line(order, shop.order(order).lines[0].id, units)
    hear(street, "orders/edited")
    assert waiting(street) == {"open": 30}
    ring(street, channel)
    assert (waiting(street), fetched(street, shop)) == ({"done": 30}, {order: 1})
    assert street.world.level("mug")["committed"] == 20


def test_what_doorbells_brought_before_the_shop_failed_is_kept_and_the_others_ring_again(
    street: Street, shop: PretendShopify, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel, size = street.channel_of(shop), street.runtime.connectors["shopify"].abilities.read_orders_max
    for _ in range(size + 5):
        order = str(shop.place_order([("mug", 1)]))
        shop.edit_line(order, shop.order(order).lines[0].id, 2)
    hear(street, "orders/edited")
    monkeypatch.setattr(shop, "handle", _failing_after(size, shop.handle))
    read, error = ring(street, channel)
    assert (read, error) == (size, "unavailable")
    assert waiting(street) == {"done": size, "unavailable": 5}
    monkeypatch.undo()
    street.world.now += timedelta(seconds=5)
    assert ring(street, channel) == (5, "")
    assert street.world.level("mug")["committed"] == 2 * (size + 5)


def _failing_after(orders: int, handle: Callable[[Request], Response]) -> Callable[[Request], Response]:
    seen = 0

    def answer(request: Request) -> Response:
        nonlocal seen
        if b"OrdersByKey" in request.body:
            if seen >= orders:
                return Response(503, {}, b"")
            seen += len(orjson.loads(request.body)["variables"]["ids"])
        return handle(request)

    return answer


def test_what_a_doorbell_brings_while_a_page_is_read_is_not_fetched_with_the_page_again(
    street: Street, shop: PretendShopify, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = street.channel_of(shop)
    orders = [str(shop.place_order([("mug", 1)])) for _ in range(40)]
    street.world.now += timedelta(seconds=60)
    last = orders[-1]
    shop.edit_line(last, shop.order(last).lines[0].id, 2)
    hear(street, "orders/edited")
    answer, rang = shop.handle, []

    def meanwhile(request: Request) -> Response:
        if b"OrdersByKey" in request.body and not rang:
            rang.append(True)
            street.world.now += timedelta(seconds=2)
            ring(street, channel)
        return answer(request)

    monkeypatch.setattr(shop, "handle", meanwhile)
    poll(street, channel)
    assert rang
    assert fetched(street, shop) == dict.fromkeys(orders, 1)
    assert street.world.level("mug")["committed"] == 41


def test_the_look_for_open_orders_leaves_what_changed_lately_to_the_next_reading_of_changes(
    street: Street, shop: PretendShopify
) -> None:
    channel = street.channel_of(shop)
    missed, lately = (str(shop.place_order([("mug", 5)])) for _ in range(2))
    poll(street, channel)
    street.world.now += timedelta(seconds=AN_HOUR)
    shop.edit_line(missed, shop.order(missed).lines[0].id, 4)
    street.world.now += timedelta(seconds=AN_HOUR)
    with street.world.session() as session:  # a reading that should have shown it did not
        session.run(
            """update channel_poll set read_through = %(now)s
               where merchant_id = %(merchant_id)s and channel_id = %(c)s and kind = 'orders'""",
            now=session.now, c=channel,
        )  # fmt: skip
    street.world.now += timedelta(seconds=5)
    shop.edit_line(lately, shop.order(lately).lines[0].id, 3)
    before = fetched(street, shop)
    poll(street, channel, "known")
    assert fetched(street, shop) - before == {missed: 1}
    assert street.world.level("mug")["committed"] == 9
    poll(street, channel)
    assert street.world.level("mug")["committed"] == 7
