"""WooCommerce's products in several languages over real HTTP: a listing each, and one number."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from connectors.base import CatalogueEntry, StockKey, StockWrite, Written
from tests.contract.woo_rig import WooRig, running

BOTH = [(plugin, version) for plugin in ("wpml", "polylang") for version in ("10.2.4", "10.9.0")]


@pytest.fixture(params=BOTH, ids="-".join)
def rig(request: pytest.FixtureRequest) -> Iterator[WooRig]:
    """A mug, a shirt whose sizes have numbers of their own and a cap whose sizes share one, all in French too."""
    plugin, version = request.param
    for made in running(languages=plugin, version=version):
        made.shop = replace(made.shop, facts={"version": version, **told(made)})
        made.add("mug", 9)
        made.pretend.add_variable("shirt", {"shirt-s": 4, "shirt-m": 5})
        made.pretend.add_variable("cap", {"cap-s": None, "cap-m": None}, stock=7)
        made.add("plate", 3)
        for sku in ("mug", "shirt", "cap"):
            made.pretend.add_translation(sku, "fr")
        yield made


def told(rig: WooRig) -> dict[str, str]:
    """What the shop says of its languages when it is connected."""
    return {"languages": rig.connector.read_facts(rig.http, rig.shop)["languages"]}


def catalogue(rig: WooRig) -> list[CatalogueEntry]:
    return [entry for page in rig.connector.read_catalogue(rig.http, rig.shop) for entry in page.entries]


def numbers(entries: Sequence[CatalogueEntry]) -> dict[str, list[str]]:
    """Stock keys by SKU, of every listing."""
    return {
        sku: sorted({e.stock_key for e in entries if e.sku == sku}) for sku in sorted({e.sku or "" for e in entries})
    }


def twin(rig: WooRig, sku: str) -> str:
    """The listing of the French one."""
    product = rig.pretend.state.translated(rig.pretend.state.product_of_sku(sku), "fr")
    return f"{product.parent_id}/{product.id}" if product.parent_id else str(product.id)


def test_each_language_is_a_listing_and_all_of_them_have_the_number_of_the_oldest(rig: WooRig) -> None:
    entries = catalogue(rig)
    keys = {sku: rig.pretend.stock_key(sku) for sku in ("mug", "shirt-s", "shirt-m", "cap-s", "cap-m", "plate")}
    assert numbers(entries) == {sku: [key] for sku, key in sorted(keys.items())}
    assert len(entries) == len({entry.listing_key for entry in entries}) == 11
    (french,) = [entry for entry in entries if entry.listing_key == twin(rig, "mug")]
    assert (french.title, french.stock) == ("Product mug (fr)", ())
    assert {e.stock[0].quantity for e in entries if e.sku == "cap-s" and e.stock} == {7}


def test_the_one_number_is_read_and_written_and_the_shop_copies_it(rig: WooRig) -> None:
    keys = [StockKey(rig.pretend.stock_key(sku)) for sku in ("mug", "shirt-s", "cap-s")]
    assert [r.quantity for r in rig.connector.read_stock(rig.http, rig.shop, keys)] == [9, 4, 7]
    rows = [StockWrite(key, before, before - 1, relative=True) for key, before in zip(keys, (9, 4, 7), strict=True)]
    outcomes = rig.connector.write_stock(rig.http, rig.shop, rows, "k")
    assert outcomes == [Written(keys[0], 8), Written(keys[1], 3), Written(keys[2], 6)]
    assert {product.stock for product in rig.pretend.state.products.values() if product.sku == "mug"} == {8}


@pytest.mark.parametrize("sku", ["mug", "shirt-s", "cap-s"])
def test_whichever_language_is_asked_for_all_that_share_its_number_come_with_it(rig: WooRig, sku: str) -> None:
    ours, theirs = rig.pretend.stock_key(sku), twin(rig, sku)
    wanted = {entry for entry in catalogue(rig) if entry.sku == sku}
    for key in (ours, theirs, theirs.split("/")[0]):
        found = rig.connector.read_entries(rig.http, rig.shop, [key])
        assert {entry for entry in found if entry.sku == sku} == wanted, key


def test_of_what_lies_in_the_trash_nobody_has_the_number(rig: WooRig) -> None:
    for sku in ("mug", "shirt", "cap"):
        rig.pretend.trash_product(sku)
    sold = {
        e.listing_key: e.stock_key for e in catalogue(rig) if e.listing_key in {twin(rig, "mug"), twin(rig, "cap-s")}
    }
    cap = twin(rig, "cap-s")
    assert sold == {twin(rig, "mug"): twin(rig, "mug"), cap: cap.split("/")[0]}
    found = rig.connector.read_entries(rig.http, rig.shop, [twin(rig, "shirt-s")])
    assert [entry.stock_key for entry in found] == [twin(rig, "shirt-s")]


def test_all_languages_are_asked_for_where_the_shop_has_wpml_and_nowhere_else(rig: WooRig) -> None:
    plugin = rig.pretend.options.languages
    assert rig.shop.facts["languages"] == ("wpml" if plugin == "wpml" else "")
    plain = replace(rig.shop, facts={**rig.shop.facts, "languages": ""})
    listed = [e for page in rig.connector.read_catalogue(rig.http, plain) for e in page.entries]
    assert len(listed) == (6 if plugin == "wpml" else 11)


def test_products_that_do_not_both_say_that_they_are_one_thing_have_a_number_each(rig: WooRig) -> None:
    plate = rig.pretend.state.product_of_sku("plate")
    plate.translation_of, plate.language = rig.pretend.product_id("mug"), "de"
    wire = rig.pretend.state.translations

    def forgotten(product: object) -> dict[str, int]:
        return {k: v for k, v in wire(plate).items() if product is plate or k != "de"}

    rig.pretend.state.translations = forgotten  # type: ignore[method-assign]
    entries = {entry.sku: entry.stock_key for entry in catalogue(rig) if entry.listing_key == str(plate.id)}
    assert entries == {"plate": str(plate.id)}
