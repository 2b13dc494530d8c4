"""What staff and apps do to fulfilment orders: which place owes what of an order. None of it sells or ships anything.

Payload fields are those that Shopify's webhook reference names (as quoted in public notes, 2026-11).
"""

from __future__ import annotations

from sandbox.shopify.orders import Orders, named
from sandbox.shopify.state import FulfillmentOrder, gid, number


class Allocations(Orders):
    """The fulfilment orders' part of `PretendShopify`. Orders are named by their gid."""

    def move_fulfillment_order(self, order: str, location: str, *, source: str | None = None) -> str:
        """Assign what is owed (at `source`, or everywhere) to another place. Returns the new fulfilment order's gid."""
        of, target = self.order(order), number(location)
        moving = [a for a in of.open_allocations() if source is None or a.location_id == number(source)]
        moved = FulfillmentOrder(self.next_id(), self.context.now(), target, {})
        with self._touched(of):
            for allocation in moving:
                for line_id, units in allocation.remaining.items():
                    moved.remaining[line_id] = moved.remaining.get(line_id, 0) + units
                    self._shift(of.line(line_id), allocation.location_id, target, units)
                allocation.status, allocation.remaining = "CLOSED", dict.fromkeys(allocation.remaining, 0)
            of.allocations.append(moved)
        self.webhooks.emit("fulfillment_orders/moved", {
            "original_fulfillment_order": named(moving[0]),
            "moved_fulfillment_order": named(moved),
            "destination_location_id": location,
        })  # fmt: skip
        self._tell(of, "orders/updated")
        return gid("FulfillmentOrder", moved.id)

    def split_fulfillment_order(self, order: str, line: str | int, units: int) -> str:
        """Let a fulfilment order of its own, at the same place, owe that many units. Returns its gid."""
        of = self.order(order)
        whole, line_id = of.open_allocations()[0], of.line(line).id
        part = FulfillmentOrder(self.next_id(), self.context.now(), whole.location_id, {line_id: units})
        with self._touched(of):
            whole.remaining[line_id] -= units
            of.allocations.append(part)
        self.webhooks.emit("fulfillment_orders/split", {
            "fulfillment_order": named(whole), "remaining_fulfillment_order": named(part),
            "replacement_fulfillment_order": None, "split_line_items": [],
        })  # fmt: skip
        return gid("FulfillmentOrder", part.id)

    def merge_fulfillment_orders(self, order: str) -> None:
        """Let one fulfilment order owe what several owe at the place of the first."""
        of = self.order(order)
        first, *others = of.open_allocations()
        merged = [other for other in others if other.location_id == first.location_id]
        with self._touched(of):
            for other in merged:
                for line_id, units in other.remaining.items():
                    first.remaining[line_id] = first.remaining.get(line_id, 0) + units
                other.status, other.remaining = "CLOSED", dict.fromkeys(other.remaining, 0)
        intents = [{"fulfillment_order_id": one.id} for one in (first, *merged)]
        body = {"fulfillment_order_merges": {"fulfillment_order": named(first)}, "merge_intents": intents}
        self.webhooks.emit("fulfillment_orders/merged", body)

    def hold(self, order: str) -> None:
        """Put everything that is owed on hold: it stays owed, and nobody may send it."""
        of = self.order(order)
        held = of.open_allocations()
        with self._touched(of):
            for allocation in held:
                allocation.status = "ON_HOLD"
        for allocation in held:
            self.webhooks.emit("fulfillment_orders/placed_on_hold", {"fulfillment_order": named(allocation)})

    def release(self, order: str) -> None:
        """Let what is on hold go on."""
        of = self.order(order)
        held = [allocation for allocation in of.open_allocations() if allocation.status == "ON_HOLD"]
        with self._touched(of):
            for allocation in held:
                allocation.status = "OPEN"
        for allocation in held:
            self.webhooks.emit("fulfillment_orders/hold_released", {"fulfillment_order": named(allocation)})
