"""Orders: read over GraphQL complete in every nested list, and parsed into snapshots.

Page sizes follow the cost that the shop itself tells, because the published formula does not match what is measured
(community.shopify.dev thread 23101: 25 points, not 503).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson

from connectors import strict_json
from connectors.base import OrderDocument, OrderSnapshot, Shop, Window
from connectors.errors import Malformed, Refused
from connectors.http import Http
from connectors.shopify import graphql, read_document, webhook_document
from connectors.shopify.keys import PARTS_OF_ORDERS, kind
from connectors.shopify.shape import Node
from connectors.shopify.shop import only_location
from connectors.shopify.vector import snapshot

READ_ORDERS_MAX = 20
FIRST_PAGE = 5
LINES = 5  # nested page sizes of the first look; what overflows is fetched apart
PARTS = 3
REST_LINES = 50
REST_PARTS = 5
ALL_PARTS = 80  # fulfilments and refunds are plain lists without cursors
WINDOW_ORDERS_MAX = 25_000  # pagination stops there (limits page, 2026-11)
ROUNDS_MAX = 200


def parse(body: bytes) -> OrderSnapshot:
    """A stored document, from a webhook or a read, as a snapshot. Raises `Malformed` naming the field."""
    document = Node(strict_json.loads(body))
    source = document.text("source")
    if source == "read":
        return snapshot(read_document.facts(document))
    if source == "webhook":
        return snapshot(webhook_document.facts(document))
    raise Malformed("unknown_value", "neither a webhook nor a read", field="source")


def read_window(http: Http, shop: Shop, window: Window) -> Iterator[Sequence[OrderDocument]]:
    """Pages of the orders whose `updatedAt` lies in the window (whole seconds, both ends included), oldest first.

    Raises `Refused("window_too_large")` beyond what pagination reaches (some 25,000): ask for a shorter one.
    """
    query = f"updated_at:>='{_second(window.since)}' updated_at:<='{_second(window.until)}'"
    size, after = FIRST_PAGE, None
    for _ in range(WINDOW_ORDERS_MAX // FIRST_PAGE):
        variables = {"first": size, "after": after, "query": query, **_nested(shop)}
        try:
            reply = graphql.query(http, shop, "orders_page", variables)
        except Refused as error:
            if error.reason != "max_cost_exceeded" or size == 1:
                raise
            size = max(1, size // 2)
            continue
        page = reply.data["orders"]
        yield [_document(http, shop, order) for order in page["nodes"]]
        if not page["pageInfo"]["hasNextPage"]:
            return
        after = page["pageInfo"]["endCursor"]
        size = graphql.next_size(size, reply.requested_cost, READ_ORDERS_MAX)
    raise Refused("window_too_large", "more orders were updated in this window than pagination reaches")


def read_by_key(http: Http, shop: Shop, keys: Sequence[str]) -> list[OrderDocument]:
    """One document per order. A fulfilment order's, return's or reverse fulfilment order's key brings its order; one
    that can't be traced any more brings nothing (the poll finds its order). An order that the shop no longer has comes
    back `missing`."""
    wanted = _trace(http, shop, keys)

    def fetch(some: Sequence[str]) -> list[OrderDocument]:
        nodes = graphql.query(http, shop, "orders_by_key", {"ids": list(some), **_nested(shop)}).data["nodes"]
        return [_document(http, shop, node) if node else _missing(key) for key, node in zip(some, nodes, strict=True)]

    return graphql.in_halves(wanted, FIRST_PAGE, fetch)


def _trace(http: Http, shop: Shop, keys: Sequence[str]) -> list[str]:
    orders = [key for key in keys if kind(key) == "Order"]
    others = [key for key in keys if kind(key) in PARTS_OF_ORDERS]
    nodes = graphql.query(http, shop, "orders_of", {"ids": others}).data["nodes"] if others else []
    traced = [_order_of(node) for node in nodes]
    return list(dict.fromkeys([*orders, *(order for order in traced if order is not None)]))


def _order_of(node: dict[str, Any] | None) -> str | None:
    if not node:
        return None
    order = node.get("ofReturn") or node.get("ofReverse")
    found = node.get("orderId") or (order["id"] if order else None)
    return found if isinstance(found, str) else None


def _missing(key: str) -> OrderDocument:
    return OrderDocument(key, version=None, body=b"", missing=True)


def _document(http: Http, shop: Shop, order: dict[str, Any]) -> OrderDocument:
    _Rest(http, shop, order).complete()
    body = orjson.dumps({"source": "read", "home": only_location(shop), "order": order})
    return OrderDocument(order["id"], version=Node(order, "order").instant("updatedAt"), body=body)


class _Rest:
    """Fetches what the first look at an order left out, into the same dictionary."""

    def __init__(self, http: Http, shop: Shop, order: dict[str, Any]) -> None:
        self.http, self.shop, self.order = http, shop, order

    def complete(self) -> None:
        order = self.order
        self._fill(order, "lineItems", "MoreLines")
        self._fill(order, "fulfillmentOrders", "MoreAllocations", lines=LINES)
        for allocation in order["fulfillmentOrders"]["nodes"]:
            self._fill(allocation, "lineItems", "MoreAllocatedLines")
        self._whole("fulfillments", "AllShipped")
        for fulfillment in order["fulfillments"]:
            self._fill(fulfillment, "fulfillmentLineItems", "MoreShippedLines")
        self._whole("refunds", "AllRefunded")
        for refund in order["refunds"]:
            self._fill(refund, "refundLineItems", "MoreRefundedLines")
        if order["returnStatus"] != "NO_RETURN" and _may_read_returns(self.shop):
            self._returns()

    def _returns(self) -> None:
        self.order["returns"] = returns = {"id": self.order["id"], "returns": _empty()}
        self._fill(returns, "returns", "OrderReturns", first=2, document="order_returns")
        self.order["returns"] = returns["returns"]["nodes"]
        for returned in self.order["returns"]:
            self._fill(returned, "reverseFulfillmentOrders", "MoreReverseOrders", first=5, document="order_returns")
            for reverse in returned["reverseFulfillmentOrders"]["nodes"]:
                self._fill(reverse, "lineItems", "MoreReverseLines", first=20, document="order_returns")

    def _whole(self, name: str, operation: str) -> None:
        """A list without a cursor: asked for again, in full, when its first page was full."""
        if len(self.order[name]) < PARTS:
            return
        variables = {"id": self.order["id"], "parts": ALL_PARTS, "lines": 1}
        if name == "refunds":
            variables["returns"] = _may_read_returns(self.shop)
        node = graphql.query(self.http, self.shop, "order_more", variables, operation).data["node"]
        self.order[name] = node[name] if node else []
        if len(self.order[name]) >= ALL_PARTS:
            self.order["incomplete"] = True

    def _fill(
        self, parent: dict[str, Any], name: str, operation: str,
        *, first: int = 0, lines: int = 0, document: str = "order_more",
    ) -> None:  # fmt: skip
        """Append the rest of `parent[name]`, page after page."""
        for _ in range(ROUNDS_MAX):
            here = parent[name]["pageInfo"]
            if not here["hasNextPage"]:
                del parent[name]["pageInfo"]  # cursors say nothing about the order
                return
            variables = {"id": parent["id"], "first": first or (REST_PARTS if lines else REST_LINES)}
            variables |= {"after": here["endCursor"]} | ({"lines": lines} if lines else {})
            node = graphql.query(self.http, self.shop, document, variables, operation).data["node"]
            page = node[name] if node else _empty(more=False)
            parent[name]["nodes"] += page["nodes"]
            parent[name]["pageInfo"] = page["pageInfo"]
        self.order["incomplete"] = True


def _empty(*, more: bool = True) -> dict[str, Any]:
    return {"nodes": [], "pageInfo": {"hasNextPage": more, "endCursor": None}}


def _nested(shop: Shop) -> dict[str, object]:
    return {"lines": LINES, "parts": PARTS, "returns": _may_read_returns(shop)}


def _may_read_returns(shop: Shop) -> bool:
    """Where the granted scopes are known; asking without read_returns would refuse the whole query."""
    scopes = shop.facts.get("scopes")
    return scopes is None or bool({"read_returns", "write_returns"} & set(scopes.split(",")))


def _second(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
