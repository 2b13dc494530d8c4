"""Attempts to write: stored before anything is sent, one open per lane of a channel, taken over when their worker
died or their deadline passed.

What was sent, under which key and with which expectations, is known whatever happens to the process that sent it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import orjson

from app.core.db import ConstraintViolated, Session
from app.core.runtime import Runtime
from app.listings import belief
from app.listings.cases import close_corrected
from app.publishing.due import CONFLICTS_MAX, Due, settle_due
from connectors.base import Conflict, Rejected, StockKey, StockWrite, Unknown, Unsent, WriteMode, WriteOutcome, Written

KEEP = timedelta(days=90)
PRUNED_MAX = 10_000  # attempts at once
REPLAY_MAX = timedelta(hours=23)  # a vendor remembers a key for 24 h

# Only while the attempt is still ours: who stood still since it was claimed has lost it.
_INSERT_ROWS = """
with mine as materialized (
    select from push_attempt where merchant_id = %(merchant_id)s and attempt_id = %(attempt)s and owner = %(owner)s
      and state = 'open' for no key update
)
insert into push_row (merchant_id, attempt_id, owner_id, expected, target, relative, due_since, due_ids, reasons)
select %(merchant_id)s, %(attempt)s, r.owner_id, r.expected, r.target, r.relative, r.since, r.due_ids::bigint[],
    r.reasons
from unnest(%(owners)s::bigint[], %(expected)s::bigint[], %(targets)s::bigint[], %(relative)s::boolean[],
            %(since)s::timestamptz[], %(due)s::text[], %(reasons)s::jsonb[])
     r(owner_id, expected, target, relative, since, due_ids, reasons)
where exists (select from mine)
"""
_OUTCOMES = """
update push_row p set outcome = o.outcome, quantity_after = o.quantity, detail = o.detail
from unnest(%(owners)s::bigint[], %(outcomes)s::text[], %(quantities)s::bigint[], %(details)s::text[])
     o(owner_id, outcome, quantity, detail)
where p.merchant_id = %(merchant_id)s and p.attempt_id = %(attempt)s and p.owner_id = o.owner_id
"""
_OWNERS = """
with d as materialized (
    select * from unnest(%(owners)s::bigint[], %(outcomes)s::text[], %(quantities)s::bigint[], %(details)s::text[],
                         %(look)s::boolean[]) d(owner_id, outcome, quantity, detail, look)
), k as materialized (
    select o.owner_id from stock_owner o join d using (owner_id)
    where o.merchant_id = %(merchant_id)s order by o.owner_id for update of o
)
update stock_owner o
set conflicts = case d.outcome when 'written' then 0 when 'conflict' then o.conflicts + 1 else o.conflicts end,
    awaiting_since = case d.outcome when 'conflict' then %(now)s when 'written' then null else o.awaiting_since end,
    look_since = case when d.look or exists (
                          select from push_attempt a where a.merchant_id = o.merchant_id and a.attempt_id = %(attempt)s
                          and a.blind and o.believed_at > a.opened_at)  -- an order came meanwhile
                      then least(o.look_since, %(now)s) else o.look_since end,
    hinted = case when d.look and (o.look_since is null or o.hinted is not null) then d.quantity
                  when d.look then null else o.hinted end,
    unclear_attempt_id = case d.outcome when 'unknown' then coalesce(o.unclear_attempt_id, %(attempt)s)
                         else o.unclear_attempt_id end,
    state = case d.outcome when 'rejected' then 'refused' else o.state end,
    reason = case d.outcome when 'rejected' then d.detail else o.reason end
from d join k using (owner_id)
where o.merchant_id = %(merchant_id)s and o.owner_id = d.owner_id
returning o.owner_id, o.case_id
"""

# One that nobody knows the outcome of yet is kept however old it is.
_OLD = """
select attempt_id from push_attempt
where merchant_id = %(merchant_id)s and state = 'done' and closed_at < %(before)s
  and attempt_id <> all (array(select unclear_attempt_id from stock_owner
                               where merchant_id = %(merchant_id)s and unclear_attempt_id is not null))
order by closed_at limit %(limit)s
"""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A stored attempt. `owner` is its fence: who may still record it."""

    attempt_id: int
    key: str
    owner: str
    lane: int
    rows: Mapping[int, StockWrite]  # by owner id
    opened_at: datetime


@dataclass(frozen=True, slots=True)
class Recorded:
    """What an answer came to."""

    written: int = 0
    conflicts: int = 0
    rejected: int = 0
    unknown: int = 0
    unsent: int = 0


def to_write(due: Due, mode: WriteMode) -> StockWrite | None:
    """The row for an owner, None when its number needs no change or has to wait. A reduction goes relative where the
    channel can: it commutes with sales that we have not seen, so it need not wait for them (docs/decisions/007). An
    increase compares, and waits. Where a channel takes nothing but numbers, every change waits. What is only
    lowered for now has such reductions go out, whatever was seen there."""
    if due.plan is None or due.believed is None or due.plan.target == due.believed:
        return None
    reduces = due.plan.target < due.believed
    adds = mode is WriteMode.RELATIVE or (reduces and mode is WriteMode.COMPARE_AND_SET)
    commutes = reduces and adds
    waits = due.only_lowered or due.contradicted
    at_once = due.only_lowered or due.conflicts >= CONFLICTS_MAX
    if waits and not (commutes and at_once):
        return None
    return StockWrite(due.key, due.believed, due.plan.target, relative=adds)


def claim(runtime: Runtime, session: Session, channel_id: int, lane: int, *, blind: bool = False) -> Attempt | None:
    """Take the lane's one open attempt, still without rows; None when somebody has it, or the channel is not active.
    `blind`: what happens there while it is carried out may be replaced by it.

    It is taken before anything is planned: a plan made while another's write is being recorded would write the same
    difference twice.
    """
    attempt_id: int = session.value("select nextval('push_attempt_seq')")
    key = runtime.new_key()
    owner = f"{runtime.worker}/{key}"
    deadline = session.now + timedelta(seconds=runtime.settings.sync.attempt_deadline_s)
    try:
        with session.savepoint():
            claimed = session.run(
                """insert into push_attempt (merchant_id, attempt_id, channel_id, lane, key, owner, state, opened_at,
                                             deadline, blind)
                   select %(merchant_id)s, %(id)s, %(channel)s, %(lane)s, %(key)s, %(owner)s, 'open', %(now)s,
                          %(deadline)s, %(blind)s
                   from channel where merchant_id = %(merchant_id)s and channel_id = %(channel)s and state = 'active'
                   for share""",
                id=attempt_id, channel=channel_id, lane=lane, key=key, owner=owner, now=session.now, deadline=deadline,
                blind=blind,
            )  # fmt: skip
    except ConstraintViolated:
        return None
    return Attempt(attempt_id, key, owner, lane, {}, session.now) if claimed else None


def fill(session: Session, attempt: Attempt, rows: Sequence[tuple[Due, StockWrite]]) -> Attempt | None:
    """Store what a claimed attempt will send, before it is sent; None when it was taken over meanwhile."""
    rows = sorted(rows, key=lambda pair: pair[0].owner_id)  # as `take_over` reads them: the same again, to the letter
    stored = session.run(
        _INSERT_ROWS,
        attempt=attempt.attempt_id,
        owner=attempt.owner,
        owners=[due.owner_id for due, _ in rows],
        expected=[row.expected for _, row in rows],
        targets=[row.target for _, row in rows],
        relative=[row.relative for _, row in rows],
        since=[due.since for due, _ in rows],
        due=["{" + ",".join(map(str, due.due_ids)) + "}" for due, _ in rows],
        reasons=[orjson.dumps(due.plan.reasons if due.plan else []).decode() for due, _ in rows],
    )
    return replace(attempt, rows={due.owner_id: row for due, row in rows}) if stored else None


def drop(session: Session, attempt: Attempt) -> None:
    """Give a claimed attempt back: there is nothing to write after all."""
    session.run(
        """delete from push_attempt where merchant_id = %(merchant_id)s and attempt_id = %(id)s
           and owner = %(owner)s and state = 'open'""",
        id=attempt.attempt_id, owner=attempt.owner,
    )  # fmt: skip


def take_over(runtime: Runtime, session: Session, channel_id: int, lane: int) -> Attempt | None:
    """The lane's attempt if its deadline has passed, now ours; None when there is none."""
    fence = f"{runtime.worker}/{runtime.new_key()}"
    row = session.row(
        """update push_attempt set owner = %(owner)s, deadline = %(deadline)s, state = 'open'
           where merchant_id = %(merchant_id)s and channel_id = %(channel)s and lane = %(lane)s and state <> 'done'
             and deadline < %(now)s
           returning attempt_id, key, opened_at""",
        channel=channel_id, lane=lane, owner=fence, now=session.now,
        deadline=session.now + timedelta(seconds=runtime.settings.sync.attempt_deadline_s),
    )  # fmt: skip
    if row is None:
        return None
    rows = session.rows(
        """select p.owner_id, o.stock_key, o.location_key, p.expected, p.target, p.relative
           from push_row p join stock_owner o using (merchant_id, owner_id)
           where p.merchant_id = %(merchant_id)s and p.attempt_id = %(id)s order by p.owner_id""",
        id=row.attempt_id,
    )
    writes = {
        r.owner_id: StockWrite(StockKey(r.stock_key, r.location_key), r.expected, r.target, r.relative) for r in rows
    }
    return Attempt(row.attempt_id, row.key, fence, lane, writes, row.opened_at)


def leave_unclear(session: Session, attempt: Attempt, retry_at: datetime, error: str) -> None:
    """No answer came and the vendor remembers the key: the same will be sent again under it."""
    session.run(
        """update push_attempt set state = 'unclear', deadline = %(at)s, error = %(error)s
           where merchant_id = %(merchant_id)s and attempt_id = %(id)s and owner = %(owner)s and state = 'open'""",
        id=attempt.attempt_id, at=retry_at, error=error, owner=attempt.owner,
    )  # fmt: skip


def record(
    session: Session, channel_id: int, attempt: Attempt, outcomes: Sequence[WriteOutcome], error: str | None = None
) -> Recorded | None:
    """Close an attempt with what the channel answered; None when it was taken over meanwhile (the answer is ignored).

    An accepted write moves the belief by what it changed, `target − expected`: an order of that channel processed
    meanwhile has moved it too.
    """
    closed = session.run(
        """update push_attempt set state = 'done', closed_at = %(now)s, error = %(error)s
           where merchant_id = %(merchant_id)s and attempt_id = %(id)s and owner = %(owner)s and state = 'open'""",
        id=attempt.attempt_id, now=session.now, error=error, owner=attempt.owner,
    )  # fmt: skip
    if not closed:
        return None
    answers = {outcome.key: outcome for outcome in outcomes}
    told = {owner: _told(row, answers.get(row.key, Unsent(row.key))) for owner, row in attempt.rows.items()}
    with_case = _write_outcomes(session, attempt, told)
    written = [owner for owner, t in told.items() if t.outcome == "written"]
    corrected = [owner for owner in with_case if told[owner].outcome == "written"]
    close_corrected(session, corrected, since=attempt.opened_at, by={"attempt_id": attempt.attempt_id})
    rows = attempt.rows
    belief.move(session, [belief.Move(owner, rows[owner].target - rows[owner].expected) for owner in written])
    _settle(session, channel_id, attempt, written)
    counts = {
        name: sum(t.outcome == name for t in told.values())
        for name in ("written", "conflict", "rejected", "unknown", "unsent")
    }
    return Recorded(*counts.values())


def prune_attempts(session: Session) -> int:
    """Drop attempts that are old, with their rows, some at a time; how many. Cases keep what they were about."""
    old = session.rows(_OLD, before=session.now - KEEP, limit=PRUNED_MAX)
    ids = [row.attempt_id for row in old]
    for table in ("push_row", "push_attempt") if ids else ():
        session.run(f"delete from {table} where merchant_id = %(merchant_id)s and attempt_id = any(%(ids)s)", ids=ids)  # noqa: S608
    return len(ids)


@dataclass(frozen=True, slots=True)
class _Told:
    outcome: str
    quantity: int | None
    detail: str
    look: bool


def _told(row: StockWrite, outcome: WriteOutcome) -> _Told:
    match outcome:
        case Written(_, quantity):
            # Another number than expected: an order came between and is read now.
            return _Told("written", quantity, "", quantity is not None and quantity != row.target)
        case Conflict(_, quantity):
            return _Told("conflict", quantity, "", True)
        case Rejected(_, reason, detail, permanent):
            return _Told("rejected" if permanent else "unsent", None, f"{reason}: {detail}", False)
        case Unknown(_, reason):
            return _Told("unknown", None, reason, True)
        case Unsent():
            return _Told("unsent", None, "", False)


def _write_outcomes(session: Session, attempt: Attempt, told: Mapping[int, _Told]) -> list[int]:
    """Store the outcomes; returns the owners that have an open case of drift."""
    shared = {
        "owners": list(told),
        "outcomes": [t.outcome for t in told.values()],
        "quantities": [t.quantity for t in told.values()],
        "details": [t.detail for t in told.values()],
    }
    session.run(_OUTCOMES, attempt=attempt.attempt_id, **shared)
    looks = [t.look for t in told.values()]
    rows = session.rows(_OWNERS, attempt=attempt.attempt_id, now=session.now, look=looks, **shared)
    return [row.owner_id for row in rows if row.case_id is not None]


def _settle(session: Session, channel_id: int, attempt: Attempt, owners: Sequence[int]) -> None:
    ids = session.value(
        """select coalesce(array_agg(d), '{}') from push_row p, unnest(p.due_ids) d
           where p.merchant_id = %(merchant_id)s and p.attempt_id = %(attempt)s and p.owner_id = any(%(owners)s)""",
        attempt=attempt.attempt_id, owners=list(owners),
    )  # fmt: skip
    settle_due(session, channel_id, ids)
