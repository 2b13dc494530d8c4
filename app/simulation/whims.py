"""Shops that take a call and refuse one product in it for a while: a plugin's fault, a product that is just being
changed, a code that nobody told of."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

from app.simulation.town import AnyShop
from sandbox.shopify import PretendShopify
from sandbox.shopify.stock import ROW_NAMED, UserError
from sandbox.woocommerce import WooShop
from sandbox.woocommerce.problem import Problem

SAYING = "The moon is full."
# Every code that the schema has for it, but that an earlier attempt failed, which is about a key: of one row, or as if
# the whole call were at fault; that two things are done at once; that a number is not as we expected; a code that
# nobody told of, and none.
SHOPIFY = (
    "CHANGE_FROM_QUANTITY_STALE", "COMPARE_QUANTITY_STALE", "NON_MUTABLE_INVENTORY_ITEM", "INVALID_INVENTORY_ITEM",
    "INVALID_LOCATION", "INVALID_QUANTITY_NEGATIVE", "INVALID_QUANTITY_TOO_HIGH", "INVALID_QUANTITY_TOO_LOW",
    "IDEMPOTENCY_CONCURRENT_REQUEST", "IDEMPOTENCY_KEY_PARAMETER_MISMATCH", "ADJUST_QUANTITIES_FAILED",
    "SERVICE_UNAVAILABLE", "COMPARE_QUANTITY_REQUIRED", "INVALID_NAME", "INVALID_REASON",
    "INVALID_REFERENCE_DOCUMENT", "NO_DUPLICATE_INVENTORY_ITEM_ID_GROUP_ID_PAIR", "INTERNAL_LEDGER_DOCUMENT",
    "INVALID_AVAILABLE_DOCUMENT", "INVALID_LEDGER_DOCUMENT", "INVALID_QUANTITY_DOCUMENT", "INVALID_QUANTITY_NAME",
    "MAX_ONE_LEDGER_DOCUMENT", "NEVER_HEARD_OF", None,
)  # fmt: skip
# Each says that nothing was done, and nothing was; of a code that nobody knows it may have been.
WOO_BEFORE = (
    ("woocommerce_rest_product_invalid_id", 400),
    ("woocommerce_rest_product_variation_invalid_id", 400),
    ("woocommerce_rest_invalid_product_id", 400),
    ("woocommerce_rest_cannot_edit", 403),
    ("rest_invalid_param", 400),
)
WOO_UNCLEAR = (("product_moon", 400), ("rest_invalid_param", 500), ("woocommerce_rest_error", 503))


def refuse(shop: AnyShop, sku: str, dice: Random) -> None:
    """From now on the shop refuses to have that product's number written."""
    if isinstance(shop, PretendShopify):
        named = dice.choice((ROW_NAMED, ROW_NAMED, ("input",)))
        shop.inventory.refused[shop.variant(sku).item_id] = UserError(dice.choice(SHOPIFY), SAYING, named)
    elif isinstance(shop, WooShop):
        code, status = dice.choice((*WOO_BEFORE, *WOO_UNCLEAR))
        saved = (code, status) in WOO_UNCLEAR and dice.random() < 0.5
        shop.state.refused[shop.state.by_sku[sku]] = (Problem(status, code, SAYING), saved)


def accept(shop: AnyShop, skus: Iterable[str]) -> None:
    """It does not any more."""
    for sku in skus:
        if isinstance(shop, PretendShopify):
            shop.inventory.refused.pop(shop.variant(sku).item_id, None)
        elif isinstance(shop, WooShop):
            shop.state.refused.pop(shop.state.by_sku[sku], None)
