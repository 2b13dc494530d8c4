"""A pretend till as a `sandbox.base.Shop`: an API, deliveries, and what people do at the counter as methods.

It is as plain as an API can be, and dangerous in the way of such APIs: a number is set without a look at the one that
is there, no call has an idempotency key, no delivery is repeated.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from sandbox.base import Context, Delivery, Request, Response, Sale
from sandbox.till import wire
from sandbox.till.api import Api
from sandbox.till.hooks import Hooks
from sandbox.till.state import Line, Order, Product

TOKEN = "till-token"  # noqa: S105  a pretend shop's
SECRET = "till-webhook-secret"  # noqa: S105
FIRST_NUMBER = 1000


class PretendTill:
    """One till. SKUs are unique. `sells_below_zero`: what lies on the counter is sold, whatever the number says."""

    def __init__(self, context: Context, *, token: str = TOKEN, sells_below_zero: bool = True) -> None:
        self.context = context
        self.token = token
        self.sells_below_zero = sells_below_zero
        self.products: dict[str, Product] = {}
        self.orders: dict[str, Order] = {}
        self.hooks = Hooks(context)
        self._by_sku: dict[str, Product] = {}
        self._log: list[tuple[datetime, int, str]] = []  # orders by their last change, oldest first
        self._last_id = 0
        self._api = Api(self)

    # -- what `sandbox.base.Shop` asks for

    def handle(self, request: Request) -> Response:
        """Answer one call and apply its effect at once."""
        return self._api.answer(request)

    def due_deliveries(self) -> list[Delivery]:
        """Deliveries whose time has come."""
        return self.hooks.due()

    def next_delivery_at(self) -> datetime | None:
        """When the next one falls due."""
        return self.hooks.next_at()

    def delivered(self, hook_key: str, status: int | None) -> None:
        """The receiver's answer."""
        self.hooks.delivered(hook_key, status)

    def shown(self) -> dict[str, int]:
        """The number of each product that has one."""
        return {product.sku: product.stock for product in self.products.values() if product.stock is not None}

    def for_sale(self) -> dict[str, int]:
        """Units that a buyer can buy."""
        return {sku: max(0, units) for sku, units in self.shown().items()}

    # -- what people do

    def add_product(
        self, sku: str, stock: int | None, price: str = "10.00", *, cost: str | None = None, barcode: str = ""
    ) -> str:
        """Something to sell; `stock` None: no number is kept. Its id."""
        money = None if cost is None else Decimal(cost)
        product = Product(str(self._next_id()), sku, f"Product {sku}", Decimal(price), stock, money, barcode)
        self.products[product.id] = self._by_sku[sku] = product
        self.hooks.emit("product.changed", {"product": wire.product(product)})
        return product.id

    def product(self, sku: str) -> Product:
        """Raises KeyError."""
        return self._by_sku[sku]

    def delete_product(self, sku: str) -> None:
        """It is sold no more."""
        product = self._by_sku.pop(sku)
        del self.products[product.id]
        self.hooks.emit("product.deleted", {"product": {"id": product.id}})

    def set_stock_by_hand(self, sku: str, quantity: int) -> None:
        """Somebody counted and typed: neither a sale nor a write of ours."""
        product = self._by_sku[sku]
        product.stock = quantity
        self.hooks.emit("stock.changed", {"product": wire.product(product)})

    def place_order(self, lines: Sequence[tuple[str, int]]) -> str | None:
        """A sale; the order's id, or None where the till does not sell what it does not have."""
        items = [(self._by_sku[sku], units) for sku, units in lines]
        if not self.sells_below_zero and any((p.stock or 0) < units for p, units in items if p.stock is not None):
            return None
        number, now = self._next_id(), self.context.now()
        rows = [
            Line(str(place), product.id, product.sku, product.name, units, product.price)
            for place, (product, units) in enumerate(items, start=1)
        ]
        order = self.orders[str(number)] = Order(str(number), f"T-{FIRST_NUMBER + number}", now, now, rows)
        insort(self._log, (now, number, order.id))
        for line in rows:
            self._take(order, line, line.quantity)
        self._changed(order)
        return order.id

    def hand_over(self, order_key: str, units: Mapping[str, int] | None = None) -> None:
        """The customer takes it along: everything that waits, or `units` per line id."""
        order = self.orders[order_key]
        for line in order.lines:
            leaving = line.waiting if units is None else min(units.get(line.id, 0), line.waiting)
            line.handed_over += leaving
            self._send(order, line, leaving)
        if order.status == "open" and not any(line.waiting for line in order.lines):
            order.status = "completed"
        self._changed(order)

    def cancel(self, order_key: str) -> None:
        """What has not left goes back on the shelf."""
        order = self.orders[order_key]
        for line in order.lines:
            self._put_back(order, line, line.waiting)
        order.status = "cancelled"
        self._changed(order)

    def refund(self, order_key: str, units: Mapping[str, int], *, restock: bool = True) -> None:
        """Money back for `units` per line id: first for what has not left, then for what has."""
        order = self.orders[order_key]
        for line_id, count in units.items():
            line = order.line(line_id)
            here = min(count, line.waiting)
            away = min(count - here, line.with_buyer)
            if restock:
                self._put_back(order, line, here)
                line.returned += away
                self._take(order, line, -away)
                self._send(order, line, -away)
            else:
                line.held += here
                line.written_off += away
        if not any(line.waiting or line.with_buyer for line in order.lines):
            order.status = "refunded"
        self._changed(order)

    def delete_order(self, order_key: str) -> None:
        """Gone for good; its units stay where they are."""
        order = self.orders.pop(order_key)
        del self._log[self._place(order)]
        self.hooks.emit("order.deleted", {"order": {"id": order_key}})

    # -- what the API asks for

    def changed_between(self, since: datetime, until: datetime, after: tuple[datetime, int]) -> list[Order]:
        """Orders whose last change lies between, both ends included, behind the place `after`; oldest change first."""
        start = max((since, 0), after)
        rows = self._log[bisect_left(self._log, (start[0], start[1] + 1, "")) :]
        return [self.orders[key] for at, _, key in rows if at <= until]

    def _put_back(self, order: Order, line: Line, units: int) -> None:
        line.put_back += units
        self._take(order, line, -units)

    def _take(self, order: Order, line: Line, units: int) -> None:
        """Units off the number (or back onto it), and into the order book."""
        product = self.products.get(line.product_id)
        if product is None or product.stock is None or units == 0:
            return
        product.stock -= units
        self.context.sales.append(Sale(self.context.now(), order.id, product.sku, units, product.stock))
        self.hooks.emit("stock.changed", {"product": wire.product(product)})

    def _send(self, order: Order, line: Line, units: int) -> None:
        """Units over the counter (or back), into the order book."""
        product = self.products.get(line.product_id)
        if product is not None and product.stock is not None:
            self.context.send(order.id, product.sku, units)

    def _changed(self, order: Order) -> None:
        del self._log[self._place(order)]
        order.updated_at = self.context.now()
        insort(self._log, (order.updated_at, int(order.id), order.id))
        self.hooks.emit("order.changed", {"order": wire.order(order)})

    def _place(self, order: Order) -> int:
        return bisect_left(self._log, (order.updated_at, int(order.id), order.id))

    def _next_id(self) -> int:
        self._last_id += 1
        return self._last_id
