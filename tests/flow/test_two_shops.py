"""Webhook in, write out: what one shop sells, the other shows."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.woocommerce import WooShop
from tests.street import Street

OPENING = "opening > available@A"


def test_a_sale_on_one_shop_reaches_the_other_within_a_second(street: Street) -> None:
    street.world.move("mug", 10, OPENING, "50")
    shopify, woo = street.open_shopify({"mug": 10}), street.open_woo({"mug": 10})
    street.settle()
    shopify.place_order([("mug", 3)])
    street.settle(1)
    assert (shopify.shown()["mug"], woo.shown()["mug"]) == (7, 7)
    woo.place_order([("mug", 2)])
    street.settle(1)
    assert (shopify.shown()["mug"], woo.shown()["mug"]) == (5, 5)
    assert street.world.level("mug")["committed"] == 5
    assert street.world.verify() == []


@pytest.mark.parametrize("platform", ["shopify", "woo"])
def test_what_a_shop_puts_back_while_units_are_owed_is_not_on_sale_again_seed_85(street: Street, platform: str) -> None:
    street.world.move("mug", 1, "opening > available@A", "5")
    shops: dict[str, Any] = {"shopify": street.open_shopify({"mug": 1}), "woo": street.open_woo({"mug": 1})}
    street.settle()
    shop = shops.pop(platform)
    (other,) = shops.values()
    _, late = shop.place_order([("mug", 2)]), shop.place_order([("mug", 2)])
    street.settle(30)
    assert (shop.shown(), other.shown(), street.world.available("mug")) == ({"mug": -3}, {"mug": 0}, -3)
    street.heard = lambda told: False  # nobody tells us of what happens now
    shop.set_status(late, "cancelled") if isinstance(shop, WooShop) else shop.cancel(late)
    assert (shop.shown(), shop.for_sale()) == ({"mug": -1}, {"mug": 0})
    street.heard = lambda told: True
    street.live(60)
    assert (shop.shown(), other.shown(), street.world.available("mug")) == ({"mug": -1}, {"mug": 0}, -1)
    street.world.move("mug", 5, "supplier > available@A", "25")
    street.live(60)
    assert (shop.shown(), other.shown()) == ({"mug": 4}, {"mug": 4})
    assert street.cases() == []
