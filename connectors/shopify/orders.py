"""Orders: read over GraphQL complete in every nested list, and parsed into snapshots.

Page sizes follow the cost that the shop itself tells, because the published formula does not match what is measured
(community.shopify.dev thread 23101: 25 points, not 503).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from connectors import strict_json
from connectors.base import OrderDocument, OrderHead, OrderSnapshot, Shop, Window
from connectors.errors import Malformed, Refused, Throttled
from connectors.http import Http
from connectors.shopify import graphql, read_document, webhook_document
from connectors.shopify.keys import PARTS_OF_ORDERS, kind
from connectors.shopify.shape import Node
from connectors.shopify.shop import only_location
from connectors.shopify.vector import snapshot

READ_ORDERS_MAX = 15
FIRST_HEADS = 100
HEADS_MAX = 250
SEARCHED_MAX = 25_000  # pagination stops there (limits page, 2026-11)
SEARCHES_MAX = 1_000
REST_LINES = 50
REST_PARTS = 5
ALL_PARTS = 80  # fulfilments and refunds are plain lists without cursors
ROUNDS_MAX = 200
_UNREAD = graphql.Page([], "")  # a connection of which nothing was read yet


@dataclass(frozen=True, slots=True)
class _Look:
    """How much of each order one query asks for. A page is paid for before it is known how much of it is used, so most
    orders are read with short lists, many at a time, and those that overflow again with longer ones."""

    lines: int
    parts: int  # fulfilment orders, fulfilments, refunds
    first: int  # orders asked for before anything is known of the costs and the bucket


_NARROW = _Look(lines=2, parts=2, first=5)
_WIDE = _Look(lines=5, parts=3, first=2)


def parse(body: bytes) -> OrderSnapshot:
    """A stored document, from a webhook or a read, as a snapshot. Raises `Malformed` naming the field."""
    stored = Node(strict_json.loads(body))
    source = stored.text("source")
    if source == "read":
        return snapshot(read_document.facts(stored))
    if source == "webhook":
        return snapshot(webhook_document.facts(stored))
    if source == "unreadable":
        told = stored.node("order")
        raise Malformed(told.text("reason"), "the shop's answer could not be read", field=told.text("field"))
    raise Malformed("unknown_value", "neither a webhook nor a read", field="source")


def read_heads(http: Http, shop: Shop, window: Window) -> Iterator[Sequence[OrderHead]]:
    """Pages of keys and versions of the orders whose `updatedAt` lies in the window (whole seconds, both ends
    included), oldest first; about a point each, where a whole order costs eleven and more. A search ends after some
    25,000: the next one goes on at the second where it ended.

    Raises `Refused("window_too_large")` when a single second holds more than a search reaches.
    """
    since, known = window.since, frozenset[str]()
    for _ in range(SEARCHES_MAX):
        latest: dict[str, datetime] = {}
        for page in _search(http, shop, Window(since, window.until)):
            latest.update((head.order_key, head.version) for head in page if head.version is not None)
            yield [head for head in page if head.order_key not in known]
        if len(latest) < SEARCHED_MAX:
            return
        newest = min(max(latest.values()), window.until)
        if _second(newest) == _second(since):
            break
        since, known = newest, frozenset(key for key, at in latest.items() if at >= newest.replace(microsecond=0))
    raise Refused("window_too_large", "more orders were updated in one second than a search reaches")


def _search(http: Http, shop: Shop, window: Window) -> Iterator[Sequence[OrderHead]]:
    """The first `SEARCHED_MAX` orders of a window, or all."""
    query = within(window)
    size, after, found = FIRST_HEADS, None, 0
    while found < SEARCHED_MAX:
        variables = {"first": min(size, SEARCHED_MAX - found), "after": after, "query": query}
        try:
            reply = graphql.query(http, shop, "orders_changed", variables)
        except (Refused, Throttled) as error:
            size = graphql.smaller(error, size)
            continue
        page = graphql.page_of(reply.data, "orders", after)
        yield [head(Node(node, "order")) for node in page.nodes]
        if page.cursor is None:
            return
        found, after = found + len(page.nodes), page.cursor
        size = graphql.next_size(size, reply.cost, HEADS_MAX)


def within(window: Window) -> str:
    """The window as Shopify's search puts it; whole seconds, both ends included."""
    return f"updated_at:>='{_second(window.since)}' updated_at:<='{_second(window.until)}'"


def head(order: Node) -> OrderHead:
    """Key and version of an order. Raises `Malformed`."""
    return OrderHead(order.text("id"), order.instant("updatedAt"))


def read_heads_by_key(http: Http, shop: Shop, keys: Sequence[str]) -> list[OrderHead]:
    """Those of the orders that the shop still has."""

    def fetch(some: Sequence[str]) -> tuple[list[OrderHead], graphql.Cost]:
        reply = graphql.query(http, shop, "orders_there", {"ids": list(some)})
        return [head(Node(node, "order")) for node in graphql.nodes_of(reply, some) if node], reply.cost

    return graphql.in_slices(keys, FIRST_HEADS, fetch, largest=HEADS_MAX)


def read_by_key(http: Http, shop: Shop, keys: Sequence[str]) -> list[OrderDocument]:
    """One document per order. A fulfilment order's, return's or reverse fulfilment order's key brings its order; one
    that can't be traced any more brings nothing (the poll finds its order). An order that the shop no longer has comes
    back `missing`."""
    wanted = _trace(http, shop, keys)
    found = _look(http, shop, wanted, _NARROW)
    cut_off = [key for key, order in found.items() if order and _is_cut_off(order, _NARROW)]
    found |= _look(http, shop, cut_off, _WIDE)
    return [_document(http, shop, order) if order else _missing(key) for key, order in found.items()]


def _look(http: Http, shop: Shop, keys: Sequence[str], look: _Look) -> dict[str, dict[str, Any] | None]:
    """The orders by key, None for one that the shop no longer has."""
    nested = {"lines": look.lines, "parts": look.parts, "returns": _may_read_returns(shop)}

    def fetch(some: Sequence[str]) -> tuple[list[tuple[str, dict[str, Any] | None]], graphql.Cost]:
        reply = graphql.query(http, shop, "orders_by_key", {"ids": list(some), **nested})
        return list(zip(some, graphql.nodes_of(reply, some), strict=True)), reply.cost

    return dict(graphql.in_slices(keys, look.first, fetch, largest=READ_ORDERS_MAX))


def _is_cut_off(order: dict[str, Any], look: _Look) -> bool:
    """A list of the order, at any depth, may go on. What is no order at all is not: reading it will say so."""
    plain = (order.get(name) for name in ("fulfillments", "refunds"))
    if any(isinstance(parts, list) and len(parts) >= look.parts for parts in plain):
        return True
    todo: list[object] = [order]
    while todo:
        value = todo.pop()
        if isinstance(value, dict):
            if value.get("hasNextPage") is True:
                return True
            todo.extend(value.values())
        elif isinstance(value, list):
            todo.extend(value)
    return False


def _trace(http: Http, shop: Shop, keys: Sequence[str]) -> list[str]:
    orders = [key for key in keys if kind(key) == "Order"]
    others = [key for key in keys if kind(key) in PARTS_OF_ORDERS]
    nodes = graphql.nodes_of(graphql.query(http, shop, "orders_of", {"ids": others}), others) if others else []
    traced = [_order_of(node) for node in nodes]
    return list(dict.fromkeys([*orders, *(order for order in traced if order is not None)]))


def _order_of(found: dict[str, Any] | None) -> str | None:
    node = Node(found or {}, "node")
    order = node.find_node("ofReturn") or node.find_node("ofReverse")
    return order.text("id") if order else node.find_text("orderId")


def _missing(key: str) -> OrderDocument:
    return OrderDocument(key, version=None, body=b"", missing=True)


def _document(http: Http, shop: Shop, order: dict[str, Any]) -> OrderDocument:
    key = Node(order, "order").text("id")
    try:
        _Rest(http, shop, order).complete()
        return document(shop, order)
    except Malformed as error:
        # One order that is not what it should be: its own document says so, the others are not held up.
        unreadable = {"reason": error.reason, "field": error.field}
        return OrderDocument(key, version=None, body=orjson.dumps({"source": "unreadable", "order": unreadable}))


def document(shop: Shop, order: dict[str, Any]) -> OrderDocument:
    """An order, complete in every list, as it is stored. Raises `Malformed`."""
    node = Node(order, "order")
    body = orjson.dumps({"source": "read", "home": only_location(shop), "order": order})
    return OrderDocument(node.text("id"), version=node.instant("updatedAt"), body=body)


class _Rest:
    """Fetches what the first look at an order left out, into the same dictionary."""

    def __init__(self, http: Http, shop: Shop, order: dict[str, Any]) -> None:
        self.http, self.shop, self.order = http, shop, order

    def complete(self) -> None:
        """Raises `Malformed` where the order is not what the query asked for."""
        order, short = self.order, {"first": REST_PARTS, "lines": _WIDE.lines}
        self._fill(order, "lineItems", "MoreLines")
        for allocation in self._fill(order, "fulfillmentOrders", "MoreAllocations", **short):
            self._fill(allocation, "lineItems", "MoreAllocatedLines")
        for fulfillment in self._whole("fulfillments", "AllShipped"):
            self._fill(fulfillment, "fulfillmentLineItems", "MoreShippedLines")
        for refund in self._whole("refunds", "AllRefunded"):
            self._fill(refund, "refundLineItems", "MoreRefundedLines")
        if Node(order, "order").text("returnStatus") != "NO_RETURN" and _may_read_returns(self.shop):
            self._returns()

    def _returns(self) -> None:
        key = Node(self.order, "order").text("id")
        of = {"document": "order_returns"}
        self.order["returns"] = self._rest(key, "returns", "OrderReturns", page=_UNREAD, first=2, **of)
        for returned in self.order["returns"]:
            for reverse in self._fill(returned, "reverseFulfillmentOrders", "MoreReverseOrders", first=5, **of):
                self._fill(reverse, "lineItems", "MoreReverseLines", first=20, **of)

    def _whole(self, name: str, operation: str) -> list[dict[str, Any]]:
        """A list without a cursor: asked for again, in full, when its first page was full."""
        if len(_listed(self.order, name)) >= _WIDE.parts:
            variables = {"id": self.order["id"], "parts": ALL_PARTS, "lines": 1}
            if name == "refunds":
                variables["returns"] = _may_read_returns(self.shop)
            node = graphql.query(self.http, self.shop, "order_more", variables, operation).data.get("node")
            self.order[name] = _listed(node, name) if node else []
            if len(self.order[name]) >= ALL_PARTS:
                self.order["incomplete"] = True
        return _listed(self.order, name)

    def _fill(self, parent: dict[str, Any], name: str, operation: str, **more: Any) -> list[dict[str, Any]]:
        """Append the rest of `parent[name]`, page after page; returns its nodes. Cursors say nothing about the order
        and are left out of it."""
        page, key = graphql.page_of(parent, name), Node(parent, name).text("id")
        nodes = self._rest(key, name, operation, page=page, **more)
        parent[name] = {"nodes": nodes}
        return nodes

    def _rest(
        self, key: str, name: str, operation: str, *, page: graphql.Page, first: int = REST_LINES, **more: Any
    ) -> list[dict[str, Any]]:  # fmt: skip
        """The nodes of `page` and of all pages behind it. `more`: `document`, and the `lines` of each node."""
        document, nodes = more.pop("document", "order_more"), page.nodes
        for _ in range(ROUNDS_MAX):
            if page.cursor is None:
                return nodes
            variables = {"id": key, "first": first, "after": page.cursor or None, **more}
            node = graphql.query(self.http, self.shop, document, variables, operation).data.get("node")
            page = graphql.page_of(node, name, page.cursor) if node else graphql.Page([], None)
            nodes = nodes + page.nodes
        self.order["incomplete"] = True
        return nodes


def _listed(parent: object, name: str) -> list[dict[str, Any]]:
    """A plain list of objects. Raises `Malformed`."""
    Node(parent).nodes(name)
    listed: list[dict[str, Any]] = parent[name]  # type: ignore[index]
    return listed


def _may_read_returns(shop: Shop) -> bool:
    """Where the granted scopes are known; asking without read_returns would refuse the whole query."""
    scopes = shop.facts.get("scopes")
    return scopes is None or bool({"read_returns", "write_returns"} & set(scopes.split(",")))


def _second(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
