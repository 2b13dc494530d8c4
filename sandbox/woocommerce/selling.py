"""The life of orders and what it does to stock: `_reduced_stock` exactly as WooCommerce keeps it up to 10.9.0.

Every unit that an order takes or puts back is written to `context.sales`; a sale of a variation whose parent keeps the
number is written under the parent's SKU, because that is the number it moves. `completed` is the shop's only word for
goods that left: `context.parcels` has what leaves with it, and what comes back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal

from sandbox.base import Sale
from sandbox.woocommerce.hooks import Hooks
from sandbox.woocommerce.state import Line, Order, Product, Refund, RefundLine, State

REDUCING = frozenset({"processing", "completed", "on-hold"})
RESTORING = frozenset({"cancelled", "pending"})
PAID = frozenset({"processing", "completed"})
HERE = frozenset({"pending", "checkout-draft", "on-hold", "processing", "failed", "cancelled"})  # nothing has left


class Selling:
    """Acts on orders; every act emits the webhooks that the shop would."""

    def __init__(self, state: State, hooks: Hooks) -> None:
        self._state = state
        self._hooks = hooks

    def place(self, items: Sequence[tuple[Product, int]], status: str, *, created_via: str) -> Order:
        """A new order. The shop's own checkout says `order.updated` before `order.created`, REST the reverse."""
        now = self._state.now()
        lines = [self.new_line(product, quantity) for product, quantity in items]
        order = Order(self._state.post_id(), "pending", self._state.options.currency, now, now, created_via, lines)
        self._state.add_order(order)
        touched = self._enter(order, status)
        names = ("order.created", "order.updated") if created_via == "rest-api" else ("order.updated", "order.created")
        for name in (*names, "action.woocommerce_new_order"):
            self._hooks.emit(name, order.id)
        self._announce(touched)
        return order

    def new_line(self, product: Product, quantity: int) -> Line:
        """A line for a simple product or a variation."""
        parent = self._state.products.get(product.parent_id)
        return Line(
            id=self._state.line_id(),
            product_id=parent.id if parent else product.id,
            variation_id=product.id if parent else 0,
            name=f"{parent.name} - {product.name}" if parent else product.name,
            parent_name=parent.name if parent else None,
            sku=product.sku,
            barcode=product.barcode,
            price=product.price,
            cost=product.cost or Decimal(0),
            quantity=quantity,
            meta_id=self._state.line_id(),
        )

    def set_status(self, order: Order, status: str) -> None:
        """As a person or a payment does; setting `refunded` makes a refund without lines and restocks nothing."""
        changed = order.status != status
        touched = self._enter(order, status)
        self._hooks.emit("order.updated", order.id)
        if changed:
            self._hooks.emit("action.woocommerce_order_status_changed", order.id)
        self._announce(touched)

    def _enter(self, order: Order, status: str) -> list[Product]:
        changed = order.status != status
        order.status = status
        self._state.touch_order(order)
        if not changed:
            return []
        if status == "completed":
            order.completed_at = order.modified_at
            self._ship(order)
        elif status in HERE:
            for line in order.lines:
                self._come_back(order, line, line.away)
        if status in PAID and order.paid_at is None:
            order.paid_at = order.modified_at
        if status == "refunded" and order.refunded < order.total:
            self._add_refund(order, order.total - order.refunded, "Order fully refunded.", lines=[])
        if status in REDUCING:
            return self._reduce(order)
        return self._restore(order) if status in RESTORING else []

    def _reduce(self, order: Order) -> list[Product]:
        if order.stock_reduced:
            return []
        order.stock_reduced = True
        touched = []
        for line in order.lines:
            owner = self._owner(line)
            if owner is not None and line.reduced is None and line.quantity:
                line.reduced = line.quantity
                touched.append(self._take(owner, order, line.quantity))
        return touched

    def _restore(self, order: Order) -> list[Product]:
        if not order.stock_reduced:
            return []
        order.stock_reduced = False
        touched = []
        for line in order.lines:
            owner, reduced = self._owner(line), line.reduced
            if owner is not None and reduced:
                line.reduced = None
                touched.append(self._take(owner, order, -reduced))
        return touched

    def _take(self, owner: Product, order: Order, units: int) -> Product:
        owner.stock = (owner.stock or 0) - units
        owner.sold += units
        self._state.touch_product(owner)
        self._state.context.sales.append(Sale(self._state.context.now(), str(order.id), owner.sku, units, owner.stock))
        return owner

    def _ship(self, order: Order) -> None:
        """What was not refunded and is still here leaves."""
        refunded: Counter[int] = Counter()
        for refund in order.refunds:
            refunded.update({line.line_id: line.quantity for line in refund.lines})
        for line in order.lines:
            self._send(order, line, max(0, line.quantity - refunded[line.id] - line.away))

    def _come_back(self, order: Order, line: Line, units: int) -> None:
        """Up to so many of those that are away."""
        self._send(order, line, -min(units, line.away))

    def _send(self, order: Order, line: Line, units: int) -> None:
        owner = self._owner(line)
        if owner is not None:
            line.away += units
            self._state.context.send(str(order.id), owner.sku, units)

    def _owner(self, line: Line) -> Product | None:
        product = self._state.products.get(line.variation_id or line.product_id)
        return self._state.owner(product) if product is not None else None

    def _announce(self, owners: Sequence[Product]) -> None:
        for owner in owners:
            self._hooks.emit("product.updated", owner.id)
            self._hooks.emit("action.woocommerce_updated_product_stock", owner.id)

    def edit_line(self, order: Order, line: Line, quantity: int) -> None:
        """A person changes a quantity; 0 removes the line. Stock follows while the order has reduced it."""
        if order.status == "completed":
            self._send(order, line, max(quantity - line.quantity, -line.away))
        line.quantity = quantity
        touched = []
        owner = self._owner(line)
        if order.stock_reduced and owner is not None:
            more = quantity - (line.reduced or 0) - (line.restocked or 0)
            if more:
                line.reduced = (line.reduced or 0) + more
                touched.append(self._take(owner, order, more))
        if quantity == 0:
            order.lines.remove(line)
        self._state.touch_order(order)
        self._announce(touched)
        self._hooks.emit("order.updated", order.id)

    def add_line(self, order: Order, product: Product, quantity: int) -> Line:
        """A person adds a line."""
        line = self.new_line(product, 0)
        order.lines.append(line)
        self.edit_line(order, line, quantity)
        return line

    def refund(self, order: Order, units: Mapping[int, int], *, amount: Decimal, restock: bool, reason: str) -> Refund:
        """`units` per line id, unbounded as in the shop: 4 of an ordered 1 gives 4 back."""
        touched = []
        lines = []
        for line in [line for line in order.lines if line.id in units]:
            quantity = units[line.id]
            lines.append(RefundLine(self._state.line_id(), line.id, quantity, line.price * quantity))
            owner = self._owner(line)
            if restock and owner is not None and quantity and line.reduced:
                line.reduced -= quantity
                line.restocked = (line.restocked or 0) + quantity
                touched.append(self._take(owner, order, -quantity))
                self._come_back(order, line, quantity)
        refund = self._add_refund(order, amount, reason, lines=lines)
        self._state.touch_order(order)
        self._announce(touched)
        self._hooks.emit("order.updated", order.id)
        self._hooks.emit("action.woocommerce_order_refunded", order.id)
        if order.refunded >= order.total and order.status != "refunded":
            self.set_status(order, "refunded")
        return refund

    def _add_refund(self, order: Order, amount: Decimal, reason: str, *, lines: list[RefundLine]) -> Refund:
        full = order.refunded + amount >= order.total
        refund = Refund(self._state.post_id(), order.id, self._state.now(), amount, reason, lines, full)
        order.refunds.insert(0, refund)
        self._state.refunds[refund.id] = refund
        return refund

    def delete_refund(self, order: Order, refund: Refund) -> None:
        """No webhook, no new date, no stock, and the status stays: nothing tells."""
        order.refunds.remove(refund)
        del self._state.refunds[refund.id]

    def trash(self, order: Order) -> None:
        """Into the trash; stock stays as it is."""
        order.status_before_trash, order.status = order.status, "trash"
        self._state.trashed_orders.add(order.id)
        self._state.touch_order(order)
        self._hooks.emit("order.deleted", order.id)
        self._hooks.emit("action.woocommerce_trash_order", order.id)

    def untrash(self, order: Order) -> None:
        """Back with the status it had."""
        order.status = order.status_before_trash
        self._state.trashed_orders.discard(order.id)
        self._state.touch_order(order)
        self._hooks.emit("order.restored", order.id)

    def delete(self, order: Order) -> None:
        """For good. No order topic says so, only the action; stock stays as it is."""
        self._state.drop_order(order)
        self._hooks.emit("action.woocommerce_before_delete_order", order.id)
        self._hooks.emit("action.woocommerce_delete_order", order.id)
