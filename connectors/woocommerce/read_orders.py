"""Orders from the shop: a closed window completely, or some by key. Refunds are joined, since an order's own body does
not say of what they were.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from connectors.base import OrderDocument, OrderHead, Window
from connectors.errors import Malformed, NotFound
from connectors.woocommerce import fields
from connectors.woocommerce.api import Api, chunks
from connectors.woocommerce.fields import Node
from connectors.woocommerce.orders import order_key
from connectors.woocommerce.redaction import REFUNDS_MAX, document, unreadable

# `any` leaves the trash out, and "any,trash" too (observed on both versions, 2026-11-23).
STATUSES = ("any", "trash")
JOIN_TRIES_MAX = 3
REFUND_PAGES_MAX = REFUNDS_MAX // 100


def read_order_heads(api: Api, window: Window) -> Iterator[Sequence[OrderHead]]:
    """Pages of all orders modified in the window, both ends included, with their documents; an order with refunds comes
    without, since those are read apart.

    `modified_after` is exclusive with a resolution of one second, hence a second more on both sides. The stamps are
    naive UTC with `dates_are_gmt`: with a "Z" beside that flag the shop is off by its own time zone.
    """
    bounds: dict[str, str | int] = {
        "modified_after": _stamp(window.since - timedelta(seconds=1)),
        "modified_before": _stamp(window.until + timedelta(seconds=1)),
        "dates_are_gmt": "true",
    }
    for status in STATUSES:
        for rows in api.pages("orders", {**bounds, "status": status}):
            yield [_head(row) for row in rows]


def read_heads_by_key(api: Api, keys: Sequence[str]) -> Sequence[OrderHead]:
    """Those of the orders that a listing shows, the trash's too. What none shows may still be there: a checkout draft
    on 10.9.0."""
    wanted = list(dict.fromkeys(keys))
    return [_head(row) for chunk in chunks(wanted) for status in STATUSES for row in _included(api, chunk, status)]


def _head(order: Node) -> OrderHead:
    key = order_key(order)
    if order.get("refunds"):
        return OrderHead(str(key), None)
    document = _kept(key, order, ())
    return OrderHead(str(key), document.version, document)


def read_orders_by_key(api: Api, keys: Sequence[str]) -> Sequence[OrderDocument]:
    """One document per key. What neither listing shows is asked for by itself (checkout drafts are in no listing on
    10.9.0); only the shop's own "no such order" makes it missing."""
    found: dict[str, OrderDocument] = {}
    for chunk in chunks(list(dict.fromkeys(keys))):
        for status in STATUSES:
            rest = [key for key in chunk if key not in found]
            rows = _included(api, rest, status) if rest else []
            found.update((str(order_key(row)), _document(api, row)) for row in rows)
    return [found[key] if key in found else _single(api, key) for key in dict.fromkeys(keys)]


def _included(api: Api, keys: Sequence[str], status: str) -> list[Node]:
    return api.listed("orders", {"include": ",".join(keys), "status": status, "per_page": 100, "orderby": "id"})


def _single(api: Api, key: str) -> OrderDocument:
    try:
        value, _ = api.get(f"orders/{int(key)}")
        return _document(api, fields.node(value, "order"))
    except NotFound as error:
        if error.reason != "no_such_order":
            raise
        return OrderDocument(key, None, b"", missing=True)
    except Malformed as error:
        return _unread(int(key), error)


def _document(api: Api, order: Node) -> OrderDocument:
    key = order_key(order)
    try:
        whole, refunds = _joined(api, key, order)
    except Malformed as error:
        return _unread(key, error)
    return _kept(key, whole, refunds)


def _unread(key: int, error: Malformed) -> OrderDocument:
    """One order that is not what it should be: its own document says so, the others are not held up."""
    return OrderDocument(str(key), None, unreadable(key, error))


def _joined(api: Api, key: int, order: Node) -> tuple[Node, list[Node]]:
    """The order and its refunds, as they were at the same time. Raises `Malformed`, also where the two lists never
    agree: what changes is told again, and a plugin that hides a refund in one of them does so for ever."""
    for _ in range(JOIN_TRIES_MAX):
        refunds = _refunds(api, key) if order.get("refunds") else []
        if _ids(refunds) == _ids(_named(order)):
            return order, refunds
        value, _ = api.get(f"orders/{key}")  # refunded between the two reads
        order = fields.node(value, "order")
    raise Malformed("order_changing", "the refunds that the order names are not those it has", field="order.refunds")


def _kept(key: int, order: Node, refunds: Sequence[Node]) -> OrderDocument:
    try:
        stamp = fields.get_instant(order.get("date_modified_gmt"), "order.date_modified_gmt")
        # Without refunds the document is the same bytes as the webhook's, so that neither looks like news.
        return OrderDocument(str(key), stamp, document(order, refunds or None))
    except Malformed as error:
        return _unread(key, error)


def _named(order: Node) -> list[Node]:
    """Raises `Malformed`: a list that a plugin filtered keeps its gaps in PHP, and comes as an object, `{"1": …}`
    (php.net, json_encode, 2026-11-30: only keys that count from 0 make an array)."""
    return fields.find_nodes(order, "refunds", "order", limit=REFUNDS_MAX)


def _ids(refunds: Sequence[Node]) -> set[int]:
    return {fields.key(refund.get("id"), "refund.id") for refund in refunds}


def _refunds(api: Api, order: int) -> list[Node]:
    refunds: list[Node] = []
    for page in range(1, REFUND_PAGES_MAX + 1):
        rows = api.listed(f"orders/{order}/refunds", {"per_page": 100, "page": page})
        refunds += rows
        if len(rows) < 100:
            return refunds
    raise Malformed("too_many", f"more than {REFUNDS_MAX} refunds", field="refunds")


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")
