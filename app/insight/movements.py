"""Movements as people read them: what happened, from where to where, because of what, at which cost. Newest first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from app.core.db import Session

PAGE_ROWS = 100
RECENT_ROWS = 20

# An order's movement is named by its order (`app.inbox.postings`); its cost is the first journal line of its posting.
_SELECT = """
select m.movement_id, i.sku, i.name as item_name, m.quantity, m.from_state::text, f.name as from_location,
       m.to_state::text, t.name as to_location, m.source, m.source_key, m.reason, s.number as order_number,
       c.name as channel, m.occurred_at, m.recorded_at, j.amount as cost, coalesce(j.provisional, false) as provisional
from {rows} m
join item i on i.merchant_id = m.merchant_id and i.item_id = m.item_id
left join location f on f.merchant_id = m.merchant_id and f.location_id = m.from_location_id
left join location t on t.merchant_id = m.merchant_id and t.location_id = m.to_location_id
left join sales_order s on s.merchant_id = m.merchant_id and s.order_id =
    case when m.source = 'order' and m.source_key ~ '^[0-9]{{1,18}}/' then split_part(m.source_key, '/', 1)::bigint end
left join channel c on c.merchant_id = s.merchant_id and c.channel_id = s.channel_id
left join journal j on j.merchant_id = m.merchant_id and j.posting_id = m.movement_id and j.line = 0
order by m.movement_id desc
"""
_OF_ITEM = _SELECT.format(
    rows="""(select * from movement where merchant_id = %(merchant_id)s and item_id = %(item)s
             and (%(before)s::bigint is null or movement_id < %(before)s) order by movement_id desc limit %(limit)s)"""
)
_RECENT = _SELECT.format(
    rows="(select * from movement where merchant_id = %(merchant_id)s order by movement_id desc limit %(limit)s)"
)


@dataclass(frozen=True, slots=True)
class MovementRow:
    """A movement with everything named. `cost`: what it was booked at, None where value did not cross our border."""

    movement_id: int
    sku: str
    item_name: str
    quantity: int
    from_state: str
    from_location: str | None
    to_state: str
    to_location: str | None
    source: str
    source_key: str
    reason: str | None
    order_number: str | None
    channel: str | None
    occurred_at: datetime
    recorded_at: datetime
    cost: Decimal | None
    provisional: bool


@dataclass(frozen=True, slots=True)
class MovementPage:
    """Movements, newest first; `next_before` leads to older ones, None at the end."""

    rows: Sequence[MovementRow]
    next_before: int | None


def list_movements(session: Session, item_id: int, before: int | None = None) -> MovementPage:
    """A page of an item's movements, those older than movement `before` if given."""
    found = session.rows(_OF_ITEM, item=item_id, before=before, limit=PAGE_ROWS + 1)
    rows = [MovementRow(*row) for row in found[:PAGE_ROWS]]
    return MovementPage(rows, rows[-1].movement_id if len(found) > PAGE_ROWS else None)


def list_recent(session: Session) -> Sequence[MovementRow]:
    """The merchant's latest movements of all items."""
    return [MovementRow(*row) for row in session.rows(_RECENT, limit=RECENT_ROWS)]
