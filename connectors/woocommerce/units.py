"""Where the units of an order line are, by the order's status and its refunds (pure).

WooCommerce has no fulfilments: `completed` is the only word for "it left". `_reduced_stock` is not asked here, except
for a plugin's status that we don't know; it is what the shop did to its own number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from connectors.base import Units

LATE = timedelta(days=1)  # an order cancelled later than this after it was completed has really left


@dataclass(frozen=True, slots=True)
class Line:
    """One line's facts. `before` and `after` are units refunded before and after the order was completed, `given_back`
    those of them that the shop put back into its own stock."""

    ordered: int
    before: int
    after: int
    given_back: int
    taken: int
    completed_at: datetime | None
    changed_at: datetime

    @property
    def held(self) -> int:
        """Refunded before they left, and not put back: they are still here. What was given back is taken to be the
        earlier refunds, since a unit that never left is the one that goes back on the shelf."""
        return self.before - min(self.before, self.given_back)

    @property
    def returned(self) -> int:
        """Refunded after they left, and put back."""
        return min(self.after, max(0, self.given_back - self.before))

    @property
    def unclear(self) -> bool:
        """WooCommerce says how many units went back, not of which refund: it matters when only some did."""
        return bool(self.before and self.after) and 0 < self.given_back < self.before + self.after


def nothing(line: Line) -> Units:
    """Not paid, or given up: the goods were never promised."""
    return Units(taken=line.taken)


def promised(line: Line) -> Units:
    """On-hold, processing: everything that is not refunded waits to leave."""
    return Units(committed=line.ordered - line.before, held=line.held, taken=line.taken)


def completed(line: Line) -> Units:
    """Left, except what was refunded before; what came back afterwards is only what the shop put back."""
    shipped = line.ordered - line.before - line.returned
    return Units(shipped=shipped, restocked=line.returned, held=line.held, taken=line.taken)


def cancelled(line: Line) -> Units:
    """Nothing, unless it had been completed: a slip of the hand within a day, else goods that must be looked at."""
    if line.completed_at is None:
        return nothing(line)
    back = line.ordered - line.before - line.returned
    if line.changed_at - line.completed_at > LATE:
        return Units(restocked=line.returned, held=back, taken=line.taken)
    return Units(restocked=line.returned + back, taken=line.taken)


def refunded(line: Line) -> Units:
    """The money is back, which says nothing of the goods: what had not left is held, what had left stays away."""
    if line.completed_at is not None:
        return completed(line)
    return Units(held=line.ordered - min(line.before, line.given_back), taken=line.taken)


def unknown(line: Line) -> Units:
    """A plugin's status: what the shop took off its own number is what it means to deliver."""
    return Units(committed=max(0, line.taken), taken=line.taken)


STATUSES: Mapping[str, Callable[[Line], Units]] = {
    "pending": nothing,
    "checkout-draft": nothing,
    "auto-draft": nothing,
    "failed": nothing,
    "on-hold": promised,
    "processing": promised,
    "completed": completed,
    "cancelled": cancelled,
    "refunded": refunded,
    "trash": nothing,  # the snapshot is frozen: what is posted stays
}
# Statuses in which an earlier completion still counts.
AFTER_COMPLETION = frozenset({"completed", "cancelled", "refunded"})
