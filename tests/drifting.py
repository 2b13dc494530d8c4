"""A street where somebody edits numbers by hand, and what becomes of it."""

from __future__ import annotations

import pytest

from app.core.db import Row
from app.listings.channels import set_drift_policy
from sandbox.shopify import PretendShopify
from sandbox.shopify.state import gid
from sandbox.woocommerce import WooShop
from tests.street import Street

Shop = PretendShopify | WooShop
OPENING = "opening > available@A"
PLATFORMS = pytest.mark.parametrize("platform", ["shopify", "woo"])


def open_shops(street: Street, platform: str, policy: str, *, units: int = 20) -> tuple[Shop, Shop]:
    """(the shop whose number is edited, another one of the same merchant), both showing `units` mugs."""
    street.world.move("mug", units, OPENING, "100")
    shops: dict[str, Shop] = {"shopify": street.open_shopify({"mug": units}), "woo": street.open_woo({"mug": units})}
    street.settle(10)
    shop = shops.pop(platform)
    with street.world.session() as session:
        set_drift_policy(session, street.channel_of(shop), policy)
    return shop, next(iter(shops.values()))


def edit(shop: Shop, by: int, sku: str = "mug", place: int = 0) -> None:
    """Somebody changes the number in the shop's admin."""
    if isinstance(shop, WooShop):
        shop.set_stock_by_hand(sku, shop.shown()[sku] + by)
    else:
        key = list(shop.locations)[place]
        now = shop.inventory.available(shop.variant(sku).item_id, key)
        shop.set_stock_by_hand(sku, gid("Location", key), now + by)


def audit(street: Street, seconds: float = 90) -> None:
    """Every number is read now, and whatever comes of it done."""
    with street.world.session() as session:
        session.run("update channel_poll set due_at = %(now)s where merchant_id = %(merchant_id)s", now=session.now)
    street.settle(seconds)


def cases(street: Street, kind: str = "drift") -> list[Row]:
    with street.world.session() as session:
        return list(
            session.rows(
                """select * from case_file where merchant_id = %(merchant_id)s and kind = %(kind)s order by case_id""",
                kind=kind,
            )
        )


def causes(street: Street) -> list[tuple[str, str]]:
    return [(case.cause, case.state) for case in cases(street)]


def numbers(street: Street, *shops: Shop) -> tuple[int, ...]:
    """The ledger's number and what each shop shows."""
    return (sum(street.world.available("mug", place) for place in "AB"), *(shop.shown()["mug"] for shop in shops))


def adjustments(street: Street) -> list[tuple[str, int, str]]:
    """(key, units, where they went) of what was adjusted."""
    with street.world.session() as session:
        rows = session.rows(
            """select source_key, quantity, to_state::text as state, reason from movement
               where merchant_id = %(merchant_id)s and source = 'drift' order by movement_id"""
        )
    assert {row.reason for row in rows} <= {"drift"}
    return [(row.source_key, row.quantity, row.state) for row in rows]


def sell_a_while(street: Street, shop: Shop, other: Shop, rounds: int = 4) -> None:
    """Both sell one mug each round; deliveries and the worker go on."""
    for _ in range(rounds):
        shop.place_order([("mug", 1)])
        other.place_order([("mug", 1)])
        street.live(3)
