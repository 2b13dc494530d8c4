"""A WooCommerce product in two languages is two products whose numbers the shop copies: one item, one number, and one
write for each change."""

from __future__ import annotations

import pytest

from sandbox.shopify import PretendShopify
from sandbox.woocommerce import WooShop
from tests.drifting import audit
from tests.steps.test_catalogue_import import again
from tests.street import Street

OPENING = "opening > available@A"
PLUGINS = pytest.mark.parametrize("plugin", ["wpml", "polylang"])


def open_shops(street: Street, plugin: str) -> tuple[WooShop, PretendShopify]:
    """Both sell a mug and a shirt of one size; WooCommerce does so in French as well."""
    for sku in ("mug", "shirt-s"):
        street.world.move(sku, 20, OPENING, "100")
    woo = street.open_woo({"mug": 20}, languages=plugin)
    woo.add_variable("shirt", {"shirt-s": 20})
    for sku in ("mug", "shirt"):
        woo.add_translation(sku, "fr")
    again(street, woo)
    shopify = street.open_shopify({"mug": 20, "shirt-s": 20})
    street.settle(40)
    return woo, shopify


def shown(woo: WooShop, sku: str) -> list[int | None]:
    """What each language shows."""
    return [product.stock for product in woo.state.products.values() if product.sku == sku]


def written(woo: WooShop, sku: str) -> list[int]:
    return [write.quantity for write in woo.context.writes if write.sku == sku]


@PLUGINS
@pytest.mark.parametrize("sku", ["mug", "shirt-s"])
def test_a_product_in_two_languages_is_one_item_with_one_number_that_never_swings(
    street: Street, plugin: str, sku: str
) -> None:
    woo, shopify = open_shops(street, plugin)
    woo.place_order([(sku, 1)], language="en")
    street.settle(30)
    woo.place_order([(sku, 2)], language="fr")
    street.settle(30)
    assert (shown(woo, sku), shopify.shown()[sku], written(woo, sku)) == ([17, 17], 17, [])
    shopify.place_order([(sku, 3)])
    street.settle(30)
    assert (shown(woo, sku), shopify.shown()[sku], written(woo, sku)) == ([14, 14], 14, [14])
    street.world.move(sku, 5, "supplier > available@A", "25")
    audit(street)
    audit(street)
    assert (shown(woo, sku), shopify.shown()[sku], written(woo, sku)) == ([19, 19], 19, [14, 19])
    assert street.world.available(sku) == 19
    assert (street.parked(), street.cases(), street.world.verify()) == ([], [], [])


@PLUGINS
def test_an_order_of_either_language_that_is_given_back_is_booked_once(street: Street, plugin: str) -> None:
    woo, shopify = open_shops(street, plugin)
    order = woo.place_order([("mug", 2), ("shirt-s", 1)], language="fr") or 0
    street.settle(30)
    assert (street.world.available("mug"), street.world.available("shirt-s")) == (18, 19)
    woo.set_status(order, "cancelled")
    audit(street)
    assert (shown(woo, "mug"), shown(woo, "shirt-s"), shopify.shown()) == (
        [20, 20],
        [20, 20],
        {"mug": 20, "shirt-s": 20},
    )
    assert woo.context.writes == []


@PLUGINS
@pytest.mark.parametrize("sku", ["mug", "shirt-s"])
def test_a_number_that_somebody_changes_at_a_translation_is_noticed_at_the_number_that_all_share(
    street: Street, plugin: str, sku: str
) -> None:
    woo, _ = open_shops(street, plugin)
    french = woo.state.translated(woo.state.product_of_sku(sku), "fr")
    french.stock = 4
    woo.state.touch_product(french)
    woo._hooks.emit("product.updated", french.id)
    street.settle(60)
    assert shown(woo, sku) == [20, 20]
    assert street.cases("corrected") == ["drift"]


@PLUGINS
def test_a_product_that_is_translated_later_joins_the_number_that_is_there(street: Street, plugin: str) -> None:
    street.world.move("mug", 20, OPENING, "100")
    woo = street.open_woo({"mug": 20}, languages=plugin)
    street.settle(10)
    french = woo.add_translation("mug", "fr")
    again(street, woo)
    woo.place_order([("mug", 2)], language="fr")
    street.settle(30)
    with street.world.session() as session:
        rows = session.rows(
            """select l.listing_key, l.stock_key, l.item_id = i.item_id as same from listing l join item i using (sku)
               where l.merchant_id = %(merchant_id)s and i.merchant_id = l.merchant_id and l.gone_at is null"""
        )
    own = str(woo.product_id("mug"))
    assert {tuple(row) for row in rows} == {(own, own, True), (str(french), own, True)}
    street.world.move("mug", 1, "available@A > shrinkage")
    street.settle(30)
    assert (shown(woo, "mug"), written(woo, "mug"), street.parked()) == ([17, 17], [17], [])


@PLUGINS
def test_renaming_one_language_does_not_take_the_other_off_the_list(street: Street, plugin: str) -> None:
    woo, _ = open_shops(street, plugin)
    woo.state.product_of_sku("mug").sku = "cup"
    woo._hooks.emit("product.updated", woo.product_id("mug"))
    street.settle(60)
    with street.world.session() as session:
        gone = session.value("select count(*) from listing where merchant_id = %(merchant_id)s and gone_at is not null")
    assert gone == 0
