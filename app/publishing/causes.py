"""What is behind a number that was not believed: a cause by name, from facts that were read. Pure.

A cause explains a number when known facts add up to it, to the unit. What is left is somebody's edit, as far as anybody
can tell, and is decided by the channel's policy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

IN_FLIGHT = "order_in_flight"
WEBHOOK_LOST = "webhook_lost"
WRITE_LOST = "write_lost"
REFUND_DELETED = "refund_deleted"
READ_LATER = "order_read_later"
PUT_BACK = "put_back"
OVERWRITTEN = "overwritten"
UNREAD = "order_unread"
SHARED = "shared_owner"
HAND_EDIT = "hand_edit"
UNMANAGED = "unmanaged"
EXPLAINING = frozenset({IN_FLIGHT, WEBHOOK_LOST, WRITE_LOST, REFUND_DELETED, READ_LATER, PUT_BACK, OVERWRITTEN})
SAYING = {
    IN_FLIGHT: "the channel showed an order before we had read it",
    WEBHOOK_LOST: "an order changed the number and no webhook told of it: a poll found it",
    WRITE_LOST: "a write whose answer was lost had been applied",
    REFUND_DELETED: "a refund was deleted and its units taken off again by hand, as the ledger had done already",
    READ_LATER: "an order that was read later explains the difference",
    PUT_BACK: "the number was put back to what it was",
    OVERWRITTEN: "an order came while we wrote, and the channel kept only one of the two: the number is written again",
    UNREAD: "an order of this channel could not be understood or placed, and may explain it: see what is parked",
    SHARED: "several items share this number, and nothing that we know of explains it",
    HAND_EDIT: "nothing that we know of explains it: probably edited by hand in the channel's admin",
    UNMANAGED: "the channel keeps no number for this product any more: nothing is written there",
}


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known about an owner once the channel's orders have been read.

    `lost`: what each write without an answer would have changed. `items` that share the number. `undone`: units that
    the ledger took again because a refund is gone. `open_difference`: that of a case which is open already, and
    `orders_since`: whether orders of the item were read since it was opened. `heard`: a webhook told of its orders.
    `overwritten`: units of orders that came or changed while a number was written that replaces whatever is there.
    `unread`: orders of the channel that came since the number was last as believed, and that nobody could understand or
    that have no place.
    """

    observed: int
    believed: int
    lost: tuple[int, ...] = ()
    items: int = 1
    undone: int = 0
    open_difference: int | None = None
    orders_since: bool = False
    heard: bool = True
    overwritten: int = 0
    unread: int = 0

    @property
    def difference(self) -> int:
        """Units that the channel shows more than what is known explains, with what an open case has already."""
        return (self.open_difference or 0) + self.observed - self.believed


def cause_of(facts: Facts) -> str:
    """The cause's name; those of `EXPLAINING` need no decision."""
    change = facts.observed - facts.believed
    if not change:
        return IN_FLIGHT if facts.heard else WEBHOOK_LOST
    applied = _sums(facts.lost)
    if change in applied:
        return WRITE_LOST
    if facts.open_difference is not None and not facts.difference:
        return READ_LATER if facts.orders_since else PUT_BACK
    if facts.undone and change == -facts.undone:
        return REFUND_DELETED
    if facts.unread:
        return UNREAD
    if facts.overwritten and min(abs(change - units) for units in (0, *applied)) <= facts.overwritten:
        return OVERWRITTEN
    return SHARED if facts.items > 1 else HAND_EDIT


def _sums(lost: Sequence[int]) -> set[int]:
    """What those of them that were carried out came to, whichever they are: few are without an answer at once."""
    return {sum(some) for count in range(1, len(lost) + 1) for some in combinations(lost, count)}


def decide(policy: str, cause: str, *, kit: bool, unclear: bool) -> tuple[str | None, str]:
    """What the channel's policy says about an unexplained number: `ledger`, `channel`, or None with why a person has to
    say."""
    if cause == UNREAD:
        return None, "an order of it could not be understood or has no place there, and may be what changed the number"
    if cause == SHARED and policy != "ledger_wins":
        return None, "several items share the number"
    if policy == "channel_wins":
        if kit:
            return None, "a kit has no units of its own to adjust"
        if unclear:
            return None, "a write to it was never answered, so how much was edited is not known"
        return "channel", ""
    return ("ledger", "") if policy == "ledger_wins" else (None, "")
