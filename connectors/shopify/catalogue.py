"""The catalogue and the places: what a shop sells, what carries its number, and where."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from connectors.base import CatalogueEntry, ChannelLocation, Shop, StockKey, StockReading
from connectors.errors import Refused, Throttled
from connectors.export import CataloguePage
from connectors.http import Http
from connectors.shopify import graphql
from connectors.shopify.keys import kind
from connectors.shopify.shape import Node
from connectors.shopify.stock import shown

FIRST_PAGE = 50
VARIANTS_MAX = 250
LEVELS = 3  # per item at first; an item stocked at more locations is fetched apart
MORE_LEVELS = 50
VARIANTS_IN_ALL_MAX = 25_000  # pagination stops there: a larger catalogue needs an export
SHORT_PAGES_MAX = 100


def read(http: Http, shop: Shop, begin: str = "") -> Iterator[CataloguePage]:
    """Pages of all variants, by id, or of those behind a cursor. Raises `Refused("catalogue_too_large")` beyond what
    pagination reaches."""
    size, after = FIRST_PAGE, begin or None
    for _ in range(VARIANTS_IN_ALL_MAX):
        try:
            reply = graphql.query(http, shop, "variants_page", {"first": size, "after": after, "levels": LEVELS})
        except (Refused, Throttled) as error:
            size = graphql.smaller(error, size)
            continue
        page = graphql.page_of(reply.data, "productVariants", after)
        entries = [entry(Node(variant, "variant"), _levels(http, shop, variant)) for variant in page.nodes]
        yield CataloguePage(entries, page.cursor or after or "")
        if page.cursor is None:
            return
        after = page.cursor
        size = graphql.next_size(size, reply.cost, VARIANTS_MAX)
    raise Refused("catalogue_too_large", "more variants than pagination reaches")


def read_entries(http: Http, shop: Shop, keys: Sequence[str]) -> list[CatalogueEntry]:
    """The variants with these gids, or with inventory items of these gids; what is neither is left out."""

    def fetch(some: Sequence[str]) -> tuple[list[CatalogueEntry], graphql.Cost]:
        reply = graphql.query(http, shop, "entries_by_key", {"ids": list(some), "levels": LEVELS})
        found = [_variant_of(node) for node in graphql.nodes_of(reply, some) if node]
        return [entry(Node(v, "variant"), _levels(http, shop, v)) for v in found if v is not None], reply.cost

    named = [key for key in dict.fromkeys(keys) if kind(key) in ("ProductVariant", "InventoryItem")]
    return graphql.in_slices(named, FIRST_PAGE, fetch, largest=VARIANTS_MAX)


def _variant_of(node: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Of a variant itself, or of an inventory item."""
    if "variants" not in node:
        return node if "id" in node else None
    return next(iter(graphql.page_of(node, "variants").nodes), None)


def entry(variant: Node, levels: Sequence[Node]) -> CatalogueEntry:
    """A variant with the levels of its inventory item. Raises `Malformed` naming the field."""
    item = variant.node("inventoryItem")
    cost = item.find_node("unitCost")
    tracked, bundle = item.flag("tracked", absent=True), variant.flag("requiresComponents", absent=False)
    reason = "bundle_parent" if bundle else "" if tracked else "untracked"
    keys = [StockKey(item.text("id"), level.node("location").text("id")) for level in levels]
    return CatalogueEntry(
        listing_key=variant.text("id"),
        stock_key=item.text("id"),
        sku=variant.find_text("sku"),
        title=variant.text("displayName"),
        barcode=variant.find_text("barcode"),
        tracked=tracked,
        price=variant.find_money("price"),
        unit_cost=cost.find_money("amount") if cost else None,
        stock=tuple(
            StockReading(key, None, reason) if reason else shown(key, level)
            for key, level in zip(keys, levels, strict=True)
        ),
        bundle=bundle,
    )


def _levels(http: Http, shop: Shop, variant: Mapping[str, Any]) -> list[Node]:
    item = variant.get("inventoryItem")
    page = graphql.page_of(item, "inventoryLevels")
    levels = [Node(level, "level") for level in page.nodes]
    for _ in range(graphql.PAGES_MAX):
        if page.cursor is None:
            return levels
        variables = {"id": Node(item, "inventoryItem").text("id"), "first": MORE_LEVELS, "after": page.cursor}
        node = graphql.query(http, shop, "item_levels", variables).data.get("node")
        if not node:
            return levels
        page = graphql.page_of(node, "inventoryLevels", page.cursor)
        levels += [Node(level, "level") for level in page.nodes]
    raise Refused("too_many_locations", "an item is stocked at more locations than are read")


def read_locations(http: Http, shop: Shop) -> list[ChannelLocation]:
    """Every location: closed ones and those of fulfilment services too."""
    nodes = [Node(node, "location") for node in read_pages(http, shop, "locations_page", "locations")]
    return [ChannelLocation(n.text("id"), n.text("name"), n.flag("isActive", absent=True)) for n in nodes]


def read_pages(http: Http, shop: Shop, name: str, connection: str) -> list[dict[str, Any]]:
    """All nodes of a root connection whose document takes `$first` and `$after`; for short lists."""
    nodes: list[dict[str, Any]] = []
    after = None
    for _ in range(SHORT_PAGES_MAX):
        page = graphql.page_of(graphql.query(http, shop, name, {"first": 100, "after": after}).data, connection, after)
        nodes += page.nodes
        if page.cursor is None:
            return nodes
        after = page.cursor
    raise Refused("list_too_long", f"{connection} has more entries than are read")
