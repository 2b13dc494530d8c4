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
from connectors.woocommerce.api import FIRST, PAGE, Api, Params, Place, chunks
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
    titles: dict[str, str] = {}
    if listing == PRODUCTS:
        yield from _products(api, place, total, titles, flat=flat)
        place = FIRST
    if flat:
        yield from _variations(api, place, (products, total), titles)


def _products(api: Api, place: Place, total: int, titles: dict[str, str], *, flat: bool) -> Iterator[CataloguePage]:
    """`titles` gains those of the variable ones."""
    at = place
    for page in api.pages_from("products", ANY, place):
        entries = [
            _entry(row, 0, _title(row))
            for row in page.rows
            if not _has_variations(row) and row.get("type") not in NOT_SOLD
        ]
        parents = {fields.key(row.get("id"), "product.id"): _title(row) for row in page.rows if _has_variations(row)}
        titles.update({str(key): title for key, title in parents.items()})
        if not flat:
            for found in _per_parent(api, parents):
                yield CataloguePage(found, _after(PRODUCTS, at))
        at = page.following
        yield CataloguePage(entries, _after(PRODUCTS, at), min(page.page * PAGE, total), total)


def _variations(
    api: Api, place: Place, counts: tuple[int, int], titles: dict[str, str]
) -> Iterator[CataloguePage]:  # fmt: skip
    """`counts`: of products, and in all."""
    products, total = counts
    for page in api.pages_from("variations", ANY, place):
        parents = {str(fields.key(row.get("parent_id"), "parent_id")) for row in page.rows}
        titles.update(
            {str(row.get("id")): _title(row) for row in _by_id(api, "products", sorted(parents - titles.keys()))}
        )
        entries = [_variation(row, titles.get(str(row.get("parent_id")), "")) for row in page.rows]
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
    wherever it belongs now. What is in the trash is not sold."""
    plain = [key for key in dict.fromkeys(keys) if "/" not in key]
    entries: list[CatalogueEntry] = []
    for row in _by_id(api, "products", plain):
        if _has_variations(row):
            found = _per_parent(api, {fields.key(row.get("id"), "product.id"): _title(row)})
            entries += [entry for page in found for entry in page]
        elif row.get("type") not in NOT_SOLD:
            entries.append(_entry(row, 0, _title(row)))
    return entries + _variations_named(api, [key for key in dict.fromkeys(keys) if "/" in key])


def _variations_named(api: Api, keys: Sequence[str]) -> list[CatalogueEntry]:
    pairs = [(parent, own) for parent, _, own in (key.partition("/") for key in keys)]
    if has_flat_variations(api.shop.facts):
        rows = _by_id(api, "variations", [own for _, own in pairs])
    else:
        rows = [{**row, "parent_id": int(parent)} for parent in {parent for parent, _ in pairs}
                for row in _of_parent(api, parent, [own for of, own in pairs if of == parent])]  # fmt: skip
    parents = {str(fields.key(row.get("parent_id"), "variation.parent_id")) for row in rows}
    titles = {str(row.get("id")): _title(row) for row in _by_id(api, "products", sorted(parents))}
    # A variation goes to the trash with its product, which alone says so.
    return [_variation(row, titles[str(row["parent_id"])]) for row in rows if str(row["parent_id"]) in titles]


def _of_parent(api: Api, parent: str, own: Sequence[str]) -> list[Node]:
    try:
        return _by_id(api, f"products/{int(parent)}/variations", own)
    except NotFound as error:
        if error.reason != "no_such_product":
            raise
        return []


def _by_id(api: Api, path: str, ids: Sequence[str]) -> list[Node]:
    """The rows of a listing that have these ids, whatever their status but the trash; ids that are none are not asked
    for, since one of them would have the whole call refused."""
    known = [key for key in ids if key.isascii() and key.isdecimal()]
    return [
        row
        for chunk in chunks(known)
        for row in api.listed(path, {"include": ",".join(chunk), "status": "any", "per_page": 100, "orderby": "id"})
    ]


def _per_parent(api: Api, parents: dict[int, str]) -> Iterator[Sequence[CatalogueEntry]]:
    for parent, title in parents.items():
        for rows in api.pages(f"products/{parent}/variations", {"status": "any"}):
            yield [_variation({**row, "parent_id": parent}, title) for row in rows]


def _has_variations(row: Node) -> bool:
    return bool(row.get("variations")) or str(row.get("type", "")).startswith("variable")


def _title(row: Node) -> str:
    return str(row.get("name") or "")[: fields.TEXT_MAX]


def _variation(row: Node, parent_title: str) -> CatalogueEntry:
    parent = fields.key(row.get("parent_id"), "variation.parent_id")
    return _entry(row, parent, " - ".join(filter(None, (parent_title, _title(row)))))


def _entry(row: Node, parent: int, title: str) -> CatalogueEntry:
    own = fields.key(row.get("id"), "product.id")
    listing = listing_key(parent or own, own if parent else 0) or ""
    stock_key = str(parent) if row.get("manage_stock") == "parent" else listing
    shown = reading(StockKey(stock_key), row)
    return CatalogueEntry(
        listing_key=listing,
        stock_key=stock_key,
        sku=_clean(row.get("sku")),
        title=title.replace("\x00", ""),
        barcode=_clean(row.get("global_unique_id")),
        tracked=row.get("manage_stock") in (True, "parent"),
        price=_amount(row.get("price")),
        unit_cost=_cost(row.get("cost_of_goods_sold")),
        stock=(shown,),
        bundle=row.get("type") in BUNDLES,
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
