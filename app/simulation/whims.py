"""Shops that take a call and refuse one product in it for a while: a plugin's fault, a product that is just being
changed, a code that nobody told of."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

from app.simulation.town import AnyShop
from connectors.shopify.errors import USER_ERRORS
from connectors.woocommerce.errors import ITEM_CODES
from sandbox.shopify import PretendShopify
from sandbox.shopify.stock import ROW_NAMED, UserError
from sandbox.woocommerce import WooShop
from sandbox.woocommerce.problem import Problem

SAYING = "The moon is full."
# Every code of theirs but those about exports and about an earlier attempt: of one row, or as if the whole call were at
# fault; that two things are done at once; that a number is not as we expected; a code that nobody told of, and none.
_NOT_OF_A_NUMBER = {"OPERATION_IN_PROGRESS", "LIMIT_REACHED", "INVALID", "IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED"}
SHOPIFY = (*(code for code in USER_ERRORS if code not in _NOT_OF_A_NUMBER), "NEVER_HEARD_OF", None)
# Each says that nothing was done, and nothing was; of a code that nobody knows it may have been.
WOO_BEFORE = tuple((code, 403 if code.endswith("cannot_edit") else 400) for code in ITEM_CODES)
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
