"""Orders that a shop took before it was connected.

What it took off its number for them is not in the stock that the ledger is opened with, so nothing is taken off again.
What of them is still in the house came with the shop: it is opened as committed, and is shipped, cancelled and returned
from there like any other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from app.core.db import Session
from app.inbox.difference import Place
from app.inbox.orders import Held, Line, LineMemory, OrderRow, Positions, Seen
from app.inbox.postings import line_name
from app.ledger.models import Movement, State
from app.listings.shop_clock import MARGIN

SOURCE = "before"
_COSTS = """
select i as item_id, coalesce(
    (select k.unit_cost from known_cost k where k.merchant_id = %(merchant_id)s and k.item_id = i),
    (select min(l.unit_cost) from listing l join channel c using (merchant_id, channel_id)
     join merchant m using (merchant_id)
     where l.merchant_id = %(merchant_id)s and l.channel_id = %(channel)s and l.item_id = i and l.gone_at is null
       and coalesce(nullif(c.facts ->> 'currency', ''), m.currency) = m.currency)) as unit_cost
from unnest(%(items)s::bigint[]) i
"""
_NOTE = """
update order_position p set taken_before = taken
from unnest(%(orders)s::bigint[], %(lines)s::text[]) l(order_id, line_key)
where p.merchant_id = %(merchant_id)s and p.order_id = l.order_id and p.line_key = l.line_key and taken <> 0
"""
_IN_THE_HOUSE = (("committed", State.COMMITTED), ("held", State.QUARANTINED))


def first_lines(
    live: Sequence[tuple[OrderRow, Seen]], memory: Mapping[Line, LineMemory], changed: Positions
) -> Positions:
    """Of the changed lines those that are understood for the first time, since the order, or what it sold, was unknown
    until now; not those that were added to it."""
    new = {order.order_id for order, _ in live if order.version is None}
    waited = {order.order_id for order, _ in live if not order.complete}
    return {
        line: places
        for line, places in changed.items()
        if line[0] in new or (line[0] in waited and line in memory and memory[line].item_id is None)
    }


def lines_from_before(live: Sequence[tuple[OrderRow, Seen]], first: Positions, connected_at: datetime) -> Positions:
    """Of these lines those whose order is older than the connection for certain (by the shop's clock, which is known to
    seconds). One of the last seconds before counts as a sale, which the opening adds back."""
    older = {order.order_id for order, seen in live if seen.snapshot.placed_at < connected_at - MARGIN}
    return {line: places for line, places in first.items() if line[0] in older}


def note_taken_before(session: Session, lines: Positions) -> None:
    """Remember what the shop's number was without already, of such lines as they were just written."""
    if lines:
        session.run(_NOTE, orders=[order for order, _ in lines], lines=[line for _, line in lines])


def opened_with(session: Session, channel_id: int, lines: Positions) -> list[Movement]:
    """What is in the house for such lines, as part of the opening, at the cost that the opening would have."""
    found = [one for line, places in lines.items() for one in _in_the_house(line, places)]
    if not found:
        return []
    items = sorted({place[0] for _, place, _, _ in found})
    costs = {row.item_id: row.unit_cost for row in session.rows(_COSTS, channel=channel_id, items=items)}
    return [_movement(session.now, *one, unit_cost=costs[one[1][0]]) for one in found]


def _in_the_house(line: Line, places: Mapping[Place, Held]) -> Iterator[tuple[Line, Place, State, int]]:
    for place, held in sorted(places.items()):
        for bucket, state in _IN_THE_HOUSE:
            if units := getattr(held.counts, bucket):
                yield line, place, state, units


def _movement(
    now: datetime, line: Line, place: Place, state: State, units: int, *, unit_cost: Decimal | None
) -> Movement:
    item, location = place
    value = None if unit_cost is None else unit_cost * units
    return Movement(
        item, units, State.OPENING, state, SOURCE, f"{line_name(line)}/{location}/{item}/{state}", now,
        to_location_id=location, value=value, reason="an order from before the shop was connected",
    )  # fmt: skip
