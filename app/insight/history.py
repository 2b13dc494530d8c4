"""Movements as data, newest first: of an item, a place, a source, a span of time. Only reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from app.core.db import Row, Session
from app.ledger.models import Purchase

# Without an item the pages are found along the primary key.
_LIST = """
select m.movement_id, m.item_id, i.sku, m.quantity, m.from_state::text, m.from_location_id, m.to_state::text,
       m.to_location_id, m.source, m.source_key, m.reason, m.reverses_movement_id, m.occurred_at, m.posted_on,
       m.recorded_at, p.amount, p.currency, p.rate, p.rate_on
from (select * from movement where merchant_id = %(merchant_id)s
        and (%(before)s::bigint is null or movement_id < %(before)s)
        and (%(id)s::bigint is null or movement_id = %(id)s)
        and (%(item)s::bigint is null or item_id = %(item)s)
        and (%(place)s::bigint is null or from_location_id = %(place)s or to_location_id = %(place)s)
        and (%(source)s::text is null or source = %(source)s)
        and (%(since)s::timestamptz is null or occurred_at >= %(since)s)
        and (%(until)s::timestamptz is null or occurred_at < %(until)s)
      order by movement_id desc limit %(limit)s) m
join item i on i.merchant_id = m.merchant_id and i.item_id = m.item_id
left join movement_purchase p on p.merchant_id = m.merchant_id and p.movement_id = m.movement_id
order by m.movement_id desc
"""

_OWN = 15  # columns of the movement itself


@dataclass(frozen=True, slots=True)
class Told:
    """A movement as it is stored, with its item's SKU; `purchase`: what was paid in another currency."""

    movement_id: int
    item_id: int
    sku: str
    quantity: int
    from_state: str
    from_location_id: int | None
    to_state: str
    to_location_id: int | None
    source: str
    source_key: str
    reason: str | None
    reverses_movement_id: int | None
    occurred_at: datetime
    posted_on: date
    recorded_at: datetime
    purchase: Purchase | None


@dataclass(frozen=True, slots=True)
class HistoryFilter:
    """Which movements: all that every filter given lets through. `until` is the first instant that is out."""

    movement_id: int | None = None
    item_id: int | None = None
    location_id: int | None = None
    source: str | None = None
    since: datetime | None = None
    until: datetime | None = None


def list_history(session: Session, wanted: HistoryFilter, *, before: int | None, limit: int) -> Sequence[Told]:
    """At most `limit` movements older than movement `before`."""
    rows = session.rows(
        _LIST, before=before, limit=limit, id=wanted.movement_id, item=wanted.item_id, place=wanted.location_id,
        source=wanted.source, since=wanted.since, until=wanted.until,
    )  # fmt: skip
    return [_told(row) for row in rows]


def _told(row: Row) -> Told:
    values = [*row[:_OWN], None if row.currency is None else Purchase(*row[_OWN:])]
    return Told(*values)
