"""What we keep of an order: an allow-list. Nothing about the customer is copied, so nothing can leak.

The kept document is `{"order": {…}, "refunds": [{…}, …]}` in UTF-8 JSON; `refunds` is there only when they were read
from the shop, because an order's own body does not say which units a refund was for. Amounts are kept as text.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import orjson

from connectors.base import ORDER_LINES_MAX
from connectors.errors import Malformed
from connectors.woocommerce import fields
from connectors.woocommerce.fields import Node

REFUNDS_MAX = 1_000
META_MAX = 2_000
DIGITS_MAX = 50
ORDER_FIELDS = ("id", "number", "status", "currency", "date_created_gmt", "date_modified_gmt", "date_completed_gmt")
LINE_FIELDS = ("id", "product_id", "variation_id", "quantity", "sku", "price")
LINE_META = ("_reduced_stock", "_restock_refunded_items")
REFUND_FIELDS = ("id", "date_created_gmt")
REFUND_LINE_FIELDS = ("quantity",)
REFUND_LINE_META = ("_refunded_item_id",)


def document(order: Node, refunds: Sequence[Node] | None = None) -> bytes:
    """The kept form of an order. Raises `Malformed` naming the field that can't even be copied."""
    kept: dict[str, object] = {"order": _order(order)}
    if refunds is not None:
        if len(refunds) > REFUNDS_MAX:
            raise Malformed("too_many", f"more than {REFUNDS_MAX} refunds", field="refunds")
        kept["refunds"] = [_refund(refund, f"refunds[{index}]") for index, refund in enumerate(refunds)]
    return orjson.dumps(kept, default=_plain)


def _order(order: Node) -> dict[str, object]:
    kept = _scalars(order, ORDER_FIELDS, "order")
    lines = fields.nodes(order, "line_items", "order", limit=ORDER_LINES_MAX)
    kept["line_items"] = [
        _with_meta(line, f"order.line_items[{index}]", names=LINE_FIELDS, meta=LINE_META)
        for index, line in enumerate(lines)
    ]
    refunds = fields.find_nodes(order, "refunds", "order", limit=REFUNDS_MAX)
    kept["refunds"] = [{"id": refund.get("id")} for refund in refunds]
    return kept


def _refund(refund: Node, path: str) -> dict[str, object]:
    kept = _scalars(refund, REFUND_FIELDS, path)
    lines = fields.nodes(refund, "line_items", path, limit=ORDER_LINES_MAX)
    kept["line_items"] = [
        _with_meta(line, f"{path}.line_items[{index}]", names=REFUND_LINE_FIELDS, meta=REFUND_LINE_META)
        for index, line in enumerate(lines)
    ]
    return kept


def _with_meta(line: Node, path: str, *, names: Sequence[str], meta: Sequence[str]) -> dict[str, object]:
    kept = _scalars(line, names, path)
    rows = fields.find_nodes(line, "meta_data", path, limit=META_MAX)
    chosen = {key: row for row in rows if (key := _meta_key(row, path)) in meta}
    kept["meta_data"] = [{"key": key, **_scalars(row, ("value",), f"{path}.{key}")} for key, row in chosen.items()]
    return kept


def _meta_key(row: Node, path: str) -> str:
    """Raises `Malformed`: what a row is about that is not named is what nobody must overlook."""
    key = row.get("key")
    if isinstance(key, bool) or not isinstance(key, str | int):
        raise Malformed("not_text", "a meta row without a name", field=f"{path}.meta_data")
    return str(key)


def _scalars(node: Node, names: Sequence[str], path: str) -> dict[str, object]:
    """The named fields as they came, right or wrong: `parse_order` is the judge. Objects and long texts don't pass."""
    kept: dict[str, object] = {}
    for name in names:
        value = node.get(name)
        reason = _unkeepable(value)
        if reason:
            raise Malformed(reason, "not a plain value of reasonable length", field=f"{path}.{name}")
        if name in node:
            kept[name] = value
    return kept


def _unkeepable(value: object) -> str:
    if isinstance(value, str) and "\x00" in value:
        return "nul_in_string"
    if isinstance(value, int) and abs(value) >= 2**63:
        return "integer_too_large"
    long = isinstance(value, str) and len(value) > fields.TEXT_MAX
    return "not_plain" if long or isinstance(value, (dict, list)) else ""


def unreadable(order_key: int, error: Malformed) -> bytes:
    """Stands for an order that can't be kept, so that `parse_order` refuses this one and not its whole page."""
    return orjson.dumps({"order": {"id": order_key}, "unreadable": {"reason": error.reason, "field": error.field}})


def _plain(value: object) -> str:
    if isinstance(value, Decimal):
        return f"{value:f}" if abs(value.adjusted()) < DIGITS_MAX else str(value)
    raise TypeError(type(value).__name__)
