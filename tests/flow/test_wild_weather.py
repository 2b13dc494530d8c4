"""Everything goes wrong at once, in virtual time, seeded: no unit is lost or doubled and both shops end equal.

The audit knows only the shops' own order books.
"""

from __future__ import annotations

from datetime import timedelta
from random import Random

import pytest

from sandbox.faults import NONE, WILD
from tests.street import Street

SKUS = ("mug", "cup", "pan", "jug")
OPENING = 60


def sell_a_little(street: Street, dice: Random, orders: list[tuple[object, object]]) -> None:
    shop = dice.choice(list(street.shops.values()))
    lines = [(sku, dice.randint(1, 2)) for sku in dice.sample(SKUS, dice.randint(1, 2))]
    order = shop.place_order(lines)
    if order is not None:
        orders.append((shop, order))


def change_something(street: Street, dice: Random, orders: list[tuple[object, object]]) -> None:
    from sandbox.shopify import PretendShopify

    if not orders:
        return
    shop, order = orders.pop(dice.randrange(len(orders)))
    if isinstance(shop, PretendShopify):
        dice.choice([shop.fulfill, shop.cancel])(order)
    else:
        shop.set_status(order, dice.choice(["completed", "cancelled", "on-hold", "failed"]))  # type: ignore[attr-defined]


@pytest.mark.parametrize("seed", range(6))
def test_no_unit_is_lost_or_doubled_whatever_the_channels_do(street: Street, seed: int) -> None:
    dice = Random(seed)
    street.rng.seed(seed)
    for sku in SKUS:
        street.world.move(sku, OPENING, "opening > available@A", "100")
    stock = dict.fromkeys(SKUS, OPENING)
    street.open_shopify(stock)
    street.open_woo(stock)
    street.settle(2)
    for shop in street.shops.values():
        shop.context.faults = WILD
    orders: list[tuple[object, object]] = []
    for _ in range(60):
        sell_a_little(street, dice, orders)
        if dice.random() < 0.3:
            change_something(street, dice, orders)
        street.live(dice.uniform(0.1, 1.5))
        if dice.random() < 0.05:
            street.world.move(dice.choice(SKUS), dice.randint(1, 20), "supplier > available@A", "50")
    for shop in street.shops.values():
        shop.context.faults = NONE
    street.world.now += timedelta(seconds=31)
    street.settle(90, rounds_max=3000)
    assert street.world.verify() == []
    for shop in street.shops.values():
        assert shop.shown() == {sku: max(0, street.world.available(sku)) for sku in SKUS}
    assert street.parked() == []
