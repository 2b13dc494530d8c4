"""Webhook in, write out: what one shop sells, the other shows."""

from __future__ import annotations

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
