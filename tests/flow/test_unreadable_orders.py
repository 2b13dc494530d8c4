"""An order that a shop shows in a way that nobody can read, once or for ever."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import orjson
import pytest

from app.inbox.rings import AGAIN_S
from sandbox.base import Request, Response
from sandbox.woocommerce import WooShop
from tests.street import Street


@pytest.fixture
def woo(street: Street) -> WooShop:
    """Its deliveries are lost, and no reading of changes is due for minutes."""
    street.world.move("mug", 10, "opening > available@A", "50")
    shop = street.open_woo({"mug": 10})
    street.settle(40)
    street.heard = lambda posted: False
    return shop


def spoil(shop: WooShop, order: int, spoilt: Callable[[], bool]) -> list[str]:
    """From now on the shop says while `spoilt` that the order is of "one" mug; returns what is asked of it alone."""
    asked, handle = list[str](), shop.handle

    def answer(request: Request) -> Response:
        answered = handle(request)
        if "/orders" not in request.path or b'"line_items"' not in answered.body:
            return answered
        rows = orjson.loads(answered.body)
        named = [row for row in rows if row["id"] == order] if isinstance(rows, list) else []
        asked.extend(value for name, value in request.query if named and name == "include")
        if named and spoilt():
            named[0]["line_items"][0]["quantity"] = "one"
        return replace(answered, body=orjson.dumps(rows))

    shop.handle = answer  # type: ignore[method-assign]
    return asked


def test_an_order_that_was_read_badly_once_is_read_again_in_seconds(street: Street, woo: WooShop) -> None:
    order = woo.place_order([("mug", 3)])
    assert order is not None
    times = iter((True,))
    spoil(woo, order, lambda: next(times, False))
    street.poll(woo)
    street.settle(1)
    assert len(street.parked()) == 1
    assert street.world.available("mug") == 10
    street.settle(AGAIN_S[0] + 1)
    assert street.parked() == []
    assert street.world.available("mug") == 7


def test_an_order_that_is_never_readable_is_asked_for_a_few_times_and_the_others_are_booked(
    street: Street, woo: WooShop
) -> None:
    order = woo.place_order([("mug", 3)])
    assert order is not None
    asked = spoil(woo, order, lambda: True)
    street.poll(woo)
    woo.place_order([("mug", 1)])
    street.poll(woo)
    street.settle(sum(AGAIN_S) * 3, rounds_max=5_000)
    assert street.world.available("mug") == 9
    assert len(set(street.parked())) == 1
    before = len(asked)
    street.world.now += timedelta(hours=1)
    street.settle(60, rounds_max=1_000)
    assert 1 <= before <= len(AGAIN_S) + 2
    assert len(asked) <= before + 1  # but for the look for open orders, now and then
