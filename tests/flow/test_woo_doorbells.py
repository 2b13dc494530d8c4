"""WooCommerce's stock doorbells carry one bare id: whatever carries a number under it is looked at, nothing else is."""

from __future__ import annotations

import pytest

from app.listings.belief import look_at
from sandbox.woocommerce import WooShop
from tests.steps.test_catalogue_import import again
from tests.street import Street

STOCK_TOPIC = "action.woocommerce_updated_product_stock"


@pytest.fixture
def shop(street: Street) -> WooShop:
    """A shirt in two sizes that have numbers of their own, and a mug; all as the ledger has them."""
    for sku in ("shirt-s", "shirt-m", "mug"):
        street.world.move(sku, 5, "opening > available@A", "5")
    shop = street.open_woo({"mug": 5})
    shop.add_variable("shirt", {"shirt-s": 5, "shirt-m": 5})
    again(street, shop)
    street.settle(40)
    street.heard = lambda posted: posted.headers.get("X-WC-Webhook-Topic") == STOCK_TOPIC
    return shop


def asked(street: Street) -> list[str]:
    """Stock keys that somebody wants looked at."""
    with street.world.session() as session:
        rows = session.rows(
            """select stock_key from stock_owner
               where merchant_id = %(merchant_id)s and look_since is not null order by stock_key"""
        )
    return [row.stock_key for row in rows]


def ring(street: Street, shop: WooShop, key: str) -> None:
    with street.world.session() as session:
        look_at(session, street.channel_of(shop), [key])


@pytest.mark.parametrize("sku", ["shirt-s", "mug"])
def test_a_number_changed_by_hand_is_found_by_a_doorbell_that_names_the_bare_id(
    street: Street, shop: WooShop, sku: str
) -> None:
    number = shop.product_id(sku)
    shop.set_stock_by_sql(sku, 2)
    shop._hooks.emit(STOCK_TOPIC, number)
    street.settle(15)
    assert shop.shown()[sku] == 5
    assert (street.cases(), street.cases("corrected")) == ([], ["drift"])


def test_a_variations_bare_id_is_looked_for_in_the_key_that_holds_it(street: Street, shop: WooShop) -> None:
    key = shop.stock_key("shirt-s")
    parent, own = key.split("/")
    assert parent != own == str(shop.product_id("shirt-s"))
    ring(street, shop, own)
    assert asked(street) == [key]


def test_a_parents_id_asks_for_all_of_its_variations_and_for_no_other_product(street: Street, shop: WooShop) -> None:
    ring(street, shop, shop.stock_key("shirt-s").split("/")[0])
    assert asked(street) == sorted(shop.stock_key(sku) for sku in ("shirt-s", "shirt-m"))


def test_an_id_that_is_only_a_part_of_a_number_is_nobodys(street: Street, shop: WooShop) -> None:
    ring(street, shop, shop.stock_key("shirt-s").split("/")[1][:-1] or "0")
    ring(street, shop, "")
    assert asked(street) == []


def test_a_shopify_item_is_named_in_full_or_not_at_all(street: Street) -> None:
    street.world.move("mug", 5, "opening > available@A", "5")
    shopify = street.open_shopify({"mug": 5})
    street.settle()
    key = shopify.variant("mug").item_key
    with street.world.session() as session:
        look_at(session, street.channel_of(shopify), ["gid://shopify/InventoryItem/1", ""])
    assert asked(street) == []
    with street.world.session() as session:
        look_at(session, street.channel_of(shopify), [key])
    assert asked(street) == [key]
