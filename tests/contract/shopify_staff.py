"""Staff and customers of a pretend Shopify: they act at random, but only as Shopify's admin would let them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from sandbox.shopify import PretendShopify
from sandbox.shopify.state import Line, Order


class Staff:
    """`act()` does one thing; the same seed does the same things."""

    def __init__(self, shop: PretendShopify, rng: Random, places: Sequence[str], skus: Sequence[str]) -> None:
        self.shop, self.rng, self.places, self.skus = shop, rng, places, skus

    def act(self) -> None:
        """Something that is possible now; a sale when nothing else is."""
        acts: list[Callable[[Order], bool]] = [
            self._ship, self._undo_shipment, self._refund_unshipped, self._refund_shipped, self._cancel, self._edit,
            self._move, self._return,
        ]  # fmt: skip
        orders = list(self.shop.orders.values())
        if not orders or self.rng.random() < 0.3 or not self.rng.choice(acts)(self.rng.choice(orders)):
            self._sell()

    def _sell(self) -> None:
        wanted = [(sku, self.rng.randint(1, 4)) for sku in self.skus if self.rng.random() < 0.7]
        counter = self.rng.random() < 0.2
        place = self.rng.choice(self.places) if counter else None
        self.shop.place_order(wanted or [(self.skus[0], 1)], place, fulfilled=counter)

    def _ship(self, order: Order) -> bool:
        line = self._line(order, order.owed)
        if line is None:
            return False
        place = self.rng.choice(self.places) if self.rng.random() < 0.2 else None
        self.shop.fulfill(order.key, {line.id: self.rng.randint(1, order.owed(line))}, place)
        return True

    def _undo_shipment(self, order: Order) -> bool:
        live = [f for f in order.fulfillments if f.status == "SUCCESS"]
        if not live or order.refunds or order.returns or order.cancelled_at:
            return False
        self.shop.cancel_fulfillment(order.key, f"gid://shopify/Fulfillment/{self.rng.choice(live).id}")
        return True

    def _refund_unshipped(self, order: Order) -> bool:
        line = self._line(order, order.owed)
        if line is None:
            return False
        units = {line.id: self.rng.randint(1, order.owed(line))}
        self.shop.refund(order.key, units, self.rng.choice(["CANCEL", "CANCEL", "NO_RESTOCK"]))
        return True

    def _refund_shipped(self, order: Order) -> bool:
        line = self._line(order, lambda line: self._with_buyer(line, order))
        if line is None or order.owed(line):
            return False
        units = {line.id: self.rng.randint(1, self._with_buyer(line, order))}
        kind = self.rng.choice(["RETURN", "RETURN", "NO_RESTOCK"])
        self.shop.refund(order.key, units, kind, location=self.rng.choice(self.places))
        return True

    def _cancel(self, order: Order) -> bool:
        if order.cancelled_at or order.fulfillments or self.rng.random() < 0.5:
            return False
        self.shop.cancel(order.key, restock=self.rng.random() < 0.7, swallow=self.rng.random() < 0.2)
        return True

    def _edit(self, order: Order) -> bool:
        line = self._line(order, order.owed)
        if line is None:
            return False
        change = self.rng.choice([-self.rng.randint(1, order.owed(line)), 1])
        self.shop.edit_line(order.key, line.id, line.current + change)
        return True

    def _move(self, order: Order) -> bool:
        if not order.open_allocations() or len(self.places) == 1:
            return False
        self.shop.move_fulfillment_order(order.key, self.rng.choice(self.places))
        return True

    def _return(self, order: Order) -> bool:
        line = self._line(order, lambda line: self._with_buyer(line, order))
        if line is None or order.owed(line):
            return False
        units = self.rng.randint(1, self._with_buyer(line, order))
        returned = self.shop.open_return(order.key, {line.id: units})
        kind = self.rng.choice(["RESTOCKED", "NOT_RESTOCKED", "PROCESSING_REQUIRED", "MISSING"])
        self.shop.dispose(order.key, line.id, units, kind, self.rng.choice(self.places))
        if self.rng.random() < 0.5:
            kind = self.rng.choice(["RETURN", "NO_RESTOCK"])
            self.shop.refund(order.key, {line.id: units}, kind, of_return=returned)
        return True

    def _line(self, order: Order, units: Callable[[Line], int]) -> Line | None:
        lines = [line for line in order.lines if units(line)]
        return self.rng.choice(lines) if lines and not order.cancelled_at else None

    def _with_buyer(self, line: Line, order: Order) -> int:
        """Shipped units that nothing has been said about yet."""
        refunded = sum(
            entry.quantity
            for refund in order.refunds
            for entry in refund.lines
            if entry.line_id == line.id and refund.return_id is None and entry.restock_type != "CANCEL"
        )
        returned = sum(r.expected.get(line.id, 0) for r in order.returns)
        return max(0, order.shipped(line) - refunded - returned)
