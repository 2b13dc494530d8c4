"""When nothing moves: which link of each channel is broken, the most basic first, and the one thing to do about it.

Only reads, a constant number of statements whatever there is; what a channel said to the worker is what counts, no
channel is asked anything. Slugs and words are in `remedies`.
"""

from __future__ import annotations

import re
import shlex
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.core.db import Row, Session
from app.insight import words
from app.insight.home import FAILURES_BAD, LATE, OVERDUE, PERMANENT
from app.insight.remedies import LINKS, NOTES, OF_FAILURE, WEBHOOKS_CURED_BY_HAND, WEBHOOKS_REPAIRED
from app.insight.requirements import Broken, Requirement, judge, links_of, told_of
from app.listings.lookup import get_channel_id
from app.publishing.why_text import WAITING

ATTEMPT_LATE = timedelta(minutes=2)  # beyond its deadline; one that is only late is taken over within a second
DUE_LOOKED_AT_MAX = 10_000
PARKED_LOOKED_AT_MAX = 20_000
_OF_STATE = {
    "untracked": "item_untracked", "gone": "listing_gone", "refused": "number_refused", "not_stocked": "not_stocked",
}  # fmt: skip
_UNSHOWN = frozenset(
    {
        "clock_stuck", "import_failed", "location_not_mapped", "sku_not_mapped", "item_untracked", "listing_gone",
        "number_refused", "attempt_open", "plan_stuck", "not_encrypted", "stock_not_managed", "cannot_post",
        "no_public_url",
    }
)  # fmt: skip
_NAME = re.compile("CHANNEL|SKU|CASE|KEY")
_ORDER = {link: place for place, link in enumerate(LINKS)}

_CHANNELS = """
select channel_id, name, platform, state, state_at, state_by, activating_since, is_worker_present() as worker,
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
                when exists (select from sales_order s join order_position p using (merchant_id, order_id)
                             where s.merchant_id = o.merchant_id and s.channel_id = o.channel_id and not s.located
                               and not s.frozen and p.item_id = o.item_id) then 'unlocated_order'
                else '' end as reason) w
group by d.channel_id, w.reason order by d.channel_id, count(*) desc
"""  # noqa: S608  a constant only
_ATTEMPTS = """
select channel_id, count(*) filter (where deadline < %(late)s) as late, min(opened_at) as since, min(error) as error
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


@dataclass(frozen=True, slots=True)
class Finding:
    """A broken link, or a note about one. `link` is a slug of `remedies.LINKS`; `detail` what it is about, `do` the one
    thing to do, `count` of what `detail` names, `since` when it began."""

    link: str
    broken: bool
    what: str
    detail: str
    do: str
    count: int = 1
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """A channel's findings, the most basic cause first; what follows one that is broken is often its consequence.
    `requirements`: how each stands; `checked_at`: when the shop was last asked, None: never."""

    channel_id: int
    channel: str
    platform: str
    state: str
    findings: tuple[Finding, ...]
    requirements: tuple[Requirement, ...] = ()
    checked_at: datetime | None = None

    @property
    def broken(self) -> bool:
        """Whether anything is."""
        return any(finding.broken for finding in self.findings)


@dataclass(frozen=True, slots=True)
class _Said:
    """A finding before it has words. `names`: what CHANNEL, SKU, CASE and KEY stand for in the remedy; `do`: instead of
    the link's own."""

    link: str
    detail: str = ""
    count: int = 1
    since: datetime | None = None
    names: Mapping[str, str] | None = None
    do: str = ""


_Rows = Mapping[str, Mapping[int, Sequence[Row]]]


def diagnose(session: Session, channel: str | None = None) -> Sequence[Diagnosis]:
    """Every channel, oldest first, or the named one; raises NotFound."""
    channel_id = None if channel is None else get_channel_id(session, channel)
    channels = session.rows(_CHANNELS, channel=channel_id)
    rows = _read(session, [row.channel_id for row in channels])
    return [_diagnosis(row, rows, session.now) for row in channels]


def list_unshown(session: Session) -> Sequence[tuple[str, Finding]]:
    """(channel, broken link) of those that the home page does not tell anyway by a channel's health, its cases or its
    parked rows."""
    found = [(one.channel, finding) for one in diagnose(session) for finding in one.findings]
    return [(channel, finding) for channel, finding in found if finding.link in _UNSHOWN]


def _read(session: Session, ids: list[int]) -> _Rows:
    now = session.now
    read = {
        "polls": session.rows(_POLLS, channels=ids),
        "imports": session.rows(_IMPORTS, channels=ids),
        "unmapped": session.rows(_UNMAPPED, channels=ids),
        "unmanaged": session.rows(_UNMANAGED, channels=ids),
        "stuck": session.rows(_STUCK, channels=ids, late=now - LATE),
        "attempts": session.rows(_ATTEMPTS, channels=ids, late=now - ATTEMPT_LATE),
        "parked": session.rows(_PARKED, channels=ids),
        "cases": session.rows(_CASES, channels=ids),
        "refused": session.rows(_REFUSED, channels=ids, since=now - timedelta(days=1)),
    }
    grouped: dict[str, defaultdict[int, list[Row]]] = {name: defaultdict(list) for name in read}
    for name, rows in read.items():
        for row in rows:
            grouped[name][row.channel_id].append(row)
    return grouped


def _diagnosis(channel: Row, rows: _Rows, now: datetime) -> Diagnosis:
    of = {name: some.get(channel.channel_id, ()) for name, some in rows.items()}
    said = [*_standing(channel)]
    running = channel.state in ("active", "shadow")
    if running:
        said += [
            *_clock(channel, of["polls"], now), *_calls(of["polls"]), *_imports(of["imports"]),
            *_webhooks(of["cases"], of["refused"]), *_stuck(channel, of["stuck"], of["attempts"], of["polls"]),
        ]  # fmt: skip
    if channel.state != "disconnected":
        said += [*_mapping(channel, of), *_cases(of["cases"]), *_parked(of["parked"])]
        said += [*_checked(channel, of["polls"], {one.link for one in said})]
    findings = [_finding(channel.name, one) for one in said]
    findings.sort(key=lambda finding: (not finding.broken, _ORDER[finding.link]))
    broken = [Broken(finding.link, finding.detail, finding.do) for finding in findings if finding.broken]
    told = told_of(channel.requirements)
    return Diagnosis(
        channel.channel_id, channel.name, channel.platform, channel.state, tuple(findings),
        judge(broken, told, running=running), channel.checked_at,
    )  # fmt: skip


def _checked(channel: Row, polls: Sequence[Row], known: set[str]) -> Iterator[_Said]:
    """What the last connection check found and nothing else tells."""
    done = [poll.completed_at for poll in polls if poll.kind == "orders" and poll.completed_at]
    read = any(at > channel.checked_at for at in done) if channel.checked_at else False
    for _, link, reason in links_of(told_of(channel.requirements), read_since=read):
        if link not in known:
            known.add(link)
            yield _Said(link, words.FAILURES.get(reason, ""), since=channel.checked_at)


def _finding(channel: str, said: _Said) -> Finding:
    what, do = LINKS[said.link]
    names = {"CHANNEL": channel, **(said.names or {})}
    do = said.do or _NAME.sub(lambda name: shlex.quote(names.get(name[0], name[0])), do)
    return Finding(said.link, said.link not in NOTES, what, said.detail, do, said.count, said.since)


def _standing(channel: Row) -> Iterator[_Said]:
    if channel.state in ("paused", "disconnected"):
        by = f"by {channel.state_by}" if channel.state_by else "nobody noted by whom"
        yield _Said(f"channel_{channel.state}", by, since=channel.state_at)
    elif channel.activating_since is not None:
        yield _Said("activating", since=channel.activating_since)
    elif channel.state == "shadow":
        yield _Said("shadow", since=channel.state_at)


def _clock(channel: Row, polls: Sequence[Row], now: datetime) -> Iterator[_Said]:
    overdue = [
        poll.due_at
        for poll in polls
        if poll.kind != "push" and poll.due_at < now - OVERDUE and (poll.deadline is None or poll.deadline < now)
    ]
    if not channel.worker:
        yield _Said("clock_not_running", since=min(overdue, default=None))
    elif overdue:
        yield _Said("clock_stuck", f"{len(overdue)} readings are overdue", len(overdue), min(overdue))


def _calls(polls: Sequence[Row]) -> Iterator[_Said]:
    """Failing calls by what is broken; a single failure that trying again may cure is none yet."""
    failing: defaultdict[str, list[Row]] = defaultdict(list)
    for poll in polls:
        if poll.failures >= FAILURES_BAD or (poll.failures and poll.last_error in PERMANENT):
            error = poll.last_error or ""
            link = "channel_unreachable" if error.startswith("http_5") else OF_FAILURE.get(error, "calls_fail")
            failing[link].append(poll)
    for link, some in failing.items():
        error = some[0].last_error or ""
        kinds = ", ".join(poll.kind for poll in some)
        detail = f"{words.FAILURES.get(error, error)} ({error}; {kinds})"
        yield _Said(link, detail, max(poll.failures for poll in some))


def _imports(imports: Sequence[Row]) -> Iterator[_Said]:
    for job in imports:
        failed = job.state == "failed"
        yield _Said("import_failed" if failed else "importing", f"{job.what}: {job.last_error or job.state}",
                    since=job.requested_at)  # fmt: skip


def _webhooks(cases: Sequence[Row], refused: Sequence[Row]) -> Iterator[_Said]:
    for case in cases:
        if case.kind in LINKS and case.kind.startswith("webhook_"):
            tried = f", made again {case.repairs} times" if case.repairs > 1 else ""
            do = WEBHOOKS_REPAIRED if case.repairs == 1 else WEBHOOKS_CURED_BY_HAND
            yield _Said(case.kind, f"{case.detail}{tried}", since=case.since, do=do)
    for row in refused:
        link = "webhooks_repeated" if row.repeated else "webhooks_refused"
        yield _Said(link, f"{row.count} in the last day", row.count, row.since)


def _stuck(channel: Row, stuck: Sequence[Row], attempts: Sequence[Row], polls: Sequence[Row]) -> Iterator[_Said]:
    for row in attempts:
        if row.late:
            yield _Said("attempt_open", row.error or "no answer came", row.late, row.since)
    if stuck and channel.state == "active":
        first = stuck[0]
        errors = [row.error for row in attempts] + [poll.last_error for poll in polls if poll.kind == "push"]
        error = next((error for error in errors if error), "")
        why = WAITING.get(first.reason, "nothing says why")
        if not first.reason and error:
            why = f"the last write failed: {words.FAILURES.get(error, error)} ({error})"
        count = sum(row.count for row in stuck)
        yield _Said("plan_stuck", f"{count} numbers, {first.count} of them: {why}", count,
                    min(row.since for row in stuck), {"SKU": first.sku or "?"})  # fmt: skip


def _mapping(channel: Row, of: Mapping[str, Sequence[Row]]) -> Iterator[_Said]:
    parked = {row.reason: row for row in of["parked"]}
    place = parked.get("unknown_location")
    if place is not None:
        key = _named_key(place.detail)
        yield _Said("location_not_mapped", f"{place.count} orders wait: {place.detail}", place.count, place.since,
                    {"KEY": key} if key else None)  # fmt: skip
    elif not channel.placed:
        yield _Said("location_not_mapped", "no place of the channel is mapped", names=None)
    waiting = parked.get("unknown_listing")
    orders = "" if waiting is None else f"; {waiting.count} orders wait"
    for row in of["unmapped"]:
        yield _Said("sku_not_mapped", f"{row.count} products, such as {row.name}{orders}", row.count,
                    names={"KEY": row.key})  # fmt: skip
    if waiting is not None and not of["unmapped"]:
        yield _Said("sku_not_mapped", f"{waiting.count} orders wait: {waiting.detail}", waiting.count, waiting.since)
    for row in of["unmanaged"]:
        said = f": {row.reason}" if row.state == "refused" and row.reason else ""
        yield _Said(_OF_STATE[row.state], f"{row.count} numbers, such as that of {row.sku}{said}", row.count,
                    names={"SKU": row.sku, "KEY": row.key or "KEY"})  # fmt: skip


def _named_key(detail: str | None) -> str:
    """The key in "the channel's location KEY is not mapped"."""
    parts = (detail or "").split()
    return parts[parts.index("location") + 1] if "location" in parts[:-1] else ""


def _cases(cases: Sequence[Row]) -> Iterator[_Said]:
    others = 0
    for case in cases:
        if case.asks:
            yield _Said("drift_waits", case.detail, case.count, case.since, {"CASE": str(case.case_id)})
        elif case.kind not in LINKS and case.kind not in ("unmanaged", "write_refused"):
            others += case.count
    if others:
        yield _Said("cases_open", f"{others} cases", others)


def _parked(parked: Sequence[Row]) -> Iterator[_Said]:
    for row in parked:
        if row.reason not in ("unknown_listing", "unknown_location"):
            detail = f"{row.count} documents: {row.detail or row.reason} ({row.reason})"
            do = words.PARKED.get(row.reason, words.PARKED_OTHERWISE)
            yield _Said("orders_parked", detail, row.count, row.since, do=do)
