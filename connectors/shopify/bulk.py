"""Exports: a bulk operation that the shop works off by itself, and the file it leaves behind, read line by line.

They cost no points, where paging through a large catalogue costs hours of them. At most five run at once per shop
(since 2026-01); a file lives for seven days and may be partial when the operation failed. Memory stays bounded: the
file is grouped, so that an object's parts follow it, and one object at a time is put together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from connectors import strict_json
from connectors.base import CatalogueEntry, OrderHead, Shop, Window
from connectors.errors import Malformed, Refused, Transient
from connectors.export import Export, ExportOf, ExportPage, ExportState
from connectors.http import Http
from connectors.shopify import graphql, orders
from connectors.shopify.catalogue import entry
from connectors.shopify.errors import UNKNOWN_USER_ERROR, USER_ERRORS, Call
from connectors.shopify.keys import kind
from connectors.shopify.shape import Node

WORTH_FROM = 2_000  # objects; below that a few dozen pages are faster
RECENT_MAX = 10
BUSY_S = 30.0
CLOCKS_APART = timedelta(minutes=5)  # the shop's and ours
PAGE_OBJECTS = 250
PARTS_MAX = 5_000  # lines of one object
HOSTS = ("storage.googleapis.com", "cdn.shopify.com")  # where Shopify leaves its files; the shop's own is fine too
STATES: Mapping[str, ExportState] = {
    "CREATED": ExportState.RUNNING,
    "RUNNING": ExportState.RUNNING,
    "CANCELING": ExportState.RUNNING,
    "COMPLETED": ExportState.READY,
    "FAILED": ExportState.FAILED,
    "CANCELED": ExportState.FAILED,
    "EXPIRED": ExportState.FAILED,
}


def start(http: Http, shop: Shop, what: ExportOf, window: Window) -> Export:
    """Start the operation, or take up one that was started for the same since `window.since`: the answer to its start
    may have been lost. Raises `Transient("export_busy")` while as many run as may, `Refused("export_refused")`."""
    text = _text(what, window)
    known = _find(http, shop, text, window)
    if known is not None:
        return read(http, shop, known)
    reply = graphql.mutate(http, shop, "bulk_run", {"query": text})
    payload = Node(reply.data, "data").node("bulkOperationRunQuery")
    for error in payload.find_nodes("userErrors"):
        told = USER_ERRORS.get(error.find_text("code") or "", UNKNOWN_USER_ERROR)
        refusal = told if isinstance(told, Call) else Call(Refused, UNKNOWN_USER_ERROR.value)
        wait_s = BUSY_S if refusal.error is Transient else None
        raise refusal.error(refusal.reason, (error.find_text("message") or "")[:200], retry_after_s=wait_s)
    return Export(payload.node("bulkOperation").text("id"), ExportState.RUNNING)


def read(http: Http, shop: Shop, export_key: str) -> Export:
    """How far the operation is. One that the shop does not know any more has failed."""
    found = Node(graphql.query(http, shop, "bulk_status", {"id": export_key}).data, "data").find_node("bulkOperation")
    if found is None:
        return Export(export_key, ExportState.FAILED, reason="export_gone")
    status = found.text("status")
    state = STATES.get(status)
    if state is None:
        raise Malformed("unknown_value", "an unknown state of an export", field=found.at("status"))
    if state is ExportState.FAILED:
        partial = found.find_text("partialDataUrl") if status != "EXPIRED" else None
        reason = (found.find_text("errorCode") or f"export_{status}").lower()
        state = ExportState.PARTIAL if partial else state
        return Export(export_key, state, found.find_whole("objectCount") or 0, partial or "", reason=reason)
    size = found.find_whole("fileSize") if state is ExportState.READY else None
    url = (found.find_text("url") or "") if state is ExportState.READY else ""
    return Export(export_key, state, found.find_whole("objectCount") or 0, url, size=size)


def read_pages(http: Http, shop: Shop, export: Export, what: ExportOf, *, offset: int) -> Iterator[ExportPage]:
    """The file from a byte on, some `PAGE_OBJECTS` objects at a time. Of a partial file the last object is left out: it
    may lack parts. Raises `Malformed` for a line that is none and a file that is not as long as said, and
    `Refused("export_address")` where it does not lie with Shopify; what came before is good."""
    if not export.url:
        return
    _check_address(shop, export.url)
    page, begun, end = _Page(shop, what), None, offset
    for start_at, behind, line in http.lines(export.url, offset=offset):
        end = behind
        row = Node(strict_json.loads(line), f"byte {start_at}")
        if row.has("__parentId"):
            _attach(row, begun)
            continue
        if begun is not None:
            page.add(begun.root)
        begun = _Object(row)
        if page.count >= PAGE_OBJECTS:
            yield page.done(start_at)
            page = _Page(shop, what)
    if export.size is not None and end != export.size:
        raise Malformed("export_size_differs", "the export's file is shorter or longer than the shop said")
    if begun is not None and export.state is ExportState.READY:
        page.add(begun.root)
    if page.count:
        yield page.done(end)


def _text(what: ExportOf, window: Window) -> str:
    lines = graphql.document(f"export_{what}").splitlines()
    text = "\n".join(line for line in lines if not line.startswith("#"))
    return text.replace("WINDOW", orders.within(window))


def _find(http: Http, shop: Shop, text: str, window: Window) -> str | None:
    """The newest of our operations with this text that is alive and not older than the question."""
    recent = graphql.query(http, shop, "bulk_recent", {"first": RECENT_MAX})
    for node in graphql.page_of(recent.data, "bulkOperations").nodes:
        found = Node(node, "bulkOperation")
        alive = STATES.get(found.text("status")) in (ExportState.RUNNING, ExportState.READY)
        same = isinstance(node.get("query"), str) and node["query"].split() == text.split()
        if alive and same and found.instant("createdAt") >= window.since - CLOCKS_APART:
            return found.text("id")
    return None


def _check_address(shop: Shop, url: str) -> None:
    """The file is asked for without credentials, and only over TLS at Shopify's own places, or at the shop itself."""
    try:
        parts, own = urlsplit(url), urlsplit(shop.base_url)
        port = parts.port
    except ValueError:
        raise Refused("export_address", "the export's file lies at no address") from None
    at_shop = (parts.scheme, parts.netloc) == (own.scheme, own.netloc)
    at_shopify = parts.scheme == "https" and parts.hostname in HOSTS and port in (None, 443) and "@" not in parts.netloc
    if not at_shop and not at_shopify:
        raise Refused("export_address", "the export's file does not lie with Shopify")


@dataclass(slots=True)
class _Object:
    """A root object and, by id, everything in it that parts can belong to."""

    root: Node
    by_key: dict[str, Node] = field(default_factory=dict)
    parts: int = 0

    def __post_init__(self) -> None:
        self.by_key[self.root.text("id")] = self.root
        for name, value in self.root.values.items():
            if isinstance(value, dict) and isinstance(value.get("id"), str):
                self.by_key.setdefault(value["id"], self.root.node(name))


def _attach(row: Node, of: _Object | None) -> None:
    parent = of.by_key.get(row.text("__parentId")) if of is not None else None
    if of is None or parent is None:
        raise Malformed("export_not_grouped", "a part whose object does not precede it", field=row.path)
    of.parts += 1
    if of.parts > PARTS_MAX:
        raise Malformed("export_object_too_large", f"an object of more than {PARTS_MAX} lines", field=row.path)
    key = row.values.get("id")
    if isinstance(key, str):
        of.by_key[key] = row
    del row.values["__parentId"]
    parts: Any = parent.values.setdefault(_part_of(parent, row), {"nodes": []})
    parts["nodes"].append(row.values)


def _part_of(parent: Node, row: Node) -> str:
    """Which connection of its parent a line belongs to: only its id and its parent's tell."""
    kinds = kind(str(parent.values.get("id"))), kind(str(row.values.get("id")))
    if kinds == ("Order", "LineItem") or kinds[0] == "FulfillmentOrder":
        return "lineItems"
    if kinds == ("Order", "FulfillmentOrder"):
        return "fulfillmentOrders"
    if kinds[0] in ("ProductVariant", "InventoryItem"):
        return "inventoryLevels"
    raise Malformed("unknown_value", "a part of nothing that was asked for", field=row.path)


class _Page:
    """Objects that are complete, as entries or as heads of orders."""

    def __init__(self, shop: Shop, what: ExportOf) -> None:
        self.shop, self.what = shop, what
        self.entries: list[CatalogueEntry] = []
        self.heads: list[OrderHead] = []

    @property
    def count(self) -> int:
        """Objects so far."""
        return len(self.entries) + len(self.heads)

    def add(self, root: Node) -> None:
        """One complete object."""
        if self.what is ExportOf.CATALOGUE:
            self.entries.append(entry(root, _levels(root)))
        else:
            self.heads.append(_head(self.shop, root))

    def done(self, offset: int) -> ExportPage:
        """The page; what follows begins at `offset`."""
        return ExportPage(offset, self.entries, self.heads)


def _levels(variant: Node) -> list[Node]:
    holders = [variant, variant.node("inventoryItem")]
    return [
        level for holder in holders if holder.has("inventoryLevels") for level in holder.connection("inventoryLevels")
    ]


def _head(shop: Shop, order: Node) -> OrderHead:
    """With its document, the same bytes as a read's; unless something was shipped, refunded or sent back, of which
    the file says too little, or no line came with it, since every order has one."""
    known = orders.head(order)
    more = order.nodes("fulfillments") or order.nodes("refunds") or order.text("returnStatus") != "NO_RETURN"
    if more or not order.has("lineItems"):
        return known
    parts = {name: order.values.get(name, {"nodes": []}) for name in ("lineItems", "fulfillmentOrders")}
    for allocation in Node(parts).connection("fulfillmentOrders"):
        allocation.values.setdefault("lineItems", {"nodes": []})
    listed = {**parts, "fulfillments": [], "refunds": []}
    plain = {name: value for name, value in order.values.items() if name not in listed}
    return OrderHead(known.order_key, known.version, orders.document(shop, {**plain, **listed}))
