"""The catalogue and the places: what a shop sells, what carries its number, and where."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from connectors.base import CatalogueEntry, ChannelLocation, Shop, StockKey, StockReading
from connectors.errors import Refused
from connectors.http import Http
from connectors.shopify import graphql
from connectors.shopify.stock import quantity

FIRST_PAGE = 50
VARIANTS_MAX = 250
LEVELS = 3  # per item at first; an item stocked at more locations is fetched apart
MORE_LEVELS = 50
VARIANTS_IN_ALL_MAX = 25_000  # pagination stops there: a larger catalogue needs a bulk query


def read(http: Http, shop: Shop) -> Iterator[Sequence[CatalogueEntry]]:
    """Pages of all variants, by id. Raises `Refused("catalogue_too_large")` beyond what pagination reaches."""
    size, after = FIRST_PAGE, None
    for _ in range(VARIANTS_IN_ALL_MAX // FIRST_PAGE):
        try:
            reply = graphql.query(http, shop, "variants_page", {"first": size, "after": after, "levels": LEVELS})
        except Refused as error:
            if error.reason != "max_cost_exceeded" or size == 1:
                raise
            size = max(1, size // 2)
            continue
        page = reply.data["productVariants"]
        yield [_entry(http, shop, variant) for variant in page["nodes"]]
        if not page["pageInfo"]["hasNextPage"]:
            return
        after = page["pageInfo"]["endCursor"]
        size = graphql.next_size(size, reply.requested_cost, VARIANTS_MAX)
    raise Refused("catalogue_too_large", "more variants than pagination reaches")


def _entry(http: Http, shop: Shop, variant: Mapping[str, Any]) -> CatalogueEntry:
    item = variant["inventoryItem"]
    cost = item["unitCost"]
    return CatalogueEntry(
        listing_key=variant["id"],
        stock_key=item["id"],
        sku=variant["sku"] or None,
        title=variant["displayName"],
        barcode=variant["barcode"] or None,
        tracked=item["tracked"],
        price=Decimal(variant["price"]),
        unit_cost=Decimal(cost["amount"]) if cost else None,
        stock=tuple(_readings(variant, _levels(http, shop, item))),
        bundle=variant["requiresComponents"],
    )


def _readings(variant: Mapping[str, Any], levels: Sequence[Mapping[str, Any]]) -> Iterator[StockReading]:
    item = variant["inventoryItem"]
    reason = "bundle_parent" if variant["requiresComponents"] else "" if item["tracked"] else "untracked"
    for level in levels:
        key = StockKey(item["id"], level["location"]["id"])
        yield StockReading(key, None if reason else quantity(level), reason)


def _levels(http: Http, shop: Shop, item: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    levels, here = list(item["inventoryLevels"]["nodes"]), item["inventoryLevels"]["pageInfo"]
    for _ in range(graphql.PAGES_MAX):
        if not here["hasNextPage"]:
            return levels
        variables = {"id": item["id"], "first": MORE_LEVELS, "after": here["endCursor"]}
        node = graphql.query(http, shop, "item_levels", variables).data["node"]
        if not node:
            return levels
        levels += node["inventoryLevels"]["nodes"]
        here = node["inventoryLevels"]["pageInfo"]
    raise Refused("too_many_locations", "an item is stocked at more locations than are read")


def read_locations(http: Http, shop: Shop) -> list[ChannelLocation]:
    """Every location: closed ones and those of fulfilment services too."""
    nodes = read_pages(http, shop, "locations_page", "locations")
    return [ChannelLocation(node["id"], node["name"], node["isActive"]) for node in nodes]


def read_pages(http: Http, shop: Shop, name: str, connection: str) -> list[Mapping[str, Any]]:
    """All nodes of a root connection whose document takes `$first` and `$after`; for short lists."""
    nodes: list[Mapping[str, Any]] = []
    after = None
    for _ in range(graphql.PAGES_MAX):
        page = graphql.query(http, shop, name, {"first": 100, "after": after}).data[connection]
        nodes += page["nodes"]
        if not page["pageInfo"]["hasNextPage"]:
            return nodes
        after = page["pageInfo"]["endCursor"]
    raise Refused("list_too_long", f"{connection} has more entries than are read")
