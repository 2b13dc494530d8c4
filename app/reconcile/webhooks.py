"""Webhook supervision: is each channel still told to ring, does it, and putting that right.

A subscription can be gone, switched off by the shop, deliver to an old address, or be in order and silent all the same:
then polls find orders of which no delivery ever told. Each fault is a case with its evidence. A repair is tried a few
times a day, not for ever, and touches only subscriptions that are ours; the case closes when a delivery has come again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import orjson

from app.core.db import Row, Session
from app.core.runtime import Runtime
from app.inbox.polls import Claim, claim_poll, end_poll, fail_poll
from app.listings.cases import open_cases
from app.listings.channels import Channel, get_channel, shop_of
from app.listings.connect import is_subscribed_by_app, subscribe
from app.listings.shop_clock import read_skew
from connectors.base import Subscription
from connectors.errors import ChannelError

SILENT_AFTER = timedelta(minutes=15)  # WooCommerce delivers about a minute late, Shopify tries again for hours
SILENT_ORDERS = 2  # a single delivery may be lost
LOOK_BACK = timedelta(days=1)
PAUSES = (timedelta(0), timedelta(minutes=10), timedelta(hours=1), timedelta(hours=6))  # before each repair of a day
NAMED_MAX = 30  # topics and orders listed as evidence

GONE, OFF, MOVED, UNNEEDED, SILENT = (
    "webhook_gone", "webhook_disabled", "webhook_elsewhere", "webhook_unneeded", "webhook_silent",
)  # fmt: skip
KINDS = (GONE, OFF, MOVED, UNNEEDED, SILENT)
_CURABLE = {GONE, OFF, MOVED, SILENT}

# Orders that a poll was the first to tell of although a delivery should have come by now, since one last did. An order
# that changed long before it was read changed while nobody was here to hear.
_HEARD = """
with heard as materialized (
    select max(received_at) filter (where resource = 'order') as order_at, max(received_at) as any_at from inbox
    where merchant_id = %(merchant_id)s and channel_id = %(channel)s and origin = 'webhook'
      and received_on >= (%(since)s at time zone 'UTC')::date
)
select h.order_at, h.any_at, count(o.order_id) as missed,
       (array_agg(o.order_key order by i.inbox_id))[1:%(named)s] as keys
from heard h
left join inbox i on i.merchant_id = %(merchant_id)s and i.channel_id = %(channel)s and i.kind = 'document'
     and i.origin = 'read' and i.topic = 'read' and i.body is not null and i.reason is null
     and i.received_on >= (%(since)s at time zone 'UTC')::date
     and i.received_at > greatest(h.order_at, %(since)s) and i.received_at <= %(until)s
left join sales_order o on o.merchant_id = %(merchant_id)s and o.channel_id = %(channel)s
     and o.order_key = i.resource_key and o.version > i.received_at + %(skew)s - %(lag)s
group by h.order_at, h.any_at
"""
_RECENT = """
select case_id, kind, evidence, opened_at, state from case_file
where merchant_id = %(merchant_id)s and channel_id = %(channel)s and kind = any(%(kinds)s)
  and (state = 'open' or opened_at > %(since)s)
"""
_NOTE = """
update case_file set evidence = evidence || %(more)s::jsonb
where merchant_id = %(merchant_id)s and case_id = any(%(ids)s)
"""
_CLOSE = """
update case_file set state = 'corrected', closed_at = %(now)s, evidence = evidence || %(more)s::jsonb
where merchant_id = %(merchant_id)s and case_id = any(%(ids)s) and state = 'open'
"""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a channel's webhooks; `topics` or orders that show it."""

    kind: str
    detail: str
    named: Sequence[str]


@dataclass(frozen=True, slots=True)
class Supervised:
    """What one call found and did. `checked` False: it was not due."""

    checked: bool = False
    faults: Sequence[str] = ()
    repaired: bool = False
    error: str = ""


def supervise(runtime: Runtime, merchant_id: int, channel_id: int) -> Supervised:
    """Check a channel's webhooks if that is due and nobody else is at it; open, repair and close."""
    now = runtime.clock()
    with runtime.begin(merchant_id, now) as session:
        claimed = claim_poll(runtime, session, channel_id, "webhooks")
        if claimed is None:
            return Supervised()
        channel = get_channel(session, channel_id)
        shop = shop_of(runtime, merchant_id, channel)
    url, connector = wanted_address(runtime, channel), runtime.connectors[channel.platform]
    faults: list[Fault] = []
    try:
        if url and not is_subscribed_by_app(channel):
            listed = connector.read_webhooks(runtime.open_http(), shop)
            faults = find_faults(listed, connector.topics, url, is_ours=connector.is_our_webhook)
        repaired = _act(runtime, merchant_id, channel, url, faults)
    except ChannelError as error:
        fail_poll(runtime, Claim(merchant_id, channel_id, "webhooks", claimed.attempt), error)
        return Supervised(True, [fault.kind for fault in faults], error=error.reason)
    every_s = runtime.settings.sync.webhook_interval_s
    end_poll(runtime, Claim(merchant_id, channel_id, "webhooks", claimed.attempt), through=now, every_s=every_s)
    return Supervised(True, [fault.kind for fault in faults], repaired)


def find_faults(
    listed: Sequence[Subscription], topics: Sequence[str], url: str, *, is_ours: Callable[[Subscription, str], bool]
) -> list[Fault]:
    """What the shop's list of subscriptions lacks (pure). Other people's are none of our business."""
    ours = [subscription for subscription in listed if is_ours(subscription, url)]
    here = {subscription.topic for subscription in ours if subscription.url == url}
    awake = {subscription.topic for subscription in ours if subscription.url == url and subscription.status == "active"}
    elsewhere = {subscription.topic for subscription in ours if subscription.url != url} - here
    found = {
        GONE: [topic for topic in topics if topic not in here | elsewhere],
        MOVED: [topic for topic in topics if topic in elsewhere],
        OFF: [topic for topic in topics if topic in here - awake],
        UNNEEDED: sorted(here - set(topics)),
    }
    said = {
        GONE: "{n} of {all} webhooks are not subscribed any more",
        MOVED: "{n} of {all} webhooks deliver to another address",
        OFF: "{n} of {all} webhooks are switched off, which shops do when deliveries fail",
        UNNEEDED: "{n} webhooks come that nobody here listens to",
    }
    return [
        Fault(kind, said[kind].format(n=len(named), all=len(topics)), named) for kind, named in found.items() if named
    ]


def _act(runtime: Runtime, merchant_id: int, channel: Channel, url: str, faults: list[Fault]) -> bool:
    """Cases for the faults (`faults` gains the silence), at most one repair; True when one was made. Raises
    ChannelError."""
    now = runtime.clock()
    with runtime.begin(merchant_id, now) as session:
        heard = _heard(runtime, session, channel.channel_id)
        faults += _silence(heard)
        _open(session, channel.channel_id, faults)
        recent = _recent(session, channel.channel_id)
        _close(session, recent, {fault.kind for fault in faults}, heard.any_at)
        curable = [fault.kind for fault in faults if fault.kind in _CURABLE and url]
        if not curable or not _may_repair(recent, now):
            return False
        _note_repair(session, recent)
    subscribe(runtime, merchant_id, channel.channel_id, url, renew=SILENT in curable)
    return True


def _heard(runtime: Runtime, session: Session, channel_id: int) -> Row:
    lag = timedelta(seconds=2 * runtime.settings.sync.poll_interval_s) + SILENT_AFTER
    row = session.row(
        _HEARD, channel=channel_id, since=session.now - LOOK_BACK, until=session.now - SILENT_AFTER, lag=lag,
        named=NAMED_MAX, skew=read_skew(session, channel_id),
    )  # fmt: skip
    assert row is not None  # noqa: S101  an aggregate has always a row
    return row


def _silence(heard: Row) -> list[Fault]:
    if heard.missed < SILENT_ORDERS:
        return []
    since = f"since {heard.order_at:%Y-%m-%d %H:%M} UTC" if heard.order_at else "in the last day"
    return [Fault(SILENT, f"{heard.missed} orders changed {since} and no webhook told of them", list(heard.keys))]


def _open(session: Session, channel_id: int, faults: Sequence[Fault]) -> None:
    cases = [
        (fault.kind, "webhooks", fault.detail, {"named": list(fault.named)[:NAMED_MAX], "repairs": 0})
        for fault in faults
    ]
    open_cases(session, channel_id, cases)


def _recent(session: Session, channel_id: int) -> Sequence[Row]:
    return session.rows(_RECENT, channel=channel_id, kinds=list(KINDS), since=session.now - LOOK_BACK)


def _close(session: Session, recent: Sequence[Row], present: set[str], heard_at: datetime | None) -> None:
    """What is not found any more is over: for subscriptions that were put right, once a delivery has come since."""
    over = []
    for case in recent:
        if case.state != "open" or case.kind in present:
            continue
        since = _repaired_at(case) or case.opened_at
        if case.kind == UNNEEDED or (heard_at is not None and heard_at > since):
            over.append(case.case_id)
    if over:
        session.run(_CLOSE, ids=over, now=session.now, more=_json({"delivered_at": heard_at}))


def _may_repair(recent: Sequence[Row], now: datetime) -> bool:
    """So many a day, each after a longer pause; cases that are closed already count, or a shop that switches us off
    every hour would be written to every hour."""
    repairs, last = _repairs(recent, now)
    return repairs < len(PAUSES) and (last is None or now >= last + PAUSES[repairs])


def _repairs(recent: Sequence[Row], now: datetime) -> tuple[int, datetime | None]:
    """How often it was tried without a day between, and when last."""
    stamps = [at for case in recent if (at := _repaired_at(case)) is not None]
    last = max(stamps, default=None)
    if last is None or now - last > LOOK_BACK:
        return 0, None
    return max(case.evidence["repairs"] for case in recent), last


def _note_repair(session: Session, recent: Sequence[Row]) -> None:
    """Noted before it is tried: one that fails counts too."""
    repairs, _ = _repairs(recent, session.now)
    ids = [case.case_id for case in recent if case.state == "open"]
    session.run(_NOTE, ids=ids, more=_json({"repairs": repairs + 1, "repaired_at": session.now}))


def _repaired_at(case: Row) -> datetime | None:
    at = case.evidence.get("repaired_at")
    return datetime.fromisoformat(at) if at else None


def _json(value: object) -> str:
    return orjson.dumps(value).decode()


def wanted_address(runtime: Runtime, channel: Channel) -> str:
    """Where the channel should deliver: as it was told at first, at the address that this server has now."""
    told, public = channel.facts.get("webhook_url", ""), runtime.settings.server.public_url
    return f"{public}{urlsplit(told).path}" if told and public else told
