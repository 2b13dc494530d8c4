"""What is due on a channel: owners whose number may have to change, with everything their plan needs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from app.core.db import Row, Session
from app.listings.available import read_available_by_owner
from app.listings.unplaced import HOLDS, TAKEN
from app.publishing.held import read_held
from app.publishing.plan import Plan, Rule, plan
from app.publishing.unanswered import GIVEN_UP_AT, LATE, UNANSWERED, UNANSWERED_MAX, UNDER_WAY
from connectors.base import StockKey

RESTS_MAX = 3  # a number that conflicts again and again is not raised for 2, 4, then 8 seconds
SCAN_MAX = 20_000  # due rows looked at in one call; more than that coalesce in the next

# An owner that waits for orders is looked at again when a reading that began after the wait is complete and understood.
# The number of an item of an order that the channel has not placed yet is only lowered; that needs no explanation of
# what was seen there, since it commutes with whatever happened. So is one that could not be explained twice since a
# write to it got no answer: as if that had not been carried out, or had, where it would have raised the number; not
# before the shop has surely ended with it, for of two sums at once one replaces the other. And so
# is, for a while, one that the channel has often not raised, since its number was another than it is seen to be.
_READY = """
    (o.awaiting_since is null or (
        exists (select from channel_poll p where p.merchant_id = o.merchant_id and p.channel_id = o.channel_id
                and p.kind = 'orders' and p.completed_at > o.awaiting_since)
        and not exists (select from inbox i where i.merchant_id = o.merchant_id and i.channel_id = o.channel_id
                        and i.kind = 'document' and i.origin = 'read' and i.state = 'open')))
    and (o.unclear_attempt_id is null
         or o.conflicts >= %(conflicts_max)s and cardinality(w.unanswered) < %(unanswered_max)s
            and %(now)s > w.given_up_at + %(late)s)
    and (o.observed_revision is null or h.unplaced or o.conflicts >= %(conflicts_max)s)
"""
# As many that contradict, and that are only lowered, as others: what waits must not hide what need not. Of the latter,
# which stay due, those first that something else has just happened to. What has no number yet is listed once, to be
# looked at.
_DUE = f"""
select owner_id, stock_key, location_key, item_id, believed, buffer, buffer_percent, shown_min, shown_max,
    oversell_target, conflicts, contradicted, only_lowered, state, held, case_id, due_ids, since, raised,
    case when unplaced then {TAKEN} else 0 end as taken,
    (select i.kind = 'kit' from item i where i.merchant_id = o.merchant_id and i.item_id = o.item_id) as kit
from (
    select o.*, o.observed_revision is not null as contradicted, h.unplaced, l.only_lowered, d.due_ids, d.first,
           (select coalesce(sum(greatest(units, 0)), 0)::bigint from unnest(w.unanswered) units) as raised,
           case when l.only_lowered then d.lately else d.since end as since,
           row_number() over (partition by o.observed_revision is not null, l.only_lowered
                              order by case when l.only_lowered then -d.last else d.first end) as place
    from (select owner_id, array_agg(due_id) as due_ids, min(marked_at) as since, min(due_id) as first,
                 max(due_id) as last, max(marked_at) as lately
          from (select owner_id, due_id, marked_at from due_listing
                where merchant_id = %(merchant_id)s and channel_id = %(channel)s order by due_id limit {SCAN_MAX}) s
          where owner_id %% (select write_lanes from channel
                             where merchant_id = %(merchant_id)s and channel_id = %(channel)s) = %(lane)s
            and (%(owners)s::bigint[] is null or owner_id = any(%(owners)s::bigint[]))
          group by owner_id) d
    join stock_owner o on o.merchant_id = %(merchant_id)s and o.owner_id = d.owner_id
    cross join lateral (select {HOLDS} as unplaced offset 0) h
    cross join lateral (select {UNANSWERED} as unanswered, {GIVEN_UP_AT} as given_up_at offset 0) w
    cross join lateral (select h.unplaced or o.unclear_attempt_id is not null or coalesce(
            o.conflicts > %(conflicts_max)s and o.awaiting_since > %(now)s::timestamptz
            - make_interval(secs => power(2, least(o.conflicts - %(conflicts_max)s, {RESTS_MAX}))), false
        ) as only_lowered) l
    where o.state <> 'managed' or o.item_id is null
       or ((o.believed is not null or o.look_since is null) and {_READY})
) o
where place <= %(limit)s order by first
"""  # noqa: S608  constants only
NONE_DUE: Mapping[int, Row] = MappingProxyType({})
CONFLICTS_MAX = 2  # after so many, a reduction goes out as a relative change


@dataclass(frozen=True, slots=True)
class Due:
    """An owner that is due: its plan, what the channel is believed to show, and the due rows that an acknowledgement
    settles (none while it is `only_lowered`, see below: it stays due). `plan` None: nothing can be planned (not
    managed, not mapped, held until `case_id` is decided, which makes it due again)."""

    owner_id: int
    key: StockKey
    believed: int | None  # at most, where a write got no answer
    conflicts: int
    contradicted: bool  # a number that was seen there is not explained yet
    due_ids: Sequence[int]
    since: datetime
    plan: Plan | None
    case_id: int | None = None  # its open case of drift
    # An order of its item has no place yet (plan and belief are as if that were not sold), a write has no answer, or it
    # rests after conflicts.
    only_lowered: bool = False


def list_due(
    session: Session, channel_id: int, lane: int, limit: int, owners: Collection[int] | None = None
) -> list[Due]:
    """Due owners of a lane, longest due first: up to `limit` that may be written and as many that are contradicted;
    only those of `owners` if given."""
    only = None if owners is None else list(owners)
    rows = session.rows(
        _DUE,
        channel=channel_id,
        lane=lane,
        limit=limit,
        owners=only,
        now=session.now,
        conflicts_max=CONFLICTS_MAX,
        unanswered_max=UNANSWERED_MAX,
        late=LATE,
        under_way=UNDER_WAY,
    )
    plans = read_plans(session, [row for row in rows if _may_plan(row)], {row.owner_id: row for row in rows})
    return [
        Due(
            row.owner_id, StockKey(row.stock_key, row.location_key),
            None if row.believed is None else row.believed + row.raised, row.conflicts, row.contradicted,
            () if row.only_lowered else row.due_ids, row.since, plans.get(row.owner_id), row.case_id, row.only_lowered,
        )
        for row in rows
    ]  # fmt: skip


def _may_plan(row: Row) -> bool:
    return row.state == "managed" and row.item_id is not None and not row.held


def read_plans(session: Session, owners: Sequence[Row], dues: Mapping[int, Row] = NONE_DUE) -> dict[int, Plan]:
    """The plan of each owner row (owner_id, believed, buffer, buffer_percent, shown_min, shown_max, oversell_target)
    from the levels as they are now. `dues`: those of which orders without a place are left out (taken, kit)."""
    ids = [row.owner_id for row in owners]
    available, held = read_available_by_owner(session, ids), read_held(session, owners)
    return {
        row.owner_id: plan(
            available[row.owner_id],
            Rule(row.buffer, row.buffer_percent, row.shown_min, row.shown_max, held.get(row.owner_id)),
            row.believed,
            unplaced_units(dues.get(row.owner_id), available[row.owner_id]),
        )
        for row in owners
        if row.owner_id in available  # a place that is not mapped shows nothing of ours, which is not the number 0
    }


def unplaced_units(due: Row | None, available: Mapping[int, int]) -> int:
    """Units of orders without a place that a plan leaves out. Of a kit of which there is none nobody knows how many are
    missing until there is one."""
    if due is None or (due.kit and not any(available.values())):
        return 0
    units: int = due.taken
    return units


def mark_due(session: Session, channel_id: int, owner_ids: Sequence[int]) -> None:
    """Have these planned, and written if their number is another."""
    if owner_ids:
        session.run(
            """insert into due_listing (merchant_id, channel_id, due_id, owner_id, marked_at)
               select %(merchant_id)s, %(channel)s, nextval('due_listing_seq'), owner_id, %(now)s
               from unnest(%(owners)s::bigint[]) owner_id""",
            channel=channel_id, owners=list(owner_ids), now=session.now,
        )  # fmt: skip


def settle_due(session: Session, channel_id: int, due_ids: Sequence[int]) -> None:
    """Take away exactly the due rows that were looked at; a change that came meanwhile has a row of its own. Those that
    somebody else is taking away are left to them."""
    if due_ids:
        session.run(
            """delete from due_listing where merchant_id = %(merchant_id)s and channel_id = %(channel)s
               and due_id = any(array(  -- found along the key, whatever is thought of how many rows there are
                   select due_id from due_listing where merchant_id = %(merchant_id)s and channel_id = %(channel)s
                     and due_id = any(%(ids)s) for update skip locked))""",
            channel=channel_id, ids=list(due_ids),
        )  # fmt: skip
