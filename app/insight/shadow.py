"""What channels in shadow would have been sent, what they showed instead, and what that would have changed. Only reads.

Units that were sold there count as *oversold* beyond what the ledger had available when it learned of the sale, and as
*withheld* beyond the number that the channel would have shown. Avoided: both. Kept: oversold, and our number would have
allowed it too. Held back: withheld although the ledger had them. What our numbers would have let it sell in addition
nobody can know; `above_stock` counts those that promised more than there was.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from app.core.db import Row, Session
from app.listings.lookup import get_channel_id

OWNERS_MAX = 1_000  # numbers told of a channel, the ones that matter most first
WRITES_MAX = 20  # latest numbers told of each

_CHANNELS = """
select c.channel_id, c.name, c.state, c.state_at, c.state_by, c.activating_since, coalesce(w.writes, 0) as writes,
       coalesce(w.owners, 0) as owners, coalesce(w.above_stock, 0) as above_stock, w.first_at,
       coalesce(s.avoided, 0)::bigint as avoided, coalesce(s.kept, 0)::bigint as kept,
       coalesce(s.held_back, 0)::bigint as held_back
from channel c
left join lateral (
    select count(*) as writes, count(distinct owner_id) as owners, min(at) as first_at,
           count(*) filter (where target > greatest((reasons -> 0 ->> 1)::bigint, 0)) as above_stock
    from shadow_write w where w.merchant_id = c.merchant_id and w.channel_id = c.channel_id) w on true
left join lateral (
    select sum(least(oversold, withheld)) as avoided, sum(oversold - least(oversold, withheld)) as kept,
           sum(withheld - least(oversold, withheld)) as held_back
    from (select s.units - least(s.units, greatest(s.available, 0)) as oversold,
                 s.units - least(s.units, greatest(s.would_show, 0)) as withheld
          from shadow_sale s where s.merchant_id = c.merchant_id and s.channel_id = c.channel_id) s) s on true
where c.merchant_id = %(merchant_id)s and (%(channel)s::bigint is null or c.channel_id = %(channel)s)
  and (c.state = 'shadow' or w.writes > 0 or s.avoided is not null or c.channel_id = %(channel)s)
order by c.channel_id
"""
_NUMBERS = f"""
with told as materialized (
    select o.channel_id, o.owner_id, o.stock_key, o.location_key, o.item_id, o.believed, o.shadow_shown, n.writes,
           s.avoided, s.kept, s.held_back,
           row_number() over (
               partition by o.channel_id
               order by coalesce(s.avoided + s.kept + s.held_back, 0) desc, n.writes desc, o.owner_id) as rank
    from (select owner_id from shadow_write
          where merchant_id = %(merchant_id)s and channel_id = any(%(channels)s)
          union select owner_id from shadow_sale
          where merchant_id = %(merchant_id)s and channel_id = any(%(channels)s)) k
    join stock_owner o on o.merchant_id = %(merchant_id)s and o.owner_id = k.owner_id
    cross join lateral (select count(*) as writes from shadow_write w
                        where w.merchant_id = o.merchant_id and w.owner_id = o.owner_id) n
    left join lateral (
        select sum(least(oversold, withheld))::bigint as avoided,
               sum(oversold - least(oversold, withheld))::bigint as kept,
               sum(withheld - least(oversold, withheld))::bigint as held_back
        from (select s.units - least(s.units, greatest(s.available, 0)) as oversold,
                     s.units - least(s.units, greatest(s.would_show, 0)) as withheld
              from shadow_sale s where s.merchant_id = o.merchant_id and s.owner_id = o.owner_id) s) s on true
)
select t.*, i.sku, (select min(l.listing_key) from listing l where l.merchant_id = %(merchant_id)s
                    and l.channel_id = t.channel_id and l.stock_key = t.stock_key) as listing_key
from told t left join item i on i.merchant_id = %(merchant_id)s and i.item_id = t.item_id
where t.rank <= {OWNERS_MAX} order by t.channel_id, t.rank
"""  # noqa: S608  a constant only
_WRITES = f"""
select k.owner_id, w.at, w.expected, w.target, w.shown, w.reasons from unnest(%(owners)s::bigint[]) k(owner_id)
cross join lateral (select * from shadow_write w where w.merchant_id = %(merchant_id)s and w.owner_id = k.owner_id
                    order by w.shadow_id desc limit {WRITES_MAX}) w
order by w.shadow_id desc
"""  # noqa: S608  a constant only


@dataclass(frozen=True, slots=True)
class WouldWrite:
    """A number that would have been sent: from `expected` to `target`; `shown` is what the channel showed instead."""

    at: datetime
    expected: int
    target: int
    shown: int | None
    steps: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class ShadowNumber:
    """A listing's number: what it would show now, what it shows, units as in the module's words, the latest numbers
    that would have been sent (`more_writes` are only counted)."""

    sku: str | None
    listing_key: str | None
    location_key: str
    would_show: int | None
    shows: int | None
    avoided: int
    kept: int
    held_back: int
    writes: tuple[WouldWrite, ...]
    more_writes: int


@dataclass(frozen=True, slots=True)
class ShadowReport:
    """A channel's report. Counts and units are over everything that is kept, `since` the first of it."""

    channel: str
    state: str
    state_at: datetime | None
    state_by: str
    activating_since: datetime | None
    since: datetime | None
    would_be_writes: int
    listings: int
    above_stock: int
    avoided: int
    kept: int
    held_back: int
    numbers: tuple[ShadowNumber, ...]


def read_shadow(session: Session, channel: str | None = None) -> Sequence[ShadowReport]:
    """The report of every channel that is or was in shadow, or of the named one; raises NotFound. A constant number of
    statements."""
    channel_id = None if channel is None else get_channel_id(session, channel)
    channels = session.rows(_CHANNELS, channel=channel_id)
    rows = session.rows(_NUMBERS, channels=[row.channel_id for row in channels])
    writes: defaultdict[int, list[Row]] = defaultdict(list)
    for write in session.rows(_WRITES, owners=[row.owner_id for row in rows]):
        writes[write.owner_id].append(write)
    numbers: defaultdict[int, list[ShadowNumber]] = defaultdict(list)
    for row in rows:
        numbers[row.channel_id].append(_number(row, writes[row.owner_id]))
    return [_report(row, numbers) for row in channels]


def _number(row: Row, writes: Sequence[Row]) -> ShadowNumber:
    told = tuple(
        WouldWrite(w.at, w.expected, w.target, w.shown, tuple((what, units) for what, units in w.reasons))
        for w in writes
    )
    return ShadowNumber(
        row.sku, row.listing_key, row.location_key, row.shadow_shown, row.believed,
        row.avoided or 0, row.kept or 0, row.held_back or 0, told, row.writes - len(told),
    )  # fmt: skip


def _report(row: Row, numbers: Mapping[int, Sequence[ShadowNumber]]) -> ShadowReport:
    return ShadowReport(
        row.name, row.state, row.state_at, row.state_by, row.activating_since, row.first_at, row.writes, row.owners,
        row.above_stock, row.avoided, row.kept, row.held_back, tuple(numbers.get(row.channel_id, ())),
    )  # fmt: skip
