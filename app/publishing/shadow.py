"""A channel in shadow: planned like any other, its number noted instead of written, until it is asked to be active.

No call that writes a number leaves from here. A write that was on its way when the channel was put in shadow, and that
nobody answered, is read back instead of sent again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import orjson

from app.core.db import Session
from app.core.runtime import Runtime
from app.listings import belief
from app.listings.channels import ask_for_orders
from app.listings.states import get_standing
from app.publishing import attempts
from app.publishing.due import Due, list_due, settle_due
from app.publishing.first_push import confirm
from connectors.base import Unknown

BATCH_MAX = 500
SETTLES_WITHIN = timedelta(minutes=10)  # a contradiction found later does not keep the channel from becoming active
KEEP = timedelta(days=90)
ROWS_MAX = 50_000  # of each kind for a channel; the oldest go first

# The owners' rows are locked by the caller.
_NOTE = """
with d as materialized (
    select o.owner_id, d.reasons, coalesce(o.shadow_shown, o.believed) as expected, o.believed,
           case when d.target > 0 then d.target else least(0, coalesce(o.shadow_shown, o.believed)) end as target
    from unnest(%(owners)s::bigint[], %(targets)s::bigint[], %(reasons)s::jsonb[]) d(owner_id, target, reasons)
    join stock_owner o on o.merchant_id = %(merchant_id)s and o.owner_id = d.owner_id
), moved as (
    update stock_owner o set shadow_shown = d.target from d
    where o.merchant_id = %(merchant_id)s and o.owner_id = d.owner_id and o.shadow_shown is distinct from d.target
)
insert into shadow_write (merchant_id, channel_id, shadow_id, owner_id, at, expected, target, shown, reasons)
select %(merchant_id)s, %(channel)s, nextval('shadow_seq'), d.owner_id, %(now)s, d.expected, d.target, d.believed,
       d.reasons
from d where d.expected <> d.target
"""
# Everything that was seen in the reading has been understood: nothing of it contradicts what we believe.
_READY = """
select true from channel c
where c.merchant_id = %(merchant_id)s and c.channel_id = %(channel)s and c.state = 'shadow'
  and (select count(*) from channel_poll p where p.merchant_id = c.merchant_id and p.channel_id = c.channel_id
       and p.kind in ('orders', 'stock') and p.completed_at > c.activating_since) = 2
  and not exists (select from inbox i where i.merchant_id = c.merchant_id and i.channel_id = c.channel_id
                  and i.kind = 'document' and i.origin = 'read' and i.state = 'open')
  and not exists (select from stock_owner o where o.merchant_id = c.merchant_id and o.channel_id = c.channel_id
                  and (o.unclear_attempt_id is not null
                       or o.observed_revision is not null and o.observed_at <= c.activating_since + %(within)s))
"""
_ACTIVATE = """
update channel set state = 'active', activating_since = null, activating_from = null
where merchant_id = %(merchant_id)s and channel_id = %(channel)s
"""
_REFUSED = """
update channel set activating_since = null, activating_from = null
where merchant_id = %(merchant_id)s and channel_id = %(channel)s
"""
_FRESH = """
with k as materialized (
    select owner_id from stock_owner where merchant_id = %(merchant_id)s and channel_id = %(channel)s
    order by owner_id for update
)
update stock_owner o set shadow_shown = null, conflicts = 0, awaiting_since = null from k
where o.merchant_id = %(merchant_id)s and o.owner_id = k.owner_id
"""
_ALL_DUE = """
insert into due_listing (merchant_id, channel_id, due_id, owner_id, marked_at)
select merchant_id, channel_id, nextval('due_listing_seq'), owner_id, %(now)s from stock_owner
where merchant_id = %(merchant_id)s and channel_id = %(channel)s and state = 'managed' and item_id is not null
"""
_PRUNE = """
delete from {table} t where t.merchant_id = %(merchant_id)s and (t.at < %(before)s or t.shadow_id <= (
    select n.shadow_id from {table} n where n.merchant_id = t.merchant_id and n.channel_id = t.channel_id
    order by n.shadow_id desc offset %(rows)s limit 1))
"""


@dataclass(frozen=True, slots=True)
class Shadowed:
    """What one call did: attempts closed that were left, due numbers settled, whether the channel became active."""

    closed: int = 0
    settled: int = 0
    activated: bool = False


def shadow(runtime: Runtime, merchant_id: int, channel_id: int) -> Shadowed:
    """Note what would be written to a channel in shadow; or have it become active, if that was asked for and it has
    been read since."""
    with runtime.begin(merchant_id, runtime.clock()) as session:
        standing = get_standing(session, channel_id, lock=True)  # one at a time, and none while its state changes
        if standing.state != "shadow":
            return Shadowed()
        lanes = session.value(
            "select write_lanes from channel where merchant_id = %(merchant_id)s and channel_id = %(channel)s",
            channel=channel_id,
        )
        closed = sum(_close_left(runtime, session, channel_id, lane) for lane in range(lanes))
        if standing.activating_since is not None:
            return Shadowed(closed, activated=_activate(session, channel_id))
        return Shadowed(closed, settled=sum(_note_lane(session, channel_id, lane) for lane in range(lanes)))


def _close_left(runtime: Runtime, session: Session, channel_id: int, lane: int) -> bool:
    """An attempt without an answer is read back, never sent again, whatever the vendor remembers."""
    left = attempts.take_over(runtime, session, channel_id, lane)
    if left is None:
        return False
    unknown = [Unknown(row.key, "no_answer") for row in left.rows.values()]
    attempts.record(session, channel_id, left, unknown, "no_answer")
    ask_for_orders(session, channel_id, session.now)
    return True


def _note_lane(session: Session, channel_id: int, lane: int) -> int:
    """The due numbers of a lane. Owners are locked before they are planned: an order moves ledger and belief at once,
    so that a plan sees both or neither."""
    owners = [due.owner_id for due in list_due(session, channel_id, lane, BATCH_MAX) if not due.only_lowered]
    if not owners:
        return 0
    session.rows(
        """select from stock_owner where merchant_id = %(merchant_id)s and owner_id = any(%(ids)s)
           order by owner_id for update""",
        ids=owners,
    )
    found = [due for due in list_due(session, channel_id, lane, BATCH_MAX, owners) if not due.only_lowered]
    unseen = [due.key.stock_key for due in found if due.plan is not None and due.believed is None]
    belief.look_at(session, channel_id, unseen)
    known = [due for due in found if due.plan is None or due.believed is not None]
    _note(session, channel_id, known)
    belief.end_wait(session, [due.owner_id for due in known])
    settle_due(session, channel_id, [due_id for due in known for due_id in due.due_ids])
    return len(known)


def _note(session: Session, channel_id: int, dues: Sequence[Due]) -> None:
    planned = [(due.owner_id, due.plan) for due in dues if due.plan is not None]
    if planned:
        session.run(
            _NOTE,
            channel=channel_id,
            now=session.now,
            owners=[owner for owner, _ in planned],
            targets=[plan.target for _, plan in planned],
            reasons=[orjson.dumps(plan.reasons).decode() for _, plan in planned],
        )


def _activate(session: Session, channel_id: int) -> bool:
    if not session.value(_READY, channel=channel_id, within=SETTLES_WITHIN):
        return False
    if not confirm(session, channel_id):
        session.run(_REFUSED, channel=channel_id)
        return False
    session.run(_ACTIVATE, channel=channel_id)
    session.run(_FRESH, channel=channel_id)
    session.run(_ALL_DUE, channel=channel_id, now=session.now)
    return True


def prune_shadow(session: Session) -> None:
    """What is old, or more than is kept, goes."""
    for table in ("shadow_write", "shadow_sale"):
        session.run(_PRUNE.format(table=table), before=session.now - KEEP, rows=ROWS_MAX)
