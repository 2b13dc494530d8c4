"""What `diagnose` reads: a constant number of statements, however many channels and however much there is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import timedelta

from app.core.db import Row, Session
from app.insight.home import LATE
from app.listings.unplaced import HOLDS

ATTEMPT_LATE = timedelta(minutes=2)  # beyond its deadline; one that is only late is taken over within a second
ATTEMPT_LONG = timedelta(minutes=10)  # asked again and again, and still not answered
DUE_LOOKED_AT_MAX = 10_000
PARKED_LOOKED_AT_MAX = 20_000
Rows = Mapping[str, Mapping[int, Sequence[Row]]]

CHANNELS = """
select channel_id, name, platform, state, state_at, state_by, activating_since, is_worker_present() as worker,
       case when facts ->> 'subscribed_by' = 'app' then %(installed)s else platform end as kind,
       exists (select from channel_location l where l.merchant_id = c.merchant_id
               and l.channel_id = c.channel_id) as placed,
       k.checked_at, coalesce(k.requirements, '[]') as requirements
from channel c left join channel_check k using (merchant_id, channel_id)
where merchant_id = %(merchant_id)s and (%(channel)s::bigint is null or channel_id = %(channel)s) order by channel_id
"""
_POLLS = """
select channel_id, kind, due_at, deadline, failures, last_error, completed_at from channel_poll
where merchant_id = %(merchant_id)s and channel_id = any(%(channels)s) order by channel_id, kind
"""
_IMPORTS = """
select channel_id, what, state, last_error, requested_at, completed_at from channel_import
where merchant_id = %(merchant_id)s and channel_id = any(%(channels)s)
  and (state = 'failed' or completed_at is null) order by channel_id, what
"""
_UNMAPPED = """
select channel_id, count(*) as count, min(listing_key) as key, min(coalesce(sku, title)) as name from listing
where merchant_id = %(merchant_id)s and channel_id = any(%(channels)s)
  and item_id is null and not left_out and gone_at is null
group by channel_id
"""
_UNMANAGED = """
select o.channel_id, case when o.reason = 'refused' then 'not_stocked' else o.state end as state, count(*) as count,
       min(i.sku) as sku, min(l.listing_key) as key, min(o.reason) as reason
from stock_owner o join item i using (merchant_id, item_id)
left join listing l on l.merchant_id = o.merchant_id and l.channel_id = o.channel_id and l.stock_key = o.stock_key
where o.merchant_id = %(merchant_id)s and o.channel_id = any(%(channels)s)
  and o.state in ('untracked', 'gone', 'refused') and o.item_id is not null
group by o.channel_id, 2
"""
# Numbers that are due for long, with what keeps them: of each the first that stands in the way.
_STUCK = f"""
select d.channel_id, count(*) as count, min(d.since) as since, w.reason,
       (array_agg(i.sku order by d.since))[1] as sku
from (select channel_id, owner_id, min(marked_at) as since from (
        select l.channel_id, l.owner_id, l.marked_at from unnest(%(channels)s::bigint[]) c(channel_id)
        cross join lateral (select * from due_listing l where l.merchant_id = %(merchant_id)s
                            and l.channel_id = c.channel_id order by l.due_id limit {DUE_LOOKED_AT_MAX}) l) l
      group by channel_id, owner_id having min(marked_at) < %(late)s) d
join stock_owner o on o.merchant_id = %(merchant_id)s and o.owner_id = d.owner_id
left join item i on i.merchant_id = o.merchant_id and i.item_id = o.item_id
cross join lateral (
    select case when o.unclear_attempt_id is not null then 'unclear_write'
                when o.awaiting_since is not null then 'awaiting_orders'
                when o.observed_revision is not null then 'contradicted'
                when o.believed is null then 'never_seen'
                when {HOLDS} then 'unlocated_order'
                else '' end as reason) w
group by d.channel_id, w.reason order by d.channel_id, count(*) desc
"""  # noqa: S608  a constant only
_ATTEMPTS = """
select channel_id, count(*) filter (where deadline < %(late)s or opened_at < %(long)s) as late,
       min(opened_at) as since, min(error) as error
from push_attempt where merchant_id = %(merchant_id)s and channel_id = any(%(channels)s) and state <> 'done'
group by channel_id
"""
_PARKED = f"""
select i.channel_id, i.reason, count(*) as count, min(i.received_at) as since,
       (array_agg(i.detail order by i.inbox_id desc))[1] as detail, (array_agg(i.resource_key))[1] as key
from (select * from inbox where merchant_id = %(merchant_id)s and state = 'parked' limit {PARKED_LOOKED_AT_MAX}) i
where i.channel_id = any(%(channels)s)
group by i.channel_id, i.reason order by i.channel_id, count(*) desc, i.reason
"""  # noqa: S608  a constant only
_CASES = """
select channel_id, kind, kind = 'drift' and decision is null as asks, count(*) as count, min(case_id) as case_id,
       min(opened_at) as since, (array_agg(detail order by case_id))[1] as detail,
       max(evidence ->> 'repaired_at')::timestamptz as repaired_at,
       coalesce(max((evidence ->> 'repairs')::integer) filter (where kind like 'webhook%%'), 0) as repairs
from case_file where merchant_id = %(merchant_id)s and state = 'open' and channel_id = any(%(channels)s)
  and not (kind = 'drift' and decision is not null)
group by channel_id, kind, asks order by channel_id, kind
"""
# A delivery that came after the last refusal says that this is over; duplicates are told of for a day.
_REFUSED = """
select f.channel_id, f.reason = 'duplicate' as repeated, sum(f.count)::bigint as count, max(f.last_at) as since
from delivery_refusal f
where f.merchant_id = %(merchant_id)s and f.channel_id = any(%(channels)s) and f.last_at > %(since)s
  and (f.reason = 'duplicate' or not exists (
      select from inbox i where i.merchant_id = f.merchant_id and i.channel_id = f.channel_id
      and i.origin = 'webhook' and i.received_at > f.last_at
      and i.received_on >= (%(since)s::timestamptz at time zone 'UTC')::date))
group by f.channel_id, repeated order by f.channel_id, repeated
"""


def read(session: Session, ids: list[int]) -> Rows:
    """Everything that findings about these channels are made of: by what it is and by channel."""
    now = session.now
    found = {
        "polls": session.rows(_POLLS, channels=ids),
        "imports": session.rows(_IMPORTS, channels=ids),
        "unmapped": session.rows(_UNMAPPED, channels=ids),
        "unmanaged": session.rows(_UNMANAGED, channels=ids),
        "stuck": session.rows(_STUCK, channels=ids, late=now - LATE, now=now),
        "attempts": session.rows(_ATTEMPTS, channels=ids, late=now - ATTEMPT_LATE, long=now - ATTEMPT_LONG),
        "parked": session.rows(_PARKED, channels=ids),
        "cases": session.rows(_CASES, channels=ids),
        "refused": session.rows(_REFUSED, channels=ids, since=now - timedelta(days=1)),
    }
    grouped: dict[str, defaultdict[int, list[Row]]] = {name: defaultdict(list) for name in found}
    for name, rows in found.items():
        for row in rows:
            grouped[name][row.channel_id].append(row)
    return grouped
