"""The shop's sellables: every simple product and every variation, page by page.

A variable product is not sold itself, so it is no entry; where it manages the stock, its variations carry its key.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal

from connectors.base import CatalogueEntry, StockKey
from connectors.errors import Malformed, NotFound, Refused
from connectors.export import CataloguePage
from connectors.woocommerce import fields
from connectors.woocommerce.api import FIRST, PAGE, Api, Params, Place
from connectors.woocommerce.families import Families, by_id, family, has_variations, title
from connectors.woocommerce.fields import Node
from connectors.woocommerce.orders import listing_key
from connectors.woocommerce.stock import has_flat_variations, reading

PRODUCTS, VARIATIONS = "products", "variations"  # the listings, in the order in which they are read
ANY: Params = {"status": "any"}
NOT_SOLD = frozenset({"grouped", "external"})  # a page that links to others, or to another shop
BUNDLES = frozenset({"bundle", "composite", "woosb", "yith_bundle", "mix-and-match"})


def read_catalogue(api: Api, after: str) -> Iterator[CataloguePage]:
    """Pages of entries, from where `after` says. Since 10.3 all variations come in one listing, before that per
    parent."""
    listing, place = _opened(after)
    flat = has_flat_variations(api.shop.facts)
    products = api.count("products", ANY)
    total = products + (api.count("variations", ANY) if flat else 0)
    families = Families(api)
    if listing == PRODUCTS:
        yield from _products(api, place, total, families, flat=flat)
        place = FIRST
    if flat:
        yield from _variations(api, place, (products, total), families)


def _products(api: Api, place: Place, total: int, families: Families, *, flat: bool) -> Iterator[CataloguePage]:
    """`families` learns of them."""
    at = place
    for page in api.pages_from("products", ANY, place):
        families.learn(page.rows)
        entries = [_entry(row, 0, title(row), families) for row in page.rows if _is_sold_itself(row)]
        if not flat:
            parents = [fields.key(row.get("id"), "product.id") for row in page.rows if has_variations(row)]
            for found in _per_parent(api, parents, families):
                yield CataloguePage(found, _after(PRODUCTS, at))
        at = page.following
        yield CataloguePage(entries, _after(PRODUCTS, at), min(page.page * PAGE, total), total)


def _is_sold_itself(row: Node) -> bool:
    return not has_variations(row) and str(row.get("type")) not in NOT_SOLD


def _variations(
    api: Api, place: Place, counts: tuple[int, int], families: Families
) -> Iterator[CataloguePage]:  # fmt: skip
    """`counts`: of products, and in all."""
    products, total = counts
    for page in api.pages_from("variations", ANY, place):
        families.look_up(map(_parent_of, page.rows))
        entries = [_variation(row, families) for row in page.rows]
        yield CataloguePage(entries, _after(VARIATIONS, page.following), min(products + page.page * PAGE, total), total)


def _after(listing: str, place: Place) -> str:
    return f"{listing}:{place.page}:{'' if place.total is None else place.total}"


def _opened(after: str) -> tuple[str, Place]:
    """What `_after` made. Raises `Refused` for what it did not make."""
    if not after:
        return PRODUCTS, FIRST
    listing, _, rest = after.partition(":")
    page, _, total = rest.partition(":")
    if listing not in (PRODUCTS, VARIATIONS) or not page.isdecimal() or not (total.isdecimal() or not total):
        raise Refused("bad_place", "not a place in this catalogue")
    return listing, Place(max(1, int(page)), int(total) if total else None)


def read_entries(api: Api, keys: Sequence[str]) -> list[CatalogueEntry]:
    """What is sold under these keys: a product, all variations of one that has some, or the variation of `13/14`
    wherever it belongs now, and all that share their numbers. What is in the trash is not sold."""
    plain = [key for key in dict.fromkeys(keys) if "/" not in key]
    families, entries = Families(api), list[CatalogueEntry]()
    rows = _with_relatives(api, "products", by_id(api, "products", plain))
    families.learn(rows)
    for row in rows:
        if has_variations(row):
            own = fields.key(row.get("id"), "product.id")
            entries += [entry for page in _per_parent(api, [own], families) for entry in page]
        elif str(row.get("type")) not in NOT_SOLD:
            entries.append(_entry(row, 0, title(row), families))
    return entries + _variations_named(api, [key for key in dict.fromkeys(keys) if "/" in key], families)


def _with_relatives(api: Api, path: str, rows: list[Node]) -> list[Node]:
    have = {fields.key(row.get("id"), "product.id") for row in rows}
    others = sorted({one for row in rows for one in family(row)} - have)
    return rows + by_id(api, path, list(map(str, others)))


def _variations_named(api: Api, keys: Sequence[str], families: Families) -> list[CatalogueEntry]:
    pairs = [(parent, own) for parent, _, own in (key.partition("/") for key in keys)]
    if has_flat_variations(api.shop.facts):
        rows = _with_relatives(api, "variations", by_id(api, "variations", [own for _, own in pairs]))
    else:
        rows = _named_per_parent(api, pairs, families)
    families.look_up(map(_parent_of, rows))
    # A variation goes to the trash with its product, which alone says so.
    return [_variation(row, families) for row in rows if families.find(_parent_of(row)) is not None]


def _named_per_parent(api: Api, pairs: Sequence[tuple[str, str]], families: Families) -> list[Node]:
    """Before 10.3: those that are named, and their relatives below the relatives of their product."""
    rows: list[Node] = []
    for parent in {parent for parent, _ in pairs if fields.is_count(parent)}:
        found = _of_parent(api, parent, [own for of, own in pairs if of == parent])
        rows += found
        relatives = [str(one) for row in found for one in family(row) if len(family(row)) > 1]
        if relatives:
            families.look_up([int(parent)])
            product = families.find(int(parent))
            others = [str(one) for one in product.family if one != int(parent)] if product else []
            rows += [row for other in others for row in _of_parent(api, other, relatives)]
    return rows


def _of_parent(api: Api, parent: str, own: Sequence[str]) -> list[Node]:
    try:
        return [{**row, "parent_id": int(parent)} for row in by_id(api, f"products/{int(parent)}/variations", own)]
    except NotFound as error:
        if error.reason != "no_such_product":
            raise
        return []


def _per_parent(api: Api, parents: Sequence[int], families: Families) -> Iterator[Sequence[CatalogueEntry]]:
    for parent in parents:
        for rows in api.pages(f"products/{parent}/variations", {"status": "any"}):
            yield [_variation({**row, "parent_id": parent}, families) for row in rows]


def _parent_of(row: Node) -> int:
    return fields.key(row.get("parent_id"), "variation.parent_id")


def _variation(row: Node, families: Families) -> CatalogueEntry:
    product = families.find(_parent_of(row))
    names = (product.title if product else "", title(row))
    return _entry(row, _parent_of(row), " - ".join(filter(None, names)), families)


def _entry(row: Node, parent: int, name: str, families: Families) -> CatalogueEntry:
    own = fields.key(row.get("id"), "product.id")
    listing = listing_key(parent or own, own if parent else 0) or ""
    stock_key = families.stock_key(row, parent)
    # What has its number from a relative shows a copy, which may be late.
    is_kept_here = stock_key in (listing, str(parent))
    return CatalogueEntry(
        listing_key=listing,
        stock_key=stock_key,
        sku=_clean(row.get("sku")),
        title=name.replace("\x00", ""),
        barcode=_clean(row.get("global_unique_id")),
        tracked=row.get("manage_stock") in (True, "parent"),
        price=_amount(row.get("price")),
        unit_cost=_cost(row.get("cost_of_goods_sold")),
        stock=(reading(StockKey(stock_key), row),) if is_kept_here else (),
        bundle=str(row.get("type")) in BUNDLES,
    )


def _clean(value: object) -> str | None:
    """Text of a catalogue: one bad SKU is no reason to refuse the shop's other products, so it counts as none."""
    try:
        text = fields.text(value, "")
    except Malformed:
        return None
    return None if text is None or "\x00" in text else text


def _amount(value: object) -> Decimal | None:
    try:
        return fields.amount(value, "")
    except Malformed:
        return None


def _cost(value: object) -> Decimal | None:
    """`cost_of_goods_sold.total_value`; there only while the feature is on, and 0 where nobody entered a cost."""
    return (_amount(value.get("total_value")) or None) if isinstance(value, dict) else None
