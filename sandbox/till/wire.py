"""What a till shows of itself: plain JSON, stamps in UTC to the microsecond, amounts as text."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from sandbox.till.state import Hook, Line, Order, Product

Json = dict[str, object]
CURRENCY = "EUR"


def stamp(at: datetime) -> str:
    """Always the same length, so that stamps sort as text."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def product(one: Product) -> Json:
    """A product; `stock` null: no number is kept."""
    return {
        "id": one.id, "sku": one.sku, "name": one.name, "barcode": one.barcode or None, "price": _money(one.price),
        "cost": _money(one.cost), "stock": one.stock,
    }  # fmt: skip


def order(one: Order) -> Json:
    """A whole order, with a customer whom nobody needs to know of."""
    return {
        "id": one.id, "number": one.number, "status": one.status, "currency": CURRENCY,
        "placed_at": stamp(one.placed_at), "updated_at": stamp(one.updated_at),
        "customer": {"name": "Ada Example", "email": "ada@example.com", "note": "birthday present"},
        "lines": [_line(line) for line in one.lines],
    }  # fmt: skip


def _line(line: Line) -> Json:
    return {
        "id": line.id, "product": line.product_id, "sku": line.sku, "name": line.name, "quantity": line.quantity,
        "price": _money(line.price), "handed_over": line.handed_over, "put_back": line.put_back, "held": line.held,
        "returned": line.returned,
    }  # fmt: skip


def hook(one: Hook) -> Json:
    """A subscription; its secret is never shown."""
    return {"id": one.id, "event": one.event, "url": one.url, "status": one.status}


def _money(amount: Decimal | None) -> str | None:
    return None if amount is None else f"{amount:.2f}"
