"""A shop's number that is none, row 34: nothing is written over it, and what was written is not taken for refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import orjson
import pytest

from sandbox.base import Request, Response
from sandbox.faults import NONE
from sandbox.woocommerce import WooShop
from tests.drifting import audit
from tests.street import Street

OPENING = "opening > available@A"


@pytest.fixture
def shop(street: Street) -> WooShop:
    for sku in ("mug", "bowl"):
        street.world.move(sku, 10, OPENING, "50")
    shop = street.open_woo({"mug": 10, "bowl": 10})
    street.settle(10)
    return shop


def show_halves(shop: WooShop) -> Callable[[], None]:
    """A plugin keeps decimals: every number that begins with a 1 or a 9 is shown as if half a unit more were there.
    Returns what ends it."""
    handle = shop.handle

    def answer(request: Request) -> Response:
        found, body = handle(request), b""
        if "/products" not in request.path:
            return found
        body = found.body.replace(b'"stock_quantity":1', b'"stock_quantity":0.5').replace(
            b'"stock_quantity":9', b'"stock_quantity":9.5'
        )
        return replace(found, body=body)

    shop.handle = answer  # type: ignore[method-assign]
    return lambda: setattr(shop, "handle", handle)


def states(street: Street) -> set[tuple[str, str]]:
    with street.world.session() as session:
        rows = session.rows("select state, reason from stock_owner where merchant_id = %(merchant_id)s")
    return {(row.state, row.reason) for row in rows}


def test_nothing_is_added_to_a_number_that_nobody_can_read_until_it_can_be_read_again(
    street: Street, shop: WooShop
) -> None:
    end = show_halves(shop)
    street.world.move("mug", 5, "supplier > available@A", "25")
    street.settle(60)
    assert shop.shown()["mug"] == 10
    assert states(street) == {("refused", "what the channel shows is no whole number"), ("managed", "")}
    end()
    audit(street)
    assert shop.shown() == {"mug": 15, "bowl": 10}
    assert states(street) == {("managed", "")}


def test_a_reduction_whose_answer_shows_no_readable_number_goes_out_once(street: Street, shop: WooShop) -> None:
    end = show_halves(shop)
    street.world.move("mug", 1, "available@A > shrinkage")
    street.settle(60)
    end()
    audit(street)
    street.settle(60)
    assert shop.shown() == {"mug": 9, "bowl": 10}
    assert street.cases() == []


def test_a_write_without_an_answer_to_a_number_that_the_shop_then_stops_keeping_is_looked_for_no_longer(
    street: Street, shop: WooShop
) -> None:
    shop.context.faults = replace(NONE, timeout_after=1.0)
    street.world.move("mug", 1, "available@A > shrinkage")
    street.live(5)
    shop.context.faults = NONE
    shop.state.product_of_sku("mug").manage = False
    street.settle(120)
    assert street.worker.due() == []
    with street.world.session() as session:
        unclear = session.value(
            "select count(*) from stock_owner where merchant_id = %(merchant_id)s and unclear_attempt_id is not null"
        )
    assert unclear == 0
    product = shop.state.product_of_sku("mug")
    product.manage, product.stock = True, 4
    audit(street)
    street.settle(60)
    assert shop.shown() == {"mug": 9, "bowl": 10}


def fail_after_saving(shop: WooShop, sku: str) -> Callable[[], None]:
    """A plugin's hook fails whenever this product was saved, so that the shop says an error of an item that it wrote.
    Returns what ends it."""
    handle, own = shop.handle, shop.product_id(sku)
    error = {"code": "some_plugin", "message": "The moon is full.", "data": {"status": 500}}

    def answer(request: Request) -> Response:
        found = handle(request)
        if not request.path.endswith("/products/batch"):
            return found
        items = orjson.loads(found.body)["update"]
        told = [item if item["id"] != own else {"id": own, "error": error} for item in items]
        return replace(found, body=orjson.dumps({"update": told}))

    shop.handle = answer  # type: ignore[method-assign]
    return lambda: setattr(shop, "handle", handle)


@pytest.mark.parametrize("path", ["available@A > shrinkage", "supplier > available@A"])
def test_a_number_that_was_saved_before_a_plugin_failed_is_read_back_and_its_change_goes_out_once(
    street: Street, shop: WooShop, path: str
) -> None:
    fail_after_saving(shop, "mug")
    street.world.move("mug", 1, path, "5" if path.startswith("supplier") else None)
    street.world.move("bowl", 1, "available@A > shrinkage")
    street.settle(120)
    assert shop.shown() == {"mug": street.world.available("mug"), "bowl": 9}
    assert len([write for write in shop.context.writes if write.sku == "mug"]) == 1
    assert states(street) == {("managed", "")}
    assert (street.cases(), street.worker.due()) == ([], [])
