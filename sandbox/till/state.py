"""What a till remembers: products, orders with their lines, and who wants to be told of changes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal


@dataclass(slots=True)
class Product:
    """One thing it sells. `stock` None: the till keeps no number for it."""

    id: str
    sku: str
    name: str
    price: Decimal
    stock: int | None
    cost: Decimal | None = None
    barcode: str = ""


@dataclass(slots=True)
class Line:
    """One line and where its units are; what is in none of the counts waits to be handed over."""

    id: str
    product_id: str
    sku: str
    name: str
    quantity: int
    price: Decimal
    handed_over: int = 0
    put_back: int = 0  # cancelled or refunded before they left, and on the shelf again
    held: int = 0  # refunded before they left, and not put back
    returned: int = 0  # came back after they left, and on the shelf again
    written_off: int = 0  # refunded after they left; they stay with the customer

    @property
    def waiting(self) -> int:
        """Units that are promised and still here."""
        return self.quantity - self.handed_over - self.put_back - self.held

    @property
    def with_buyer(self) -> int:
        """Units that left and may still be refunded."""
        return self.handed_over - self.returned - self.written_off


@dataclass(slots=True)
class Order:
    """One order. `status`: open, completed, cancelled or refunded."""

    id: str
    number: str
    placed_at: datetime
    updated_at: datetime
    lines: list[Line]
    status: str = "open"

    def line(self, line_id: str) -> Line:
        """Raises KeyError."""
        return {line.id: line for line in self.lines}[line_id]


@dataclass(slots=True)
class Hook:
    """One subscription to one event. It is paused after a run of failures."""

    id: str
    event: str
    url: str
    secret: str
    status: str = "active"
    failures: int = 0
