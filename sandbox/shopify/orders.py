"""What a pretend shop's customers and staff do to orders, and what each does to the numbers and the order book.

A sale takes `available` down when the order is placed; only a cancelled, removed or returned unit that is restocked
puts it back. Shipping moves nothing that is sellable; what leaves and comes back is a parcel of the book.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from sandbox.base import Context, Sale
from sandbox.shopify.state import (
    Disposition,
    Fulfillment,
    FulfillmentOrder,
    Line,
    Location,
    Order,
    Refund,
    RefundLine,
    Return,
    Variant,
    gid,
    number,
)
from sandbox.shopify.stock import Inventory
from sandbox.shopify.webhooks import Webhooks, fulfillment_body, order_body, refund_body


@dataclass(frozen=True)
class _Restock:
    """Whether a refund's restock happens, and the units per line that a return's dispositions have settled already."""

    happens: bool = True
    settled: Mapping[int, int] = field(default_factory=dict)


class Orders:
    """The orders' half of `PretendShopify`. Orders are named by their gid, lines by SKU, gid or id."""

    context: Context
    first_number: int
    currency: str
    sells_below_zero: bool
    webhooks: Webhooks
    inventory: Inventory
    locations: dict[int, Location]
    orders: dict[int, Order]
    next_id: Callable[[], int]
    variant: Callable[[str], Variant]

    def place_order(
        self, wanted: Sequence[tuple[str, int]], location: str | None = None, *,
        confirmed: bool = True, test: bool = False, fulfilled: bool = False,
    ) -> str | None:  # fmt: skip
        """Buy; returns the order's gid, or None when the shop refuses to sell what it does not have.

        Each line is routed to `location`, else to the first place that has enough. `fulfilled`: over a counter.
        """
        lines = [self._line(self.variant(sku), quantity) for sku, quantity in wanted]
        routes = self._routes(lines, location)
        if routes is None:
            return None
        now = self.context.now()
        order = Order(self.next_id(), self.first_number + len(self.orders), now, now, lines, confirmed, test)
        self.orders[order.id] = order
        for place, routed in routes.items():
            remaining = {line.id: line.quantity for line in routed}
            chosen = len(self.locations) > 1 and not fulfilled
            order.allocations.append(FulfillmentOrder(self.next_id(), now, place, remaining, chosen=chosen))
            for line in routed if confirmed else ():
                self._take(order, line, place, line.quantity)
        if fulfilled:
            self._ship(order, location)
        self._tell(order, "orders/create")
        return order.key

    def add_custom_line(self, order: str, title: str, quantity: int = 1, price: str = "5.00", sku: str = "") -> int:
        """A tip or a custom item: no variant. Returns the line's id."""
        of = self.order(order)
        of.lines.append(Line(self.next_id(), None, sku, title, quantity, Decimal(price)))
        with self._touched(of):
            return of.lines[-1].id

    def fulfill(
        self, order: str, units: Mapping[str | int, int] | None = None, location: str | None = None
    ) -> list[str]:
        """Ship what is owed, or `units` per line of it, from where it is assigned or from `location`.

        Returns the new fulfilments' gids.
        """
        of = self.order(order)
        with self._touched(of):
            made = self._ship(of, location, units)
        for fulfillment in made:
            self.webhooks.emit("fulfillments/create", fulfillment_body(of, of.fulfillments.index(fulfillment)))
        done = not of.open_allocations()
        self._tell(of, "orders/fulfilled" if done else "orders/partially_fulfilled", "orders/updated")
        return [gid("Fulfillment", fulfillment.id) for fulfillment in made]

    def cancel_fulfillment(self, order: str, fulfillment: str) -> None:
        """Undo a shipment; its units are owed again at that place."""
        of = self.order(order)
        with self._touched(of):
            undone = next(f for f in of.fulfillments if f.id == number(fulfillment))
            undone.status = "CANCELLED"
            for line_id, units in undone.units.items():
                self._come_back(of, of.line(line_id), units)
            of.allocations.append(
                FulfillmentOrder(self.next_id(), self.context.now(), undone.location_id, dict(undone.units))
            )
        self.webhooks.emit("fulfillments/update", fulfillment_body(of, of.fulfillments.index(undone)))
        self._tell(of, "orders/updated")

    def refund(
        self, order: str, units: Mapping[str | int, int], restock_type: str, *,
        location: str | None = None, of_return: str | None = None, restocked: bool = True,
    ) -> str:  # fmt: skip
        """Refund units per line: `CANCEL` or `NO_RESTOCK` for what has not left, `RETURN` or `NO_RESTOCK` for what has.
        `restocked` False: the shop said it would restock and did not. Returns the refund's gid."""
        of = self.order(order)
        with self._touched(of):
            place = number(location) if location else None
            settled = _settled(of, number(of_return)) if of_return else {}
            refund = self._refund(of, units, restock_type, place, _Restock(restocked, settled))
            refund.return_id = number(of_return) if of_return else None
        self.webhooks.emit("refunds/create", refund_body(of, refund))
        self._tell(of, "orders/updated")
        return gid("Refund", refund.id)

    def cancel(self, order: str, restock: bool = True, *, swallow: bool = False) -> None:
        """Cancel what has not left. `swallow`: its location is closed and nobody paid, so that nothing is restocked and
        no refund says so."""
        of = self.order(order)
        units: dict[str | int, int] = {line.id: of.owed(line) for line in of.lines if of.owed(line)}
        refund, owing = None, of.open_allocations()
        with self._touched(of):
            of.cancelled_at = of.closed_at = self.context.now()
            if units and not swallow:
                refund = self._refund(of, units, "CANCEL" if restock else "NO_RESTOCK", None, _Restock())
            for allocation in of.open_allocations():
                allocation.status, allocation.remaining = "CLOSED", dict.fromkeys(allocation.remaining, 0)
        for allocation in owing:
            self.webhooks.emit("fulfillment_orders/cancelled", {"fulfillment_order": named(allocation)})
        if refund is not None:
            self.webhooks.emit("refunds/create", refund_body(of, refund))
        self._tell(of, "orders/cancelled", "orders/updated")

    def edit_line(self, order: str, line: str | int, quantity: int) -> None:
        """Make a line's current quantity another one; what is removed goes back on sale."""
        of = self.order(order)
        edited = of.line(line)
        more = quantity - edited.current
        with self._touched(of):
            if more > 0:
                edited.quantity += more
                allocation = next(iter(of.open_allocations()), of.allocations[-1])
                allocation.remaining[edited.id] = allocation.remaining.get(edited.id, 0) + more
                allocation.status = "OPEN"
                self._take(of, edited, allocation.location_id, more)
            else:
                edited.removed -= more
                for place, units in self._unassign(of, edited, -more):
                    self._take(of, edited, place, -units)
        edit = {"id": self.next_id(), "order_id": of.id, "line_items": {"additions": [], "removals": []}}
        self.webhooks.emit("orders/edited", {"order_edit": edit})
        self._tell(of, "orders/updated")

    def open_return(self, order: str, units: Mapping[str | int, int]) -> str:
        """Agree to take units back. Returns the return's gid."""
        of = self.order(order)
        with self._touched(of):
            expected = {of.line(line).id: quantity for line, quantity in units.items()}
            of.returns.append(Return(self.next_id(), self.next_id(), expected))
        key = gid("Return", of.returns[-1].id)
        self._tell_return("returns/approve", of, key)
        return key

    def dispose(self, order: str, line: str | int, quantity: int, type_: str, location: str | None = None) -> str:
        """Decide about units of the order's latest return: `RESTOCKED`, `NOT_RESTOCKED`, `PROCESSING_REQUIRED`,
        `MISSING`. Returns the disposition's gid."""
        of = self.order(order)
        returned = of.returns[-1]
        disposed = Disposition(
            self.next_id(), of.line(line).id, type_, quantity, number(location) if location else None
        )
        with self._touched(of):
            returned.dispositions.append(disposed)
            if type_ != "MISSING":
                self._come_back(of, of.line(line), quantity)
            if type_ == "RESTOCKED":
                self._take(of, of.line(line), disposed.location_id or self._sent_from(of, of.line(line)), -quantity)
        reverse = gid("ReverseFulfillmentOrder", returned.reverse_id)
        self.webhooks.emit("reverse_fulfillment_orders/dispose", {"reverse_fulfillment_order": {"id": reverse}})
        self._tell_return("returns/update", of, gid("Return", returned.id))
        return gid("ReverseFulfillmentOrderDisposition", disposed.id)

    def delete_order(self, order: str) -> None:
        """Delete an order for good; its units are not put back."""
        of = self.orders.pop(number(order))
        self.webhooks.emit("orders/delete", {"id": of.id})

    def order(self, key: str) -> Order:
        """By gid. Raises `KeyError`."""
        return self.orders[number(key)]

    # How units move.

    def _line(self, variant: Variant, quantity: int) -> Line:
        return Line(self.next_id(), variant, variant.sku, variant.title, quantity, variant.price)

    def _routes(self, lines: Sequence[Line], location: str | None) -> dict[int, list[Line]] | None:
        routes: dict[int, list[Line]] = {}
        spoken_for: dict[tuple[int, int], int] = {}
        for line in lines:
            place = number(location) if location else self._nearest(line, spoken_for)
            if line.variant is not None and line.tracked:
                key = (line.variant.item_id, place)
                spoken_for[key] = spoken_for.get(key, 0) + line.quantity
                if not self.sells_below_zero and self.inventory.available(*key) < spoken_for[key]:
                    return None
            routes.setdefault(place, []).append(line)
        return routes

    def _nearest(self, line: Line, spoken_for: Mapping[tuple[int, int], int]) -> int:
        places = [place.id for place in self.locations.values() if place.active]
        if line.variant is None or not line.tracked:
            return places[0]
        item = line.variant.item_id
        left = {p: self.inventory.available(item, p) - spoken_for.get((item, p), 0) for p in places}
        return next((p for p in places if left[p] >= line.quantity), max(places, key=lambda p: left[p]))

    def _take(self, order: Order, line: Line, place: int, units: int) -> None:
        """Sell units from a place; negative puts them back. Writes the order book."""
        if line.variant is None or not line.tracked or not units:
            return
        self.inventory.move(line.variant.item_id, place, -units)
        total = self.inventory.total(line.variant.item_id)
        self.context.sales.append(Sale(self.context.now(), order.key, line.sku, units, total))

    def _send(self, order: Order, line: Line, units: int) -> None:
        """Units leave the house. Writes the order book."""
        if line.tracked:
            line.away += units
            self.context.send(order.key, line.sku, units)

    def _come_back(self, order: Order, line: Line, units: int) -> None:
        """Up to so many of those that are away."""
        self._send(order, line, -min(units, line.away))

    def _shift(self, line: Line, source: int, target: int, units: int) -> None:
        if line.variant is not None and line.tracked:
            self.inventory.move(line.variant.item_id, source, units)
            self.inventory.move(line.variant.item_id, target, -units)

    def _ship(
        self, order: Order, location: str | None, units: Mapping[str | int, int] | None = None
    ) -> list[Fulfillment]:
        left = {order.line(line).id: quantity for line, quantity in units.items()} if units is not None else None
        made = []
        lines = {line.id: line for line in order.lines}
        for allocation in order.open_allocations():
            sent = self._sent(allocation, left)
            if not sent:
                continue
            place = number(location) if location else allocation.location_id
            for line_id, quantity in sent.items() if place != allocation.location_id else ():
                self._shift(lines[line_id], allocation.location_id, place, quantity)
            for line_id, quantity in sent.items():
                self._send(order, lines[line_id], quantity)
            made.append(Fulfillment(self.next_id(), place, sent))
            if not any(allocation.remaining.values()):
                allocation.status = "CLOSED"
        order.fulfillments += made
        return made

    def _sent(self, allocation: FulfillmentOrder, left: dict[int, int] | None) -> dict[int, int]:
        """Take units off a fulfilment order, as many as `left` still wants of each line."""
        sent = {}
        for line_id, remaining in allocation.remaining.items():
            quantity = remaining if left is None else min(remaining, left.get(line_id, 0))
            if quantity:
                sent[line_id] = quantity
                allocation.remaining[line_id] -= quantity
                if left is not None:
                    left[line_id] -= quantity
        return sent

    def _refund(
        self, order: Order, units: Mapping[str | int, int], restock_type: str, place: int | None, restock: _Restock
    ) -> Refund:
        lines = []
        for which, quantity in units.items():
            line = order.line(which)
            line.refunded += quantity
            unsent = quantity if restock_type == "CANCEL" else min(quantity, order.owed(line))
            unsent = 0 if restock_type == "RETURN" else unsent
            places = self._unassign(order, line, unsent)
            back = place or (places[0][0] if places else self._sent_from(order, line))
            puts_back = restock_type in ("CANCEL", "RETURN") and restock.happens
            undecided = max(0, quantity - restock.settled.get(line.id, 0))
            if puts_back:
                self._take(order, line, back, -undecided)
            if restock_type != "NO_RESTOCK":
                self._come_back(order, line, max(0, undecided - sum(owed for _, owed in places)))
            told = back if restock_type != "NO_RESTOCK" else None
            lines.append(RefundLine(line.id, quantity, restock_type, told, puts_back))
        refund = Refund(self.next_id(), lines, self.context.now())
        order.refunds.append(refund)
        return refund

    def _unassign(self, order: Order, line: Line, units: int) -> list[tuple[int, int]]:
        """Take owed units off the order; where they were owed, and how many."""
        taken = []
        for allocation in order.open_allocations():
            some = min(units, allocation.remaining.get(line.id, 0))
            if some:
                allocation.remaining[line.id] -= some
                units -= some
                taken.append((allocation.location_id, some))
            if not any(allocation.remaining.values()):
                allocation.status = "CLOSED"
        return taken

    def _sent_from(self, order: Order, line: Line) -> int:
        places = [f.location_id for f in order.fulfillments if f.status == "SUCCESS" and line.id in f.units]
        return (places or [allocation.location_id for allocation in order.allocations])[-1]

    # What the shop says about it.

    @contextmanager
    def _touched(self, order: Order) -> Iterator[None]:
        """A change of an order moves its version; Shopify's has whole seconds, and so may not differ from the last."""
        yield
        order.updated_at = self._now_after(order)
        order.changes.append(order.updated_at)

    def _now_after(self, order: Order) -> datetime:
        return max(self.context.now(), order.updated_at)

    def _tell(self, order: Order, *topics: str) -> None:
        for topic in topics:
            self.webhooks.emit(topic, order_body(order, self.currency))

    def _tell_return(self, topic: str, order: Order, key: str) -> None:
        of = {"id": order.id, "admin_graphql_api_id": order.key}
        self.webhooks.emit(topic, {"admin_graphql_api_id": key, "order": of})


def _settled(order: Order, return_id: int) -> dict[int, int]:
    """Units per line that the dispositions of a return have decided and its earlier refunds have not named."""
    settled: Counter[int] = Counter()
    for returned in order.returns:
        for disposed in returned.dispositions if returned.id == return_id else ():
            settled[disposed.line_id] += disposed.quantity
    for refund in order.refunds:
        for line in refund.lines if refund.return_id == return_id else ():
            settled[line.line_id] -= line.quantity
    return {line_id: max(0, units) for line_id, units in settled.items()}


def named(allocation: FulfillmentOrder) -> dict[str, str]:
    """A fulfilment order as deliveries name it."""
    return {"id": gid("FulfillmentOrder", allocation.id), "status": allocation.status.lower()}
