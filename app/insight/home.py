"""What needs attention, in one look: how each channel stands, what just moved, what waits for a person. Only reads.

A channel's health is the list of its broken links, each a slug of `words.HEALTH`; an empty list never happens.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.core.db import Row, Session
from app.insight.items import available_by_sku
from app.insight.movements import MovementRow, list_recent

LATE = timedelta(minutes=5)  # numbers due longer than this are late
OVERDUE = timedelta(minutes=2)  # a poll that nobody took up for so long: no worker is running
FAILURES_BAD = 3  # failures in a row before trouble is called so, unless the channel said no for good
DUE_COUNTED_MAX = 10_000
GROUPED_MAX = 20_000
GROUPS_MAX = 50
CASES_MAX = 50
# What trying again does not cure.
PERMANENT = frozenset(
    {
        "unauthorized", "token_refused", "reconnect_needed", "app_refused", "app_not_installed", "no_app",
        "missing_credentials", "keys_unreadable", "forbidden", "access_denied", "no_permission", "keys_not_accepted",
        "keys_refused", "wrong_secret", "wrong_signature", "read_only_key", "clock_differs", "plain_permalinks",
        "blocked_by_firewall", "shop_frozen", "shop_locked", "shop_inactive", "not_found", "no_such_route",
        "redirected", "bad_certificate", "bad_address", "certificate_expired", "certificate_not_yet_valid",
        "certificate_self_signed", "certificate_incomplete", "certificate_of_another", "no_encryption",
        "address_not_allowed", "no_connector",
    }
)  # fmt: skip
_FAILING = {
    "orders": "reading_orders_fails",
    "sweep": "sweeping_orders_fails",
    "stock": "reading_stock_fails",
    "known": "checking_orders_fails",
    "webhooks": "checking_webhooks_fails",
    "products": "reading_products_fails",
    "shop": "asking_the_shop_fails",
    "import": "importing_fails",
    "push": "writing_fails",
    "look": "looking_fails",
}

_CHANNELS = f"""
select c.channel_id, c.name, c.platform, c.state, c.activating_since, w.last_push_at, d.due, d.due_since,
       coalesce(r.refused, 0) as refused, r.refused_at, c.approved_at is not null as approved
from channel c
left join lateral (
    select max(a.closed_at) as last_push_at from (
        select closed_at from push_attempt a where a.merchant_id = c.merchant_id and a.channel_id = c.channel_id
        order by a.attempt_id desc limit 5) a) w on true
left join lateral (
    select count(distinct l.owner_id) as due, min(l.marked_at) as due_since from (
        select owner_id, marked_at from due_listing l where l.merchant_id = c.merchant_id
        and l.channel_id = c.channel_id order by l.due_id limit {DUE_COUNTED_MAX}) l) d on true
left join lateral (
    select sum(f.count)::bigint as refused, max(f.last_at) as refused_at from delivery_refusal f
    where f.merchant_id = c.merchant_id and f.channel_id = c.channel_id and f.reason <> 'duplicate'
      and f.last_at > %(now)s - interval '1 day') r on true
where c.merchant_id = %(merchant_id)s order by c.channel_id
"""  # noqa: S608  constants only
_POLLS = """
select channel_id, kind, due_at, deadline, completed_at, failures, last_error from channel_poll
where merchant_id = %(merchant_id)s order by channel_id, kind
"""
_PARKED = f"""
select c.channel_id, c.name as channel, i.reason, i.resource, count(*) as rows, min(i.received_at) as since,
       (array_agg(i.detail order by i.inbox_id desc))[1] as detail
from (select * from inbox where merchant_id = %(merchant_id)s and state = 'parked' limit {GROUPED_MAX}) i
join channel c on c.merchant_id = i.merchant_id and c.channel_id = i.channel_id
group by c.channel_id, c.name, i.reason, i.resource order by rows desc, c.name, i.reason, i.resource limit {GROUPS_MAX}
"""  # noqa: S608  constants only
_CASES = f"""
select f.case_id, f.kind, c.name as channel, f.subject, f.detail, f.opened_at, i.sku
from case_file f
left join channel c on c.merchant_id = f.merchant_id and c.channel_id = f.channel_id
left join stock_owner o on o.merchant_id = f.merchant_id and o.owner_id = (f.evidence ->> 'owner_id')::bigint
left join item i on i.merchant_id = o.merchant_id and i.item_id = o.item_id
where f.merchant_id = %(merchant_id)s and f.state = 'open' order by f.case_id desc limit {CASES_MAX}
"""  # noqa: S608  constants only


@dataclass(frozen=True, slots=True)
class Link:
    """One thing to say about a channel. `level`: good, quiet, warn or bad. `failure` is what the channel said (of
    `words.FAILURES`), `count` how often, `since` when it began or was last seen."""

    reason: str
    level: str
    failure: str = ""
    count: int = 0
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class ChannelView:
    """A channel as the home page shows it. `due`: numbers that may have to change (counted up to a bound)."""

    channel_id: int
    name: str
    platform: str
    state: str
    last_read_at: datetime | None
    last_push_at: datetime | None
    due: int
    due_since: datetime | None
    health: tuple[Link, ...]
    approved: bool = True  # that numbers are written to it at all


@dataclass(frozen=True, slots=True)
class ParkedGroup:
    """Rows of the inbox that wait for a person, alike in channel, reason and kind of thing."""

    channel_id: int
    channel: str
    reason: str
    resource: str
    rows: int
    since: datetime
    detail: str | None


@dataclass(frozen=True, slots=True)
class CaseRow:
    """An open case; `sku` where it is about one item's number."""

    case_id: int
    kind: str
    channel: str | None
    subject: str
    detail: str
    opened_at: datetime
    sku: str | None


@dataclass(frozen=True, slots=True)
class Home:
    """Everything the home page says. `available`: what is left now of the items that just moved, by SKU."""

    channels: Sequence[ChannelView]
    movements: Sequence[MovementRow]
    available: Mapping[str, int]
    parked: Sequence[ParkedGroup]
    cases: Sequence[CaseRow]


def read_home(session: Session) -> Home:
    """The home page's data in a constant number of statements."""
    parked = [ParkedGroup(*row) for row in session.rows(_PARKED)]
    cases = [CaseRow(*row) for row in session.rows(_CASES)]
    moved = list_recent(session)
    available = available_by_sku(session, {row.sku for row in moved})
    return Home(list_channel_views(session), moved, available, parked, cases)


def list_channel_views(session: Session) -> Sequence[ChannelView]:
    """Every channel with its lag and health, oldest first."""
    polls: defaultdict[int, dict[str, Row]] = defaultdict(dict)
    for poll in session.rows(_POLLS):
        polls[poll.channel_id][poll.kind] = poll
    return [_view(row, polls[row.channel_id], session.now) for row in session.rows(_CHANNELS, now=session.now)]


def _view(row: Row, polls: Mapping[str, Row], now: datetime) -> ChannelView:
    orders = polls.get("orders")
    health = tuple(_links(row, polls, now)) or (Link("nothing_wrong", "good"),)
    return ChannelView(
        row.channel_id, row.name, row.platform, row.state, orders.completed_at if orders else None, row.last_push_at,
        row.due, row.due_since, health, row.approved,
    )  # fmt: skip


def _links(row: Row, polls: Mapping[str, Row], now: datetime) -> Iterator[Link]:
    """What is broken or remarkable about a channel, most important first."""
    if row.state in ("paused", "disconnected"):
        yield Link(row.state, "quiet")
        return
    if row.state == "shadow":
        yield Link("activating" if row.activating_since else "shadow", "quiet", since=row.activating_since)
    for kind, reason in _FAILING.items():
        poll = polls.get(kind)
        if poll is not None and poll.failures:
            bad = poll.failures >= FAILURES_BAD or poll.last_error in PERMANENT
            yield Link(reason, "bad" if bad else "warn", poll.last_error or "", poll.failures)
    yield from _time_links(row, polls.get("orders"), now)
    if row.refused:
        yield Link("webhooks_refused", "bad", count=row.refused, since=row.refused_at)


def _time_links(row: Row, orders: Row | None, now: datetime) -> Iterator[Link]:
    if orders is not None and orders.due_at < now - OVERDUE and (orders.deadline is None or orders.deadline < now):
        yield Link("clock_not_running", "bad", since=orders.due_at)
    elif orders is not None and orders.completed_at is None and not orders.failures:
        yield Link("never_read", "quiet")
    if row.state == "active" and row.due_since is not None and row.due_since < now - LATE:
        yield Link("writing_is_late", "warn", count=row.due, since=row.due_since)
