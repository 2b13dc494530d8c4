"""Cases of drift: numbers that contradict the belief once the channel's orders have been read, with their evidence.

What known facts explain is noted as explained; the rest is decided by the channel's policy or waits for a person. The
belief follows what was seen in any case (`app.publishing.look`). One case is open per owner: what comes on top is added
to its difference, and when that is nothing the case has explained itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import orjson

from app.core.db import Row, Session
from app.listings.unplaced import UNPLACED
from app.publishing import causes
from app.publishing.causes import EXPLAINING, SAYING, Facts, cause_of
from app.publishing.due import read_plans
from app.publishing.plan import Plan
from connectors.base import WriteMode

AROUND = timedelta(seconds=30)  # a write without an answer may be applied that much later; clocks are known to seconds
# A number may be as believed by chance, while a sale that it replaced and one that was not read yet make up for each
# other: for so long a write that replaced whatever was there is not settled by that. What a channel adds itself is
# settled by a number as believed, at once, since few sales meet it; unless one was placed before that and read after,
# and then for as many units as that one.
OVERWRITES = timedelta(hours=1)
AT_ONCE = timedelta(0)
OVERWRITTEN_LINES_MAX = 1_000  # latest lines of an item: what was sold from such a write until its number is looked at
NOTED_EVERY = timedelta(hours=1)  # an explanation is noted once in that time for an owner
UNREAD_MAX = 1_000  # latest orders that nobody could understand
DELIVERIES_MAX = 1_000  # latest rows of the inbox asked whether a webhook told of an order

# Orders that could not be understood, or that the ledger refused, and that no later document has told better; each
# thing that they said since it was first said. Those without a place.
_FACTS = f"""
with parked as (
    select i.resource_key, i.received_at, md5(i.body) as said from inbox i
    where i.merchant_id = %(merchant_id)s and i.channel_id = %(channel)s and i.state = 'parked'
      and i.kind = 'document' and i.resource = 'order' and i.reason not in ('unknown_listing', 'unknown_location')
      and not exists (select from sales_order s where s.merchant_id = i.merchant_id and s.channel_id = i.channel_id
                      and s.order_key = i.resource_key and s.version is not null and s.observed_at >= i.observed_at)
    order by i.inbox_id desc limit {UNREAD_MAX}
), unread as materialized (
    select resource_key, min(received_at) as received_at from parked group by resource_key, said
)
select o.owner_id, i.kind = 'kit' as kit, k.case_id, k.difference, k.decision,
    (select count(distinct l.item_id) from listing l where l.merchant_id = o.merchant_id
     and l.channel_id = o.channel_id and l.stock_key = o.stock_key) as items,
    (select coalesce(jsonb_agg(to_jsonb(w)), '[]') from (
        select p.attempt_id, a.key, p.expected, p.target, a.closed_at from push_row p
        join push_attempt a using (merchant_id, attempt_id)
        where p.merchant_id = o.merchant_id and p.owner_id = o.owner_id and p.outcome = 'written'
          and a.closed_at > coalesce(o.confirmed_at, '-infinity') order by p.attempt_id desc limit 20) w) as writes,
    (select coalesce(jsonb_agg(to_jsonb(s)), '[]') from (
        select s.order_id, s.order_key, s.number, s.status, s.observed_at,
               (select sum(p.taken) from order_position p where p.merchant_id = s.merchant_id
                and p.order_id = s.order_id and p.owner_id = o.owner_id) as taken
        from (select distinct l.order_id from order_line l
              where l.merchant_id = o.merchant_id and l.item_id = o.item_id order by 1 desc limit 20) l
        join sales_order s on s.merchant_id = o.merchant_id and s.order_id = l.order_id
        where s.channel_id = o.channel_id
          and greatest(s.recorded_at, s.observed_at) > coalesce(k.opened_at, o.confirmed_at, '-infinity')) s) as orders,
    (select coalesce(sum(m.quantity), 0)::bigint from (
        select * from movement m where m.merchant_id = o.merchant_id and m.item_id = o.item_id
        order by m.movement_id desc limit 100) m
     join lateral (select regexp_replace(m.source_key, '/[^/]*$', '') as line) n on true
     where m.source = 'order' and m.from_state = 'available' and m.to_state in ('customer', 'committed')
       and m.recorded_at > coalesce(o.confirmed_at, '-infinity')
       and exists (select from sales_order s where s.merchant_id = m.merchant_id and s.channel_id = o.channel_id
                   and s.order_id = split_part(n.line, '/', 1)::bigint)
       and exists (select from movement e where e.merchant_id = m.merchant_id and e.source = 'order'
                   and e.source_key >= n.line || '/' and e.source_key < n.line || '0'
                   and e.movement_id < m.movement_id and e.to_state = 'available')) as undone,
    (select greatest(coalesce(sum(l.quantity) filter (where w.surely), 0),
                     least(coalesce(sum(l.quantity), 0), d.chance))::bigint
     from (
        select * from order_line l where l.merchant_id = o.merchant_id and l.item_id = o.item_id
          and exists (select from push_row p join push_attempt a using (merchant_id, attempt_id)
                      where p.merchant_id = o.merchant_id and p.owner_id = o.owner_id and a.blind)
        order by l.order_id desc limit {OVERWRITTEN_LINES_MAX}) l
     join sales_order s on s.merchant_id = l.merchant_id and s.order_id = l.order_id and s.channel_id = o.channel_id
     join channel c on c.merchant_id = s.merchant_id and c.channel_id = s.channel_id
     join lateral (select bool_or(t.surely) as surely from (
         select a.opened_at, a.closed_at from push_row p join push_attempt a using (merchant_id, attempt_id)
         where p.merchant_id = o.merchant_id and p.owner_id = o.owner_id and a.blind
         order by p.attempt_id desc limit 20) a
       cross join lateral (select
           a.closed_at > least(%(now)s::timestamptz - %(lately)s::interval, coalesce(o.confirmed_at, '-infinity'))
           or greatest(s.recorded_at, s.observed_at) + %(before)s::interval > coalesce(o.confirmed_at, '-infinity')
           as surely) t
       where a.closed_at + %(around)s::interval > coalesce(o.counted_since, '-infinity')
         and (t.surely or a.closed_at > %(now)s::timestamptz - %(overwrites)s::interval)
         and greatest(s.recorded_at, s.observed_at) + %(before)s::interval >= a.opened_at
         and s.version >= a.opened_at + make_interval(secs => c.clock_skew_s) - %(around)s::interval
         and s.placed_at <= a.closed_at + make_interval(secs => c.clock_skew_s) + %(around)s::interval
       ) w on w.surely is not null) as overwritten,
    array(select u.resource_key from unread u where u.received_at > coalesce(o.confirmed_at, '-infinity')
          union select s.order_key from {UNPLACED} and s.observed_at > coalesce(o.confirmed_at, '-infinity')
          order by 1 limit 20) as unread
from stock_owner o join item i on i.merchant_id = o.merchant_id and i.item_id = o.item_id
cross join lateral (
    select coalesce(sum(l.quantity), 0) as chance from (
        select order_id, quantity from order_line l where l.merchant_id = o.merchant_id and l.item_id = o.item_id
        order by l.order_id desc limit {OVERWRITTEN_LINES_MAX}) l
    join sales_order s on s.merchant_id = o.merchant_id and s.order_id = l.order_id and s.channel_id = o.channel_id
    join channel c on c.merchant_id = s.merchant_id and c.channel_id = s.channel_id
    where greatest(s.recorded_at, s.observed_at) > o.confirmed_at
      and s.placed_at <= o.confirmed_at + make_interval(secs => c.clock_skew_s) + %(around)s::interval) d
left join case_file k on k.merchant_id = o.merchant_id and k.case_id = o.case_id and k.state = 'open'
where o.merchant_id = %(merchant_id)s and o.owner_id = any(%(owners)s)
"""  # noqa: S608  a constant only
_WRITE = """
insert into case_file (merchant_id, case_id, kind, channel_id, subject, detail, evidence, opened_at, owner_id, cause,
    difference, decision, decided_at, decided_by, state, closed_at)
select %(merchant_id)s, nextval('case_seq'), 'drift', %(channel)s, c.subject, c.detail, c.evidence, %(now)s, c.owner_id,
    c.cause, c.difference, c.decision, case when c.decision is not null then %(now)s::timestamptz end,
    case when c.decision is not null then 'policy' end, c.state,
    case when c.state <> 'open' then %(now)s::timestamptz end
from unnest(%(owners)s::bigint[], %(subjects)s::text[], %(details)s::text[], %(evidence)s::jsonb[], %(causes)s::text[],
            %(differences)s::bigint[], %(decisions)s::text[], %(states)s::text[])
     c(owner_id, subject, detail, evidence, cause, difference, decision, state)
on conflict (merchant_id, kind, (coalesce(channel_id, 0)), subject) where state = 'open' do update
set detail = excluded.detail, evidence = excluded.evidence
    || jsonb_build_object('before', case_file.evidence - 'before'), difference = excluded.difference,
    owner_id = excluded.owner_id
returning owner_id, case_id, decision
"""
_EXPLAIN = """
update case_file c set state = 'explained', closed_at = %(now)s, cause = d.cause, detail = d.detail, difference = 0,
    evidence = c.evidence || d.evidence
from unnest(%(ids)s::bigint[], %(causes)s::text[], %(details)s::text[], %(evidence)s::jsonb[])
     d(case_id, cause, detail, evidence)
where c.merchant_id = %(merchant_id)s and c.case_id = d.case_id and c.state = 'open'
"""
# What was noted lately need not be noted again; of the others, whether a webhook told of an order of theirs.
_HEARD = f"""
with told as materialized (
    select resource_key, bool_or(origin = 'webhook') as heard from (
        select resource_key, origin from inbox where merchant_id = %(merchant_id)s and channel_id = %(channel)s
          and received_on >= ((%(now)s)::timestamptz at time zone 'UTC')::date - 1 and resource = 'order'
        order by received_on desc, inbox_id desc limit {DELIVERIES_MAX}) i group by resource_key
)
select o.owner_id, coalesce((
    select bool_and(coalesce(t.heard, false)) from (
        select distinct l.order_id from order_line l
        where l.merchant_id = o.merchant_id and l.item_id = o.item_id order by 1 desc limit 20) l
    join sales_order s on s.merchant_id = o.merchant_id and s.order_id = l.order_id and s.channel_id = o.channel_id
    left join told t on t.resource_key = s.order_key
    where greatest(s.recorded_at, s.observed_at) >= o.observed_at), true) as heard
from stock_owner o
where o.merchant_id = %(merchant_id)s and o.owner_id = any(%(owners)s) and not exists (
    select from case_file c where c.merchant_id = o.merchant_id and c.owner_id = o.owner_id and c.state = 'explained'
    and c.opened_at > %(since)s)
"""  # noqa: S608  a constant only
_UNMANAGED = """
insert into case_file (merchant_id, case_id, kind, channel_id, subject, detail, evidence, opened_at, owner_id, cause)
select %(merchant_id)s, nextval('case_seq'), 'unmanaged', o.channel_id, trim(o.stock_key || ' ' || o.location_key),
       %(detail)s, jsonb_build_object('owner_id', o.owner_id, 'state', o.state, 'believed', o.believed,
                                      'observed_at', o.observed_at), %(now)s, o.owner_id, %(cause)s
from stock_owner o
where o.merchant_id = %(merchant_id)s and o.channel_id = %(channel)s and o.observed_at = %(now)s
  and o.state in ('untracked', 'gone') and o.item_id is not null
  and not exists (select from case_file c where c.merchant_id = o.merchant_id and c.owner_id = o.owner_id
                  and c.kind = 'unmanaged' and c.state = 'dismissed'
                  and c.closed_at > coalesce(greatest(o.believed_at, o.confirmed_at), '-infinity'))
on conflict do nothing
"""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of an owner: the open case it has from now on, whether nothing is written there until that is
    decided, and whether an adjustment is to be posted."""

    case_id: int | None
    held: bool
    adjust: bool = False


@dataclass(frozen=True, slots=True)
class _Finding:
    row: Row
    facts: Row
    cause: str
    decision: str | None
    why_ask: str
    difference: int
    target: int | None


def judge(session: Session, channel_id: int, rows: Sequence[Row], mode: WriteMode) -> dict[int, Verdict]:
    """Open, extend or explain the cases of owners whose number contradicts the belief, by owner id. The owners are
    locked by the caller, before any case."""
    if not rows:
        return {}
    policy = session.value(
        "select drift_policy from channel where merchant_id = %(merchant_id)s and channel_id = %(channel)s",
        channel=channel_id,
    )
    owners = [row.owner_id for row in rows]
    facts = {
        row.owner_id: row
        for row in session.rows(
            _FACTS,
            channel=channel_id,
            owners=owners,
            around=AROUND,
            now=session.now,
            overwrites=OVERWRITES,
            lately=OVERWRITES if mode is WriteMode.ABSOLUTE else AT_ONCE,
            before=AROUND if mode is WriteMode.ABSOLUTE else AT_ONCE,
        )
    }
    plans = read_plans(session, rows)
    findings = [_find(row, facts[row.owner_id], policy, plans.get(row.owner_id)) for row in rows]
    explained = [f for f in findings if f.cause in EXPLAINING]
    _explain(session, channel_id, explained)
    verdicts = {f.row.owner_id: Verdict(None, held=False) for f in explained}
    for row in _write(session, channel_id, [f for f in findings if f.cause not in EXPLAINING]):
        verdicts[row.owner_id] = Verdict(row.case_id, row.decision != "ledger", row.decision == "channel")
    return verdicts


def note_explained(session: Session, channel_id: int, rows: Sequence[Row]) -> None:
    """Note numbers that orders explain which were read after them: an order in flight, or one of which no webhook
    told."""
    if not rows:
        return
    lately = session.now - NOTED_EVERY
    heard = session.rows(
        _HEARD, channel=channel_id, owners=[row.owner_id for row in rows], since=lately, now=session.now
    )
    told = {row.owner_id: row.heard for row in heard}
    notes = [(row, cause_of(Facts(row.observed, row.believed, heard=told[row.owner_id]))) for row in rows
             if row.owner_id in told]  # fmt: skip
    _insert(
        session, channel_id,
        [(row, cause, SAYING[cause], _numbers(row, row.observed), 0, None, "explained") for row, cause in notes],
    )  # fmt: skip


def note_unmanaged(session: Session, channel_id: int) -> None:
    """A case for each mapped number that the channel was just seen not to keep any more."""
    detail = SAYING[causes.UNMANAGED]
    session.run(_UNMANAGED, channel=channel_id, now=session.now, detail=detail, cause=causes.UNMANAGED)


def _find(row: Row, facts: Row, policy: str, plan: Plan | None) -> _Finding:
    known = Facts(
        row.observed, row.believed, tuple(row.unanswered), facts.items, facts.undone,
        facts.difference if facts.case_id is not None else None, bool(facts.orders), overwritten=facts.overwritten,
        unread=len(facts.unread),
    )  # fmt: skip
    cause = cause_of(known)
    decision, why_ask = causes.decide(policy, cause, kit=facts.kit, unclear=bool(row.unanswered))
    return _Finding(row, facts, cause, decision, why_ask, known.difference, None if plan is None else plan.target)


def _explain(session: Session, channel_id: int, findings: Sequence[_Finding]) -> None:
    """An open case is closed as explained; without one the explanation is noted."""
    closing = [f for f in findings if f.facts.case_id is not None]
    if closing:
        session.run(
            _EXPLAIN,
            now=session.now,
            ids=[f.facts.case_id for f in closing],
            causes=[f.cause for f in closing],
            details=[SAYING[f.cause] for f in closing],
            evidence=[_json({"explained_by": f.facts.orders, "explained_at": session.now}) for f in closing],
        )
    noted = [f for f in findings if f.facts.case_id is None]
    _insert(
        session, channel_id,
        [(f.row, f.cause, SAYING[f.cause], _evidence(f), 0, None, "explained") for f in noted],
    )  # fmt: skip


def _write(session: Session, channel_id: int, findings: Sequence[_Finding]) -> Sequence[Row]:
    return _insert(
        session, channel_id,
        [(f.row, f.cause, _detail(f), _evidence(f), f.difference, f.decision, "open") for f in findings],
    )  # fmt: skip


def _insert(session: Session, channel_id: int, cases: Sequence[tuple[Any, ...]]) -> Sequence[Row]:
    if not cases:
        return ()
    rows, found, details, evidence, differences, decisions, states = zip(*cases, strict=True)
    return session.rows(
        _WRITE,
        channel=channel_id,
        now=session.now,
        owners=[row.owner_id for row in rows],
        subjects=[f"{row.stock_key} {row.location_key}".strip() for row in rows],
        details=list(details),
        evidence=[_json(e) for e in evidence],
        causes=list(found),
        differences=list(differences),
        decisions=list(decisions),
        states=list(states),
    )


def _detail(finding: _Finding) -> str:
    row = finding.row
    shown = f"the channel showed {row.observed}, its orders explain {row.observed - finding.difference}"
    if finding.decision is None:
        ask = f" ({finding.why_ask})" if finding.why_ask else ""
        return f"{shown}: a person has to say which is right{ask}"
    return f"{shown}: " + ("ours is written again" if finding.decision == "ledger" else "the ledger is adjusted to it")


def _evidence(finding: _Finding) -> dict[str, Any]:
    return {
        **_numbers(finding.row, finding.row.believed),
        "target": finding.target,
        "writes": finding.facts.writes,
        "orders": finding.facts.orders,
        "orders_unread": list(finding.facts.unread),
        "asked_because": finding.why_ask or None,
    }


def _numbers(row: Row, believed: int) -> dict[str, Any]:
    return {
        "owner_id": row.owner_id, "observed": row.observed, "believed": believed, "observed_at": row.observed_at,
        "passed": list(row.passed), "unanswered": list(row.unanswered),
    }  # fmt: skip


def _json(value: object) -> str:
    return orjson.dumps(value).decode()
