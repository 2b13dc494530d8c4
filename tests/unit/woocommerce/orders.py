"""Small orders for tests, in WooCommerce's own shape."""

from __future__ import annotations

from typing import Any

from connectors.base import OrderSnapshot, Units
from connectors.woocommerce.orders import parse_order
from connectors.woocommerce.redaction import document

MODIFIED = "2026-11-23T12:00:00"


def line(**changed: Any) -> dict[str, Any]:
    """A line of 5; `reduced` and `given_back` become meta data."""
    reduced, given_back = changed.pop("reduced", None), changed.pop("given_back", None)
    meta = [("_reduced_stock", reduced), ("_restock_refunded_items", given_back)]
    whole = {"id": 1, "product_id": 10, "variation_id": 0, "quantity": 5, "sku": "A", "price": 10}
    return {**whole, "meta_data": [{"key": k, "value": v} for k, v in meta if v is not None], **changed}


def order(status: str = "processing", *lines: dict[str, Any], **changed: Any) -> dict[str, Any]:
    """An order with one line of 5 unless told."""
    whole = {
        "id": 7,
        "number": "1007",
        "status": status,
        "currency": "USD",
        "date_created_gmt": "2026-11-23T10:00:00",
        "date_modified_gmt": MODIFIED,
        "date_completed_gmt": None,
        "line_items": list(lines) or [line()],
        "refunds": [],
    }
    return {**whole, **changed}


def refund(units: int, at: str = "2026-11-23T11:00:00", *, of: int = 1, key: int = 90) -> dict[str, Any]:
    """Units of line `of`."""
    meta = [{"key": "_refunded_item_id", "value": str(of)}]
    return {"id": key, "date_created_gmt": at, "line_items": [{"quantity": -units, "meta_data": meta}]}


def read(body: dict[str, Any], *refunds: dict[str, Any]) -> OrderSnapshot:
    """The snapshot of an order and its refunds."""
    named = {**body, "refunds": [{"id": item["id"]} for item in refunds]}
    return parse_order(document(named, refunds or None))


def units(body: dict[str, Any], *refunds: dict[str, Any]) -> Units:
    """Where the first line's units are."""
    (found,) = read(body, *refunds).lines[0].units
    return found
