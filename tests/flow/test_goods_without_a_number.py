"""What a shop keeps no number of: goods all the same, where somebody has said which item they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.listings.catalogue import map_listing
from sandbox.shopify import PretendShopify
from sandbox.woocommerce import WooShop
from tests.street import Street
from tests.world import World

OPENING = "opening > available@A"
Shop = PretendShopify | WooShop
BOTH = ["shopify", "woocommerce"]


@pytest.fixture
def street(world: World, tmp_path: Path) -> Street:
    return Street(world, tmp_path, sync={"audit_interval_s": 60})


@pytest.fixture(params=BOTH)
def shop(street: Street, request: pytest.FixtureRequest) -> Shop:
    """Of either vendor, beside another shop that sells the same."""
    for sku in ("mug", "bowl"):
        street.world.move(sku, 10, OPENING, "50")
    stock = {"mug": 10, "bowl": 10}
    opened = street.open_shopify(stock) if request.param == "shopify" else street.open_woo(stock)
    street.open_woo(stock)
    street.settle(5)
    return opened


def keep_number(shop: Shop, sku: str, *, keep: bool) -> None:
    if isinstance(shop, WooShop):
        next(product for product in shop.state.products.values() if product.sku == sku).manage = keep
        shop.rename_product(sku, sku)  # saved: told of
    else:
        shop.variant(sku).tracked = keep


def sell(shop: Shop, sku: str, units: int) -> str | int:
    order = shop.place_order([(sku, units)])
    assert order is not None
    return order


def send_away(shop: Shop, order: str | int) -> None:
    if isinstance(shop, WooShop):
        shop.set_status(int(order), "completed")
    else:
        shop.fulfill(str(order))


def told_of_products(street: Street, shop: Shop) -> None:
    """The shop has told that it keeps no number of the mug any more, or keeps one again."""
    street.settle(street.settings.sync.audit_interval_s + 30, rounds_max=2_000)


def test_what_was_sold_before_the_shop_stopped_keeping_its_number_is_sent_away_and_not_back_on_sale(
    street: Street, shop: Shop
) -> None:
    sent, open_ = sell(shop, "mug", 2), sell(shop, "mug", 3)
    send_away(shop, sent)
    street.settle(10)
    assert (street.world.available("mug"), street.world.level("mug")["committed"]) == (5, 3)
    keep_number(shop, "mug", keep=False)
    told_of_products(street, shop)
    send_away(shop, open_)
    street.settle(10)
    level = street.world.level("mug")
    assert (level["available"], level.get("committed", 0)) == (5, 0)
    assert street.world.verify() == []


def test_what_is_sold_where_no_number_is_kept_is_gone_everywhere_if_somebody_said_which_item_it_is(
    street: Street, shop: Shop
) -> None:
    keep_number(shop, "mug", keep=False)
    told_of_products(street, shop)
    order = sell(shop, "mug", 4)
    street.settle(10)
    assert street.world.level("mug")["committed"] == 4
    other = list(street.shops.values())[-1]
    assert other.shown()["mug"] == 6
    send_away(shop, order)
    street.settle(10)
    level = street.world.level("mug")
    assert (level["available"], level.get("committed", 0)) == (6, 0)
    assert street.world.verify() == []


def test_orders_stay_what_they_were_booked_as_when_their_listing_is_said_to_be_another_item(
    street: Street, shop: Shop
) -> None:
    order = sell(shop, "mug", 2)
    street.settle(10)
    channel = street.channel_of(shop)
    with street.world.session() as session:
        key = session.value(
            """select listing_key from listing where merchant_id = %(merchant_id)s and channel_id = %(channel)s
               and sku = 'mug'""",
            channel=channel,
        )  # fmt: skip
    with street.world.session() as session:
        map_listing(session, channel, key, street.world.item("bowl"))
    send_away(shop, order)
    street.settle(10)
    mug, bowl = street.world.level("mug"), street.world.level("bowl")
    assert (mug["available"], mug.get("committed", 0), bowl["available"]) == (8, 0, 10)
    sell(shop, "mug", 1)  # what is sold since is the other
    street.settle(10)
    assert (street.world.level("mug")["available"], street.world.level("bowl")["available"]) == (8, 9)
    assert street.world.verify() == []
