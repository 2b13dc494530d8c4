"""Whatever value of a signed delivery is of another kind: it is read past, or parked in words; what the shop says when
it is asked counts, and all is equal in the end."""

from __future__ import annotations

from datetime import timedelta
from random import Random

import pytest

from app.simulation.spoiling import spoilt
from sandbox.base import Response
from sandbox.shopify import PretendShopify
from sandbox.woocommerce import WooShop
from tests.diagnosing import OPENING, later
from tests.street import Street

ROUNDS = 12  # spoilt ones of each delivery
MUGS, CUPS = 50, 10
Shop = PretendShopify | WooShop


def at_shopify(shop: PretendShopify) -> None:
    order, gone = shop.place_order([("mug", 2), ("cup", 1)]), shop.place_order([("mug", 4)])
    assert order is not None
    assert gone is not None
    shop.refund(order, {"cup": 1}, "CANCEL")
    shop.cancel(gone)
    shop.fulfill(order)
    shop.rename_variant("cup", "bowl")


def at_woo(shop: WooShop) -> None:
    order, gone = shop.place_order([("mug", 2), ("cup", 1)]), shop.place_order([("mug", 4)])
    assert order is not None
    assert gone is not None
    shop.refund(order, {shop.line_ids(order)[1]: 1})
    shop.set_status(gone, "cancelled")
    shop.set_status(order, "completed")
    shop.rename_product("cup", "bowl")


def spoilt_ones(street: Street, shop: Shop, dice: Random) -> int:
    """All that is due comes spoilt, many times over and never as it was sent; how many were taken."""
    taken = 0
    for posted in shop.due_deliveries():
        for _ in range(ROUNDS):
            body = spoilt(Response(200, {}, posted.body), dice).body
            taken += street.hand_over(shop, street.signed(shop, posted, body)) == 200
    return taken


@pytest.mark.parametrize("seed", range(3))
def test_what_spoilt_deliveries_say_is_so_in_the_end_only_where_the_shop_says_it_too(street: Street, seed: int) -> None:
    world, dice = street.world, Random(seed)
    world.move("mug", MUGS, OPENING, "500")
    world.move("cup", CUPS, OPENING, "100")
    shopify, woo = street.open_shopify({"mug": MUGS, "cup": CUPS}), street.open_woo({"mug": MUGS, "cup": CUPS})
    street.settle()
    at_shopify(shopify)
    at_woo(woo)
    taken = 0
    for _ in range(5):
        taken += sum(spoilt_ones(street, shop, dice) for shop in (shopify, woo))
        street.world.now += timedelta(seconds=10)
        while street.worker.step():
            pass
    assert taken > 100
    later(street, 40, times=5)
    assert (world.available("mug", "A"), world.available("cup", "A")) == (MUGS - 4, CUPS)
    assert street.shown_at(shopify, "mug")["A"] == woo.shown()["mug"] == MUGS - 4
    assert world.verify() == []
