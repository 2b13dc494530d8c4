"""Looking at what a channel really shows, and explaining a difference before anything is corrected.

A number that contradicts the belief proves nothing by itself: a sale may be on its way to us. It is conclusive when a
complete reading of the channel's orders, begun after it (and after whatever the channel lists late), has been
understood, the belief has not moved since before the number was read, no order of the item has changed since (it may
have been read as it is now, and not as it was), and no write of ours to it is under way. Only then is it drift (or the
trace of a write whose answer was lost), and belief follows it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from app.core.db import Row, Session
from app.core.runtime import Runtime
from app.listings import belief
from app.listings.channels import Channel, ask_for_orders, get_channel, hasten_orders, shop_of
from app.listings.shop_clock import MARGIN
from app.listings.states import get_standing
from app.listings.unplaced import HOLDS
from app.listings.wanted import want_listed
from app.publishing.decisions import adjust_decided
from app.publishing.drift import Verdict, judge, note_explained, note_unmanaged
from app.publishing.pauses import note_answer, pause
from app.publishing.unanswered import GIVEN_UP_AT, LATE, UNANSWERED, UNDER_WAY
from app.publishing.unread import decide_what_can_be_read
from connectors.base import Abilities, StockKey
from connectors.errors import ChannelError

PAUSES_S = (1, 2, 5, 15, 60)  # after the first, second … look in a row that failed
LOOK_DELAY_S = 3  # a hint mostly explains itself by the order that is right behind it
READING = timedelta(seconds=60)  # a number is older by that, at most, than the end of the call that brought it

DOCUMENTS_MAX = 1_000  # latest documents of the channel asked whether an order has changed since a number was read
_CONTRADICTED = f"""
with lately as materialized (
    select resource_key, received_at from inbox
    where merchant_id = %(merchant_id)s and channel_id = %(channel)s and kind = 'document'
      and received_on >= ((%(now)s)::timestamptz at time zone 'UTC')::date - 1
    order by received_on desc, inbox_id desc limit {DOCUMENTS_MAX}
)
select o.owner_id, o.item_id, o.stock_key, o.location_key, o.believed, o.observed, o.observed_at, o.belief_revision,
    o.observed_revision, o.case_id, o.passed, o.buffer, o.buffer_percent, o.shown_min, o.shown_max,
    o.oversell_target,
       o.state, o.unclear_attempt_id, {UNANSWERED} as unanswered, {GIVEN_UP_AT} as unclear_at,
       r.completed_at as orders_read_at,
    exists (select from lately i join channel c on c.merchant_id = o.merchant_id and c.channel_id = o.channel_id
            join sales_order s on s.merchant_id = o.merchant_id and s.channel_id = o.channel_id
                              and s.order_key = i.resource_key
            join order_line l on l.merchant_id = s.merchant_id and l.order_id = s.order_id
            where i.received_at >= o.observed_at - %(around)s
              and l.item_id = o.item_id
              and s.version >= o.observed_at + make_interval(secs => c.clock_skew_s) - %(around)s) as changed_since
from stock_owner o
join channel_poll r on r.merchant_id = o.merchant_id and r.channel_id = o.channel_id and r.kind = 'orders'
                   and r.completed_at > o.observed_at
where o.merchant_id = %(merchant_id)s and o.channel_id = %(channel)s
  and o.observed_revision is not null and (o.unclear_attempt_id is null or o.look_since is null)
  and not exists (select from inbox i where i.merchant_id = o.merchant_id and i.channel_id = o.channel_id
                  and i.kind = 'document' and i.origin = 'read' and i.state = 'open')
  and not exists (select from push_attempt a join push_row r using (merchant_id, attempt_id)
                  where a.merchant_id = o.merchant_id and a.channel_id = o.channel_id and a.state <> 'done'
                    and r.owner_id = o.owner_id)
  and not {HOLDS}
order by o.owner_id limit %(limit)s for update of o
"""  # noqa: S608  a constant only
_TO_LOOK = """
select stock_key, location_key from stock_owner
where merchant_id = %(merchant_id)s and channel_id = %(channel)s
  and not exists (select from channel_poll where merchant_id = %(merchant_id)s and channel_id = %(channel)s
                  and kind = 'look' and due_at > %(now)s)
  and look_since is not null and look_since <= case when unclear_attempt_id is null then %(before)s else %(now)s end
order by look_since limit %(limit)s
"""
_FOLLOW = """
update stock_owner o
set believed = d.observed, belief_revision = o.belief_revision + 1, believed_at = %(now)s, observed_revision = null,
    unclear_attempt_id = null, awaiting_since = null, conflicts = 0, passed = '{}', confirmed_at = o.observed_at,
    counted_since = case when o.believed = d.observed then o.counted_since
                         else o.observed_at - %(reading)s::interval end,
    case_id = case when d.judged then d.case_id else o.case_id end,
    held = case when d.judged then d.held else o.held end,
    look_since = case when d.adjust then %(now)s else o.look_since end
from unnest(%(owners)s::bigint[], %(observed)s::bigint[], %(judged)s::boolean[], %(cases)s::bigint[],
            %(held)s::boolean[], %(adjust)s::boolean[]) d(owner_id, observed, judged, case_id, held, adjust)
where o.merchant_id = %(merchant_id)s and o.owner_id = d.owner_id
"""
_AGAIN = """
update stock_owner set observed_revision = null, look_since = %(now)s, conflicts = conflicts + 1
where merchant_id = %(merchant_id)s and owner_id = any(%(owners)s)
"""
# The channel keeps no number there (any more): what became of a write to it is no question, and the next number that it
# shows is the first.
_FORGET = """
update stock_owner set observed_revision = null, unclear_attempt_id = null, awaiting_since = null, believed = null,
    counted_since = null, belief_revision = belief_revision + 1
where merchant_id = %(merchant_id)s and owner_id = any(%(owners)s)
"""
_LATER = """
update stock_owner o set observed_revision = null, look_since = d.until, conflicts = o.conflicts + d.in_vain
from unnest(%(owners)s::bigint[], %(until)s::timestamptz[], %(in_vain)s::integer[]) d(owner_id, until, in_vain)
where o.merchant_id = %(merchant_id)s and o.owner_id = d.owner_id
"""
SETTLE_MAX = 1_000
_JUST_AFTER = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Looked:
    """What one call found."""

    read: int = 0
    contradicted: int = 0
    settled: int = 0
    error: str = ""


def look(runtime: Runtime, merchant_id: int, channel_id: int) -> Looked:
    """Settle what can be settled, then read the numbers that somebody asked to look at."""
    now = runtime.clock()
    with runtime.begin(merchant_id, now) as session:
        channel = get_channel(session, channel_id)
        abilities = runtime.connectors[channel.platform].abilities
        settled = settle(session, channel_id, abilities) + decide_what_can_be_read(session, channel_id)
    adjust_decided(runtime, merchant_id, channel_id)
    with runtime.begin(merchant_id, now) as session:
        belief.forget_hints(session, channel_id)
        before = now - timedelta(seconds=LOOK_DELAY_S)
        rows = session.rows(_TO_LOOK, channel=channel_id, before=before, now=now, limit=abilities.read_rows_max)
    keys = [StockKey(row.stock_key, row.location_key) for row in rows]
    if not keys:
        return Looked(settled=settled)
    try:
        contradicted = read_numbers(runtime, merchant_id, channel, keys, patient=True)
    except ChannelError as error:
        pause(runtime, (merchant_id, channel_id), "look", error, PAUSES_S)
        return Looked(settled=settled, error=error.reason)
    with runtime.begin(merchant_id, runtime.clock()) as session:
        settled += decide_what_can_be_read(session, channel_id)
    return Looked(len(keys), contradicted, settled)


def read_numbers(
    runtime: Runtime, merchant_id: int, channel: Channel, keys: Sequence[StockKey], *, patient: bool = False
) -> int:
    """Read what the channel shows and compare it with the belief; asks for its orders when something contradicts it
    (`patient`: twice in a row). Returns how many do. Raises ChannelError."""
    now = runtime.clock()
    with runtime.begin(merchant_id, now) as session:
        revisions = belief.read_revisions(session, channel.channel_id, keys)
    connector = runtime.connectors[channel.platform]
    readings = connector.read_stock(runtime.open_http(), shop_of(runtime, merchant_id, channel), keys)
    after = runtime.clock()
    with runtime.begin(merchant_id, after) as session:
        note_answer(session, channel.channel_id, "look")
        contradicted = belief.observe(session, channel.channel_id, readings, revisions, began=now, patient=patient)
        if contradicted:
            ask_for_orders(session, channel.channel_id, after)
        if any(reading.quantity is None for reading in readings):
            note_unmanaged(session, channel.channel_id)
            elsewhere = {r.key.stock_key for r in readings if r.reason in ("gone", "parent_managed")}
            want_listed(session, channel.channel_id, elsewhere)
    return contradicted


def settle(session: Session, channel_id: int, abilities: Abilities) -> int:
    """Decide about contradicting numbers whose orders have been read since; how many were decided."""
    rows = session.rows(
        _CONTRADICTED, channel=channel_id, limit=SETTLE_MAX, now=session.now, around=MARGIN, under_way=UNDER_WAY
    )
    listed_after = timedelta(seconds=abilities.listed_after_s)
    found: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        found[_stands(row, listed_after)].append(row)
    same, conclusive = found["same"], found["conclusive"]
    differ = [row for row in conclusive if row.observed != row.believed and row.item_id is not None]
    if differ and _is_its_own(session, channel_id):
        differ = []
    note_explained(session, channel_id, same)
    verdicts = judge(session, channel_id, differ, abilities.write_mode)
    _follow(session, [*same, *conclusive], verdicts)
    _put_off(session, channel_id, found, listed_after)
    return len(same) + len(conclusive)


def _stands(row: Row, listed_after: timedelta) -> str:
    """How far a contradicting number has come. What the channel lists so late may be the sale that explains it."""
    if row.observed is None and row.state != "managed":
        return "numberless"
    if row.unclear_attempt_id is None and row.observed == row.believed:
        return "same"
    if row.observed is None or row.belief_revision != row.observed_revision:
        return "moved"
    if _may_still_come(row):
        return "under_way"
    if row.changed_since and row.observed != row.believed and not _explained(row):
        return "changing"
    return "conclusive" if row.orders_read_at > row.observed_at + listed_after else "unlisted"


def _put_off(session: Session, channel_id: int, found: Mapping[str, Sequence[Row]], listed_after: timedelta) -> None:
    """What can't be decided yet is looked at again, or waits for another reading of the orders."""
    moved, numberless, unlisted = (found.get(name, ()) for name in ("moved", "numberless", "unlisted"))
    if moved:
        session.run(_AGAIN, now=session.now, owners=[row.owner_id for row in moved])
    if numberless:
        session.run(_FORGET, owners=[row.owner_id for row in numberless])
    later = [(row.owner_id, row.unclear_at + LATE, 0) for row in found.get("under_way", ())]
    # By then the change is older than what is seen.
    later += [(row.owner_id, session.now + MARGIN, 1) for row in found.get("changing", ())]
    if later:
        owners, until, in_vain = zip(*later, strict=True)
        session.run(_LATER, owners=list(owners), until=list(until), in_vain=list(in_vain))
    if unlisted:
        first = min(row.observed_at for row in unlisted)
        hasten_orders(session, channel_id, first + listed_after + _JUST_AFTER)


def _is_its_own(session: Session, channel_id: int) -> bool:
    """A channel in shadow is kept by somebody else: another number than expected is news, not drift."""
    standing = get_standing(session, channel_id)
    return standing.state == "shadow" and standing.activating_from in (None, "shadow")


def _may_still_come(row: Row) -> bool:
    """A write without an answer that is not seen yet may be applied a little after we stopped waiting for it."""
    return row.unclear_at is not None and row.observed_at < row.unclear_at + LATE and not _explained(row)


def _explained(row: Row) -> bool:
    """Every write whose answer was lost had been applied."""
    return bool(row.unanswered) and row.observed == row.believed + sum(row.unanswered)


def _follow(session: Session, decided: Sequence[Row], verdicts: Mapping[int, Verdict]) -> None:
    """The belief follows what was seen. Before an adjustment is posted the owner stays to be looked at, so that it is
    posted whatever happens to us now."""
    if decided:
        found = [verdicts.get(row.owner_id) for row in decided]
        session.run(
            _FOLLOW,
            now=session.now,
            reading=READING,
            owners=[row.owner_id for row in decided],
            observed=[row.observed for row in decided],
            judged=[verdict is not None for verdict in found],
            cases=[verdict and verdict.case_id for verdict in found],
            held=[verdict is not None and verdict.held for verdict in found],
            adjust=[verdict is not None and verdict.adjust for verdict in found],
        )
