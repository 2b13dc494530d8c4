"""Belief: the number we think a channel shows, per stock owner.

It moves by what is known to have moved it (an order of that channel, a write of ours that was acknowledged) and is
confirmed or contradicted by observations; it is never set from our own target. Rows are locked in the order of their
    ids.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from app.core.db import Session
from app.core.record import record
from app.listings.shop_clock import MARGIN
from connectors.base import StockKey, StockReading

WRITES_MAX = 20  # latest writes to a number asked whether one was under way while it was sold

# `passed`: what it went through since it was confirmed. An owner with an open case is looked at when it moves:
# the order that moved it may be what explains the case. What happened before the first number was read is in it; of an
# order that began before and ended after nobody knows which part is, and the number is read again. So is the number of
# what was sold while we wrote to a channel that reads, adds and writes: one of the two may have replaced the other,
# even a sale or its taking back where both are known at once. And so is a number that was as believed after that had
# happened which is only known now: something else hid it, by chance. Where only the clocks' unsharpness says that it
# may have, it is read a while later, since that is said of most that is sold quickly.
_MOVE = """
with m as materialized (
    select * from unnest(%(ids)s::bigint[], %(deltas)s::bigint[], %(began)s::timestamptz[], %(ended)s::timestamptz[])
                  m(owner_id, delta, began, ended)
), k as materialized (
    select o.owner_id, o.counted_since, o.confirmed_at from stock_owner o
    where o.merchant_id = %(merchant_id)s and o.owner_id in (select owner_id from m) order by o.owner_id for update of o
), d as (
    select owner_id, coalesce(sum(m.delta) filter (where counts), 0)::bigint as delta,
           bool_or(not counts and m.ended >= k.counted_since) as unsure,
           bool_or(m.delta <> 0 and m.ended < k.confirmed_at) as hidden,
           bool_or(m.delta <> 0 and m.ended - %(unsharp)s::interval < k.confirmed_at) as maybe_hidden,
           bool_or(exists (
               select from (select p.attempt_id from push_row p
                            where p.merchant_id = %(merchant_id)s and p.owner_id = m.owner_id
                            order by p.attempt_id desc limit %(writes_max)s) p
               join push_attempt a on a.merchant_id = %(merchant_id)s and a.attempt_id = p.attempt_id
               where a.blind and a.opened_at <= m.ended
                 and coalesce(a.closed_at, %(now)s) >= m.began - %(unsharp)s::interval)) as raced
    from m join k using (owner_id)
    cross join lateral (select coalesce(m.began >= k.counted_since, true) as counts) c
    group by owner_id
)
update stock_owner o
set believed = case when not d.unsure then o.believed + d.delta end, belief_revision = o.belief_revision + 1,
    believed_at = %(now)s,
    shadow_shown = o.shadow_shown + d.delta,
    passed = (case when cardinality(o.passed) < 32 then o.passed else o.passed[2:] end) || o.believed,
    look_since = least(o.look_since, case
        when o.case_id is not null or %(doubted)s or d.unsure or d.raced or d.hidden then %(now)s
        when d.maybe_hidden then %(now)s + %(unsharp)s::interval end)
from d
where o.merchant_id = %(merchant_id)s and o.owner_id = d.owner_id and o.believed is not null
  and (d.delta <> 0 or d.unsure or d.raced)
"""
# Equal: confirmed. Different: remembered with the belief's revision from before the reading, and when it was first seen
# so (else whoever looks often would never know); `settle` decides once orders were read and no order has moved the
# belief since. What was seen before it moved was looked at in vain.
_OBSERVE = """
with d as materialized (
    select * from unnest(%(keys)s::text[], %(places)s::text[], %(quantities)s::bigint[], %(states)s::text[],
                         %(reasons)s::text[], %(revisions)s::bigint[])
                  d(stock_key, location_key, quantity, state, reason, revision)
), k as materialized (
    select o.owner_id, d.quantity, d.state, d.reason, d.revision
    from stock_owner o join d using (stock_key, location_key)
    where o.merchant_id = %(merchant_id)s and o.channel_id = %(channel)s order by o.owner_id for update of o
)
update stock_owner o
set observed = k.quantity, hinted = null,
    observed_at = case when o.observed = k.quantity and o.observed_revision = k.revision then o.observed_at
                       else %(at)s end,
    confirmed_at = case when k.quantity = o.believed then %(at)s else o.confirmed_at end,
    passed = case when k.quantity = o.believed then '{}' else o.passed end,
    doubts = case when k.quantity <> o.believed then least(o.doubts + 1, 100) else 0 end,
    conflicts = o.conflicts + case when o.observed_revision <> k.revision then 1 else 0 end,
    look_since = case when k.quantity <> o.believed and o.unclear_attempt_id is null and o.awaiting_since is null
                       and o.doubts = 0 and %(patient)s then %(at)s::timestamptz end,
    observed_revision = case when o.unclear_attempt_id is not null
                               or k.quantity <> o.believed and (o.doubts > 0 or o.awaiting_since is not null
                                                                or not %(patient)s) then k.revision end,
    believed = case when o.believed is null then k.quantity else o.believed end,
    believed_at = case when o.believed is null then %(at)s else o.believed_at end,
    counted_since = case when o.believed is null then %(began)s else o.counted_since end,
    state = case when k.quantity is not null then 'managed' when k.state = '' then o.state else k.state end,
    reason = case when k.quantity is not null then '' else k.reason end
from k where o.merchant_id = %(merchant_id)s and o.owner_id = k.owner_id
returning o.owner_id, o.observed_revision
"""
_STATES = {
    "untracked": "untracked", "bundle_parent": "bundle", "gone": "gone", "not_stocked": "refused",
    "not_whole": "refused", "parent_managed": "refused",
}  # fmt: skip
_SAYING = {
    "not_whole": "what the channel shows is no whole number",
    "parent_managed": "its number is kept at the product, not at the variation",
}


@record
class Move:
    """A channel's number went up or down. `began`, `ended`: when at the latest, by our clock; None: after it was first
    read, for sure."""

    owner_id: int
    delta: int
    began: datetime | None = None
    ended: datetime | None = None


def move(session: Session, moves: Sequence[Move], *, doubted: bool = False) -> None:
    """Move beliefs; an unknown belief stays unknown, and what happened before the first number was read is in that
    already. `doubted`: they are looked at, since a write of ours may have replaced what moved them."""
    if moves:
        session.run(
            _MOVE,
            ids=[move.owner_id for move in moves],
            deltas=[move.delta for move in moves],
            began=[move.began for move in moves],
            ended=[move.ended for move in moves],
            now=session.now,
            doubted=doubted,
            writes_max=WRITES_MAX,
            unsharp=2 * MARGIN,  # the times are the latest possible ones
        )


def read_revisions(session: Session, channel_id: int, keys: Sequence[StockKey]) -> dict[StockKey, int]:
    """The beliefs' revisions, to be taken before the channel is asked for its numbers."""
    rows = session.rows(
        """select stock_key, location_key, belief_revision from stock_owner
           join unnest(%(keys)s::text[], %(places)s::text[]) d(stock_key, location_key) using (stock_key, location_key)
           where merchant_id = %(merchant_id)s and channel_id = %(channel)s""",
        channel=channel_id, keys=[k.stock_key for k in keys], places=[k.location_key for k in keys],
    )  # fmt: skip
    return {StockKey(row.stock_key, row.location_key): row.belief_revision for row in rows}


def observe(
    session: Session,
    channel_id: int,
    readings: Sequence[StockReading],
    revisions: Mapping[StockKey, int],
    *,
    began: datetime,
    patient: bool = False,
) -> int:
    """Numbers the channel was seen to show in a reading that `began` then and has just ended; returns how many
    contradict the belief.
    `patient`: a first contradiction is only looked at again, since it mostly is a sale that is on its way to us.

    `revisions` are those of `read_revisions`, taken before the reading. The first number of an owner without a belief
    becomes it.
    """
    known = [r for r in readings if r.key in revisions]
    if not known:
        return 0
    rows = session.rows(
        _OBSERVE,
        channel=channel_id,
        keys=[r.key.stock_key for r in known],
        places=[r.key.location_key for r in known],
        quantities=[r.quantity for r in known],
        states=[_STATES.get(r.reason, "") for r in known],
        reasons=[_SAYING.get(r.reason) or _STATES.get(r.reason, "") for r in known],
        revisions=[revisions[r.key] for r in known],
        at=session.now,
        began=began,
        patient=patient,
    )
    return sum(row.observed_revision is not None for row in rows)


def lock(session: Session, channel_id: int, moves: Sequence[Move], hints: Sequence[StockReading]) -> None:
    """Lock at once what these will change one after the other: whoever records a write locks in the order of ids too,
    and would wait for the one while it holds the other."""
    if moves and hints:
        session.run(
            _LOCK, channel=channel_id, ids=[move.owner_id for move in moves],
            keys=[h.key.stock_key for h in hints], places=[h.key.location_key for h in hints],
        )  # fmt: skip


def ask_to_look(session: Session, channel_id: int, hints: Sequence[StockReading]) -> None:
    """Numbers a delivery spoke of: those that differ from the belief are looked at a little later, unless the orders
    that explain them come first. A hint may be old, so it never becomes an observation; one that says a number which
    our writes and known orders made it pass through since it was confirmed is an older echo and says nothing."""
    if hints:
        session.run(
            _HINTS,
            channel=channel_id,
            now=session.now,
            keys=[h.key.stock_key for h in hints],
            places=[h.key.location_key for h in hints],
            quantities=[h.quantity for h in hints],
        )


def forget_hints(session: Session, channel_id: int) -> None:
    """What a delivery spoke of is believed by now: an order or the answer to a write came right behind it."""
    session.run(_FORGET_HINTS, channel=channel_id)


def end_wait(session: Session, owners: Sequence[int]) -> None:
    """Owners that waited for orders and need no write after them wait no longer."""
    if owners:
        session.run(_END_WAIT, owners=list(owners))


def look_at(session: Session, channel_id: int, stock_keys: Sequence[str]) -> None:
    """Have the numbers of these stock keys looked at, at every location. A part of a key will do: WooCommerce rings
    with a variation's bare id (`14`, of the key `13/14`) or with the parent's."""
    keys = [key for key in stock_keys if key]  # nothing is a part of `gid://…`
    if keys:
        session.run(_LOOK, channel=channel_id, now=session.now, keys=keys)


# Those with a case are locked as well: it may be closed next.
_END_WAIT = """
with k as materialized (
    select owner_id from stock_owner
    where merchant_id = %(merchant_id)s and owner_id = any(%(owners)s)
      and (awaiting_since is not null or case_id is not null)
    order by owner_id for update
)
update stock_owner o set awaiting_since = null, conflicts = 0
from k where o.merchant_id = %(merchant_id)s and o.owner_id = k.owner_id and o.awaiting_since is not null
"""
_LOCK = """
select o.owner_id from stock_owner o join (
    select unnest(%(ids)s::bigint[])
    union select h.owner_id from unnest(%(keys)s::text[], %(places)s::text[]) d(stock_key, location_key)
          join stock_owner h using (stock_key, location_key)
          where h.merchant_id = %(merchant_id)s and h.channel_id = %(channel)s
) k(owner_id) using (owner_id)
where o.merchant_id = %(merchant_id)s order by o.owner_id for update of o
"""
_HINTS = """
with k as materialized (
    select o.owner_id, d.quantity from stock_owner o
    join unnest(%(keys)s::text[], %(places)s::text[], %(quantities)s::bigint[]) d(stock_key, location_key, quantity)
         using (stock_key, location_key)
    where o.merchant_id = %(merchant_id)s and o.channel_id = %(channel)s and o.state = 'managed'
      and o.believed is distinct from d.quantity and d.quantity <> all(o.passed)
    order by o.owner_id for update of o
)
update stock_owner o
set look_since = least(o.look_since, %(now)s),
    hinted = case when o.look_since is null or o.hinted is not null then k.quantity end
from k where o.merchant_id = %(merchant_id)s and o.owner_id = k.owner_id
"""
_FORGET_HINTS = """
with k as materialized (
    select owner_id from stock_owner
    where merchant_id = %(merchant_id)s and channel_id = %(channel)s and look_since is not null and hinted = believed
    order by owner_id for update
)
update stock_owner o set look_since = null, hinted = null
from k where o.merchant_id = %(merchant_id)s and o.owner_id = k.owner_id
"""
_LOOK = """
with k as materialized (
    select o.owner_id from stock_owner o
    where o.merchant_id = %(merchant_id)s and o.channel_id = %(channel)s and o.state = 'managed'
      and (o.stock_key = any(%(keys)s) or string_to_array(o.stock_key, '/') && %(keys)s::text[])
    order by o.owner_id for update
)
update stock_owner o set look_since = least(o.look_since, %(now)s), hinted = null
from k where o.merchant_id = %(merchant_id)s and o.owner_id = k.owner_id
"""
