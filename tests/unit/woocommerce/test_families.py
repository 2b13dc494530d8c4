"""Which products are one thing in several languages, by what a body says of its translations."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from connectors.base import Notice, NoticeKind, Shop
from connectors.woocommerce import WooCommerce
from connectors.woocommerce.families import family

SHOP = Shop("https://shop.example", "shop.example", {})


@pytest.mark.parametrize(
    "translations",
    [
        {"en": 7, "fr": 8},  # WPML since 4.11, Polylang: its own id is among them
        {"en": 7},  # WPML before: only the others
        {"en": "7", "fr": "8"},
        {"en": 7, "fr": 8, "de": "", "it": None, "es": {"id": 3}, "nl": [3], "pt": True, "xx": "3.5", "yy": -3},
    ],
)
def test_a_translation_is_of_the_family_of_the_oldest(translations: object) -> None:
    assert family({"id": 8, "translations": translations}) == (7, 8)


@pytest.mark.parametrize(
    "translations", [[], None, "", 7, [7], {}, {"fr": 8}, {"en": 0}, {str(n): n for n in range(1, 202)}]
)
def test_what_names_no_translation_or_none_that_can_be_read_is_alone(translations: object) -> None:
    assert family({"id": 8, "translations": translations}) == (8,)
    assert family({"id": 8}) == (8,)


def told(**body: Any) -> Notice:
    product = {"id": 8, "type": "simple", "parent_id": 0, "manage_stock": True, "stock_quantity": 5, "sku": "A", **body}
    return WooCommerce().notice(SHOP, {"x-wc-webhook-topic": "product.updated"}, orjson.dumps(product))


def test_a_delivery_of_a_translation_speaks_for_the_number_of_the_oldest_and_for_its_own_listing() -> None:
    notice = told(translations={"en": 7, "fr": 8})
    assert (notice.kind, notice.resource_key) == (NoticeKind.OBSERVATION, "7")
    seen = orjson.loads(notice.body or b"")
    assert (seen["stock_key"], seen["listing_key"], seen["quantity"]) == ("7", "8", 5)


def test_a_delivery_of_the_oldest_speaks_for_itself() -> None:
    assert told(translations={"en": 8, "fr": 9}).resource_key == "8"


@pytest.mark.parametrize("manages", [True, "parent"])
def test_a_delivery_of_a_translated_variation_rings_for_the_oldest_since_it_does_not_name_that_ones_product(
    manages: object,
) -> None:
    notice = told(type="variation", parent_id=20, translations={"en": 4, "fr": 8}, manage_stock=manages)
    assert (notice.kind, notice.resource, notice.resource_key) == (NoticeKind.DOORBELL, "stock", "4")
    own = told(type="variation", parent_id=20, translations={"en": 8, "fr": 9}, manage_stock=manages)
    assert (own.kind, own.resource_key) == (NoticeKind.OBSERVATION, "20" if manages == "parent" else "20/8")
