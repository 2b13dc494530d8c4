"""A pretend shop that was put away and opened again is the same shop."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random

from sandbox.base import Context
from sandbox.memory import SKIPPED_IDS, recall, remember
from sandbox.shopify import PretendShopify
from sandbox.shopify.state import number
from sandbox.woocommerce import WooShop

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def context() -> Context:
    return Context(lambda: NOW, Random(1))


def test_a_shopify_shop_goes_on_with_its_numbers_orders_and_subscriptions() -> None:
    shop, again = PretendShopify(context()), PretendShopify(context())
    place = shop.add_location("A")
    shop.add_variant("mug", {place: 5})
    shop.subscribe("ORDERS_CREATE", "https://perpetual.test/hook")
    order = shop.place_order([("mug", 2)])
    assert order is not None
    recall(again, remember(shop))
    again.cancel(order)
    assert again.shown() == {"mug": 5}
    assert [delivery.headers["X-Shopify-Topic"] for delivery in again.due_deliveries()] == ["orders/create"]
    later = again.place_order([("mug", 1)])
    assert later is not None
    assert number(later) > number(order) + SKIPPED_IDS
    assert again.shown() == {"mug": 4}


def test_a_woocommerce_shop_goes_on_with_its_numbers_orders_and_webhooks() -> None:
    shop, again = WooShop(context()), WooShop(context())
    shop.add_product("mug", 5)
    shop.add_hook("order.updated", "https://perpetual.test/hook", "s")
    order = shop.place_order([("mug", 2)])
    assert order is not None
    recall(again, remember(shop))
    again.due_deliveries()
    again.set_status(order, "cancelled")
    assert again.shown() == {"mug": 5}
    assert [delivery.headers.get("X-WC-Webhook-Topic") for delivery in again.due_deliveries()] == ["order.updated"]
    later = again.place_order([("mug", 1)])
    assert later is not None
    assert later > order + SKIPPED_IDS
