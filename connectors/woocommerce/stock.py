"""Stock numbers of one shop: read, and changed in batches.

A stock key is where the shop keeps the number: `product`, or `parent/variation` for a variation that manages its own. A
batch is no transaction and `inventory_delta` has no idempotency: what may have been applied is said to be unknown.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from connectors.base import (
    QUANTITY_MAX,
    Rejected,
    StockKey,
    StockReading,
    StockWrite,
    Unknown,
    Unsent,
    WriteOutcome,
    Written,
)
from connectors.errors import ChannelError, Malformed, NotFound, OutcomeUnknown
from connectors.woocommerce import fields
from connectors.woocommerce.api import Api, Params, chunks
from connectors.woocommerce.errors import ITEM_CODES
from connectors.woocommerce.fields import Node

WRITE_ROWS_MAX = 50  # a batch of 100 outlives many proxies' patience
WRITE_TOTAL_S = 45.0  # no further call is begun after this: a push attempt has a deadline
FIELDS = "id,parent_id,type,manage_stock,stock_quantity"
SERVER_ERROR = 500  # and above: whatever the code, the shop failed in the middle of it
FLAT_VARIATIONS_SINCE = (10, 3)  # GET /variations over all parents


def read_stock(api: Api, keys: Sequence[StockKey]) -> Sequence[StockReading]:
    """One reading per key; a number that is not there comes with the reason."""
    unique = list(dict.fromkeys(keys))
    products = [key for key in unique if "/" not in key.stock_key]
    variations = [key for key in unique if "/" in key.stock_key]
    found = {f"{fields.key(node.get('id'), 'id')}": node for node in _products(api, products)}
    found.update(_variations(api, variations))
    return [reading(key, found.get(key.stock_key)) for key in unique]


def reading(key: StockKey, node: Node | None) -> StockReading:
    """What a product or variation body shows under this key."""
    if node is None:
        return StockReading(key, None, "gone")
    manages, quantity = node.get("manage_stock"), node.get("stock_quantity")
    if manages == "parent" and "/" in key.stock_key:
        return StockReading(key, None, "parent_managed")
    if manages not in (True, "parent"):
        return StockReading(key, None, "untracked")  # also null: plugins write it
    if isinstance(quantity, bool) or not isinstance(quantity, int) or abs(quantity) > QUANTITY_MAX:
        return StockReading(key, None, "not_whole")  # plugins may keep decimals
    return StockReading(key, quantity)


def _products(api: Api, keys: Sequence[StockKey]) -> list[Node]:
    rows: list[Node] = []
    for chunk in chunks([key.stock_key for key in keys]):
        rows += api.listed("products", {"include": ",".join(chunk), "per_page": 100, "_fields": FIELDS})
    return rows


def _variations(api: Api, keys: Sequence[StockKey]) -> dict[str, Node]:
    if has_flat_variations(api.shop.facts):
        return _flat(api, [key.stock_key for key in keys])
    by_parent: Mapping[str, list[str]] = defaultdict(list)
    for key in keys:
        parent, variation = key.stock_key.split("/")
        by_parent[parent].append(variation)
    return {
        f"{parent}/{fields.key(node.get('id'), 'id')}": node
        for parent, ids in by_parent.items()
        for node in _of_parent(api, parent, ids)
    }


def _flat(api: Api, keys: Sequence[str]) -> dict[str, Node]:
    found: dict[str, Node] = {}
    for chunk in chunks(keys):
        include = ",".join(key.split("/")[1] for key in chunk)
        rows = api.listed("variations", {"include": include, "per_page": 100})
        found.update({f"{node.get('parent_id')}/{node.get('id')}": node for node in rows})
    return found


def _of_parent(api: Api, parent: str, ids: Sequence[str]) -> list[Node]:
    rows: list[Node] = []
    for chunk in chunks(ids):
        try:
            params: Params = {"include": ",".join(chunk), "per_page": 100, "_fields": FIELDS}
            rows += api.listed(f"products/{int(parent)}/variations", params)
        except NotFound as error:
            if error.reason != "no_such_product":
                raise
    return rows


def has_flat_variations(facts: Mapping[str, str]) -> bool:
    """`GET /variations` exists since 10.3.0; 404 on 10.2.4."""
    parts = facts.get("version", "").split(".")[:2]
    return len(parts) == 2 and all(map(fields.is_count, parts)) and tuple(map(int, parts)) >= FLAT_VARIATIONS_SINCE


def write_stock(api: Api, rows: Sequence[StockWrite]) -> Sequence[WriteOutcome]:
    """One outcome per row, one call per parent. The first failed call ends the sending: its own rows are `Unknown` or
    `Unsent`, those after it `Unsent`. When there is nothing else to tell, the failure is raised instead."""
    if len(rows) > WRITE_ROWS_MAX:
        raise ValueError(f"at most {WRITE_ROWS_MAX} rows")
    outcomes: dict[StockKey, WriteOutcome] = {}
    started = api.http.monotonic()
    groups = _grouped(rows)
    for path, group in groups.items():
        if api.http.monotonic() - started > WRITE_TOTAL_S:
            break
        try:
            outcomes.update(_send(api, path, group))
        except ChannelError as error:
            if isinstance(error, NotFound) and error.reason == "no_such_product":
                outcomes.update((row.key, Rejected(row.key, "gone", error.reason)) for row in group)
                continue
            if isinstance(error, OutcomeUnknown) and len(groups) > 1:
                outcomes.update((row.key, Unknown(row.key, error.reason)) for row in group)
            if not outcomes:
                raise
            break
    return [outcomes.get(row.key, Unsent(row.key)) for row in rows]


def _grouped(rows: Sequence[StockWrite]) -> dict[str, list[StockWrite]]:
    groups: dict[str, list[StockWrite]] = defaultdict(list)
    for row in rows:
        parent = row.key.stock_key.split("/")[0] if "/" in row.key.stock_key else ""
        groups[f"products/{int(parent)}/variations/batch" if parent else "products/batch"].append(row)
    return groups


def _send(api: Api, path: str, rows: Sequence[StockWrite]) -> dict[StockKey, WriteOutcome]:
    value = api.send("POST", path, {"update": [_item(row) for row in rows]})
    try:
        items = fields.nodes(fields.node(value, "answer"), "update", "answer", limit=len(rows))
        if [item.get("id") for item in items] != [_own_id(row) for row in rows]:
            raise Malformed("answer_out_of_order", "the answer is about other items")
        return {row.key: _outcome(row, item) for row, item in zip(rows, items, strict=True)}
    except Malformed as error:
        raise OutcomeUnknown(error.reason, error.detail) from error


def _own_id(row: StockWrite) -> int:
    return int(row.key.stock_key.split("/")[-1])


def _item(row: StockWrite) -> dict[str, int]:
    """`inventory_delta` is undocumented on purpose and works (both versions). Items of a batch are not validated by the
    shop ("abc" would become 0), so only plain integers ever leave here."""
    if row.relative:
        return {"id": _own_id(row), "inventory_delta": int(row.target - row.expected)}
    return {"id": _own_id(row), "stock_quantity": int(row.target)}


def _outcome(row: StockWrite, item: Node) -> WriteOutcome:
    if "error" in item:
        return _refused(row, fields.node(item["error"], "error"))
    shown = reading(row.key, item)
    if shown.quantity is not None:
        return Written(row.key, shown.quantity)
    if item.get("manage_stock") is False:
        # An unmanaged product ignores the number and answers 200.
        return Rejected(row.key, shown.reason, "the shop keeps no number here")
    return Unknown(row.key, shown.reason)  # a plugin changes what is shown, and perhaps not what was done


def _refused(row: StockWrite, error: Node) -> Rejected | Unknown:
    """A hook of a plugin may fail after the number was saved: the shop then says an error of what it wrote
    (WC_REST_CRUD_Controller::update_item saves, calls `woocommerce_rest_insert_product_object`, and answers what is
    thrown there; read 2026-11-30). Only codes known to be said before that say that nothing was done."""
    code = str(error.get("code") or "")[:100]
    known = ITEM_CODES.get(code)
    if known is None or _status(error) >= SERVER_ERROR:
        return Unknown(row.key, code or "refused")
    reason, permanent = known
    return Rejected(row.key, reason, str(error.get("message", ""))[:300], permanent)


def _status(error: Node) -> int:
    data = error.get("data")
    status = data.get("status") if isinstance(data, dict) else None
    return status if isinstance(status, int) else 0
