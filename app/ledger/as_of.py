"""What there was, and what it was worth: as of a time by when it happened, as known at a time by when it was recorded.

Quantities go by `occurred_at`, value and cost of goods sold by `posted_on`, what was known by `recorded_at`. Quantities
are read backwards from the levels, so that the end of last month costs a month's movements and not the whole ledger's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from app.core.db import Session

_QUANTITIES = """
with place as (
    select l.merchant_id, l.item_id, l.location_id, l.available, l.committed, l.damaged, l.quarantined, l.in_transit
    from level l where l.merchant_id = %(merchant_id)s
      and (l.item_id, l.location_id) > (%(item_after)s, %(place_after)s)
      and (%(item)s::bigint is null or l.item_id = %(item)s)
      and (%(place)s::bigint is null or l.location_id = %(place)s)
    order by l.item_id, l.location_id limit %(limit)s
), beyond as (
    select item_id, from_state, from_location_id, to_state, to_location_id, quantity
    from movement where merchant_id = %(merchant_id)s and item_id = any(array(select item_id from place))
      and (occurred_at > %(as_of)s or recorded_at > coalesce(%(known_at)s::timestamptz, 'infinity'))
), undone as (
    select item_id, from_location_id as location_id, from_state as state, quantity from beyond
    where from_location_id is not null
    union all
    select item_id, to_location_id, to_state, -quantity from beyond where to_location_id is not null
), sums as (
    select item_id, location_id,
           coalesce(sum(quantity) filter (where state = 'available'), 0)::bigint as available,
           coalesce(sum(quantity) filter (where state = 'committed'), 0)::bigint as committed,
           coalesce(sum(quantity) filter (where state = 'damaged'), 0)::bigint as damaged,
           coalesce(sum(quantity) filter (where state = 'quarantined'), 0)::bigint as quarantined,
           coalesce(sum(quantity) filter (where state = 'in_transit'), 0)::bigint as in_transit
    from undone group by item_id, location_id
)
select p.item_id, i.sku, p.location_id, p.available + coalesce(s.available, 0),
       p.committed + coalesce(s.committed, 0), p.damaged + coalesce(s.damaged, 0),
       p.quarantined + coalesce(s.quarantined, 0), p.in_transit + coalesce(s.in_transit, 0)
from place p join item i using (merchant_id, item_id) left join sums s using (item_id, location_id)
order by p.item_id, p.location_id
"""
_VALUE = """
select coalesce(sum(amount) filter (where debit = 'inventory'), 0)
     - coalesce(sum(amount) filter (where credit = 'inventory'), 0) as inventory_value,
       coalesce(sum(amount) filter (where debit = 'cost_of_goods_sold' and posted_on >= %(since)s), 0)
     - coalesce(sum(amount) filter (where credit = 'cost_of_goods_sold' and posted_on >= %(since)s), 0) as cogs
from journal where merchant_id = %(merchant_id)s and posted_on <= %(as_of)s
  and recorded_at <= coalesce(%(known_at)s::timestamptz, 'infinity')
"""


@dataclass(frozen=True, slots=True)
class PastStock:
    """Units of an item at a place at a time, by state."""

    item_id: int
    sku: str
    location_id: int
    available: int
    committed: int
    damaged: int
    quarantined: int
    in_transit: int

    @property
    def on_hand(self) -> int:
        """What lay there: all but what was on its way."""
        return self.available + self.committed + self.damaged + self.quarantined


@dataclass(frozen=True, slots=True)
class Places:
    """Which levels: of one item, of one place, or all, behind (item, place) in the order of the key."""

    item_id: int | None = None
    location_id: int | None = None
    after: tuple[int, int] = (0, 0)


def quantities_as_of(
    session: Session, as_of: datetime, places: Places, *, known_at: datetime | None = None, limit: int
) -> Sequence[PastStock]:
    """Units by what had happened by `as_of` (the instant included), of that only what was recorded by `known_at` (None:
    all that is known now). A place where an item came only later has zeroes."""
    item_after, place_after = places.after
    rows = session.rows(
        _QUANTITIES, as_of=as_of, known_at=known_at, item=places.item_id, place=places.location_id,
        item_after=item_after, place_after=place_after, limit=limit,
    )  # fmt: skip
    return [PastStock(*row) for row in rows]


@dataclass(frozen=True, slots=True)
class Worth:
    """The stock's value at the end of a day, and the cost of goods sold from a day to that one, both included."""

    inventory_value: Decimal
    cogs: Decimal


def worth_on(session: Session, *, since: date, as_of: date, known_at: datetime | None = None) -> Worth:
    """By the day each posting is booked on, in the merchant's time zone; only what was recorded by `known_at` (None:
    all that is known now)."""
    row = session.row(_VALUE, since=since, as_of=as_of, known_at=known_at)
    assert row is not None  # noqa: S101  an aggregate always has its row
    return Worth(row.inventory_value, row.cogs)
