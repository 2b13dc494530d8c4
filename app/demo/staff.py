"""What staff of the two shops do to an order after it was placed: ship, take back, cancel, edit.

Each step takes the order and the dice; the caller holds the shop's lock. A step that finds nothing left to do does
nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random

from sandbox.shopify import PretendShopify
from sandbox.woocommerce import WooShop

Step = Callable[[str, Random], None]
ONE_MORE = 0.4  # of edits


def shopify_steps(shop: PretendShopify) -> Mapping[str, Step]:
    """By name: ship, take_back (after shipping, on sale again), keep (after shipping, not restocked), give_back
    (before, on sale again), hold_back (before, not restocked), cancel, edit."""

    def ship(order: str, rng: Random) -> None:
        shop.fulfill(order)

    def cancel(order: str, rng: Random) -> None:
        shop.cancel(order)

    return {
        "ship": ship,
        "cancel": cancel,
        "take_back": lambda order, rng: _shopify_refund(shop, order, rng, "RETURN"),
        "keep": lambda order, rng: _shopify_refund(shop, order, rng, "NO_RESTOCK"),
        "give_back": lambda order, rng: _shopify_refund(shop, order, rng, "CANCEL"),
        "hold_back": lambda order, rng: _shopify_refund(shop, order, rng, "NO_RESTOCK"),
        "edit": lambda order, rng: _shopify_edit(shop, order, rng),
    }


def _shopify_refund(shop: PretendShopify, order: str, rng: Random, restock: str) -> None:
    line = rng.choice(shop.order(order).lines)
    if line.current:
        shop.refund(order, {line.id: rng.randint(1, line.current)}, restock)


def _shopify_edit(shop: PretendShopify, order: str, rng: Random) -> None:
    """One more, as far as there is one where it would come from, or one fewer."""
    found = shop.order(order)
    line = rng.choice(found.lines)
    place = next(iter(found.open_allocations()), found.allocations[-1]).location_id
    more = rng.random() < ONE_MORE
    if more and line.variant is not None and shop.inventory.available(line.variant.item_id, place) > 0:
        shop.edit_line(order, line.id, line.current + 1)
    elif not more and line.current:
        shop.edit_line(order, line.id, line.current - 1)


def woo_steps(shop: WooShop) -> Mapping[str, Step]:
    """The same steps in a WooCommerce shop."""

    def ship(order: str, rng: Random) -> None:
        shop.set_status(int(order), "completed")

    def cancel(order: str, rng: Random) -> None:
        shop.set_status(int(order), "cancelled")

    return {
        "ship": ship,
        "cancel": cancel,
        "take_back": lambda order, rng: _woo_refund(shop, order, rng, restock=True),
        "keep": lambda order, rng: _woo_refund(shop, order, rng, restock=False),
        "give_back": lambda order, rng: _woo_refund(shop, order, rng, restock=True),
        "hold_back": lambda order, rng: _woo_refund(shop, order, rng, restock=False),
        "edit": lambda order, rng: _woo_edit(shop, order, rng),
    }


def _woo_refund(shop: WooShop, order: str, rng: Random, *, restock: bool) -> None:
    line = rng.choice(shop.get_order(int(order)).lines)
    if line.quantity:
        shop.refund(int(order), {line.id: rng.randint(1, line.quantity)}, restock=restock)


def _woo_edit(shop: WooShop, order: str, rng: Random) -> None:
    found = shop.get_order(int(order))
    line = rng.choice(found.lines)
    more = rng.random() < ONE_MORE
    if more and (shop.state.product_of_sku(line.sku or "").stock or 0) > 0:
        shop.edit_line(found.id, line.id, line.quantity + 1)
    elif not more and line.quantity > 1:
        shop.edit_line(found.id, line.id, line.quantity - 1)
