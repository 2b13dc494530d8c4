"""READ: fetch what doorbells and polls ask for, in batches, with no transaction open; documents become rows.

The poll is the truth, the webhook a wake-up. A reading is claimed by a deadline: if its process dies, the next one
takes it over, and an answer that comes after that is fenced off by the attempt's number.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.core.db import Row, Session
from app.core.runtime import Runtime
from app.listings import belief
from app.listings.channels import get_channel, shop_of
from connectors.base import Connector, OrderDocument, Shop, Window
from connectors.errors import ChannelError, Throttled

BACKOFF_S = (1, 2, 5, 15, 60, 300)  # after the first, second … failure in a row
RINGS_MAX = 100  # doorbells answered in one call
WINDOW_MAX = timedelta(days=7)
STAMP = timedelta(seconds=1)  # of a channel's "updated at": others of the same second may lie behind

_CLAIM_POLL = """
update channel_poll set attempt = attempt + 1, owner = %(owner)s, deadline = %(deadline)s, started_at = %(now)s
where merchant_id = %(merchant_id)s and channel_id = %(channel)s and kind = %(kind)s
  and (due_at <= %(now)s or asked_at >= started_at) and (deadline is null or deadline < %(now)s)
returning attempt, read_through, resume_from
"""
_END_POLL = """
update channel_poll set deadline = null, owner = null, failures = 0, last_error = null, read_through = %(through)s,
                        resume_from = null, completed_at = started_at, due_at = %(due)s
where merchant_id = %(merchant_id)s and channel_id = %(channel)s and kind = %(kind)s and attempt = %(attempt)s
"""
_FAIL_POLL = """
update channel_poll set deadline = null, owner = null, failures = failures + 1, last_error = %(error)s,
    resume_from = greatest(resume_from, %(got_to)s),
    due_at = %(now)s + make_interval(secs => greatest(%(after)s, (%(backoff)s::int[])[least(failures + 1, %(steps)s)]))
where merchant_id = %(merchant_id)s and channel_id = %(channel)s and kind = %(kind)s and attempt = %(attempt)s
"""
_CLAIM_RINGS = """
with taken as (
    select received_on, inbox_id from inbox
    where merchant_id = %(merchant_id)s and channel_id = %(channel)s and kind = 'doorbell'
      and (state = 'open' or state = 'reading' and deadline < %(now)s)
    order by inbox_id limit %(limit)s for update skip locked
)
update inbox i set state = 'reading', owner = %(owner)s, deadline = %(deadline)s, attempts = i.attempts + 1
from taken where i.merchant_id = %(merchant_id)s and i.received_on = taken.received_on and i.inbox_id = taken.inbox_id
returning i.inbox_id, i.received_on, i.resource, i.resource_key, i.attempts
"""
_END_RINGS = """
update inbox i set state = %(state)s, reason = %(reason)s, done_at = %(now)s
from unnest(%(ids)s::bigint[], %(days)s::date[]) d(inbox_id, received_on)
where i.merchant_id = %(merchant_id)s and i.received_on = d.received_on and i.inbox_id = d.inbox_id and i.state =
    'reading'
"""
# What is known already to the letter is not stored again: an overlap would process every order twice.
_STORE = """
insert into inbox (merchant_id, received_on, inbox_id, channel_id, kind, origin, topic, resource, resource_key, body,
                   observed_at, received_at)
select %(merchant_id)s, (%(now)s at time zone 'UTC')::date, nextval('inbox_seq'), %(channel)s, 'document', 'read',
    'read', 'order',
       d.order_key, d.body, %(at)s, %(now)s
from unnest(%(keys)s::text[], %(bodies)s::bytea[], %(digests)s::bytea[]) with ordinality d(order_key, body, digest, n)
where not exists (select from sales_order o where o.merchant_id = %(merchant_id)s and o.channel_id = %(channel)s
                  and o.order_key = d.order_key and o.complete and o.read_digest = d.digest)
order by d.n
"""


@dataclass(frozen=True, slots=True)
class Read:
    """What one call read: documents stored, and the failure's slug if it did not get through."""

    documents: int = 0
    error: str = ""


@dataclass(frozen=True, slots=True)
class _Reading:
    """A claimed poll."""

    kind: str
    attempt: int
    window: Window
    started_at: datetime


def poll_orders(runtime: Runtime, merchant_id: int, channel_id: int, kind: str = "orders") -> Read:
    """Read all orders updated in the window since the last poll (with overlap), page by page; move on only when all of
    them are stored. A reading that a channel broke off (throttled, mostly) goes on where it was, or a rush would have
        it
    begin for ever. `kind` "sweep" reaches further back than "orders". Nothing when another process is at it."""
    now = runtime.clock()
    with runtime.begin(merchant_id, now) as session:
        reading = _claim_poll(runtime, session, channel_id, kind)
        if reading is None:
            return Read()
        channel = get_channel(session, channel_id)
        connector, shop = runtime.connectors[channel.platform], shop_of(runtime, merchant_id, channel)
    stored, got_to = 0, None
    try:
        for page in connector.read_orders(runtime.open_http(), shop, reading.window):
            with runtime.begin(merchant_id, runtime.clock()) as session:
                stored += store_documents(session, channel_id, page, reading.started_at)
            if connector.abilities.reads_in_order:
                got_to = max((d.version for d in page if d.version is not None), default=got_to)
    except ChannelError as error:
        fail_poll(runtime, merchant_id, channel_id, (kind, reading.attempt), error, got_to=got_to)
        return Read(stored, error.reason)
    _end_poll(runtime, merchant_id, channel_id, reading)
    return Read(stored)


def _claim_poll(runtime: Runtime, session: Session, channel_id: int, kind: str) -> _Reading | None:
    claimed = claim_poll(runtime, session, channel_id, kind)
    if claimed is None:
        return None
    sync = runtime.settings.sync
    overlap = timedelta(seconds=sync.sweep_overlap_s if kind == "sweep" else sync.poll_overlap_s)
    since = max(claimed.read_through - overlap, session.now - WINDOW_MAX)
    if claimed.resume_from is not None:
        since = max(since, claimed.resume_from - STAMP)
    return _Reading(kind, claimed.attempt, Window(since, session.now), session.now)


def claim_poll(runtime: Runtime, session: Session, channel_id: int, kind: str) -> Row | None:
    """Take a due poll (attempt, read_through) until its deadline; None when it is not due or taken."""
    deadline = session.now + timedelta(seconds=runtime.settings.sync.attempt_deadline_s)
    return session.row(
        _CLAIM_POLL, channel=channel_id, kind=kind, owner=runtime.worker, now=session.now, deadline=deadline
    )


def _end_poll(runtime: Runtime, merchant_id: int, channel_id: int, reading: _Reading) -> None:
    sync = runtime.settings.sync
    every = sync.sweep_interval_s if reading.kind == "sweep" else sync.poll_interval_s
    end_poll(runtime, merchant_id, channel_id, (reading.kind, reading.attempt),
        through=reading.window.until, every_s=every)  # fmt: skip


def end_poll(
    runtime: Runtime, merchant_id: int, channel_id: int, claimed: tuple[str, int], *, through: datetime, every_s: float
) -> None:
    """A poll got through; the next is due after `every_s`."""
    now = runtime.clock()
    with runtime.begin(merchant_id, now) as session:
        session.run(
            _END_POLL, channel=channel_id, kind=claimed[0], attempt=claimed[1], through=through,
            due=now + timedelta(seconds=every_s),
        )  # fmt: skip


def fail_poll(
    runtime: Runtime,
    merchant_id: int,
    channel_id: int,
    claimed: tuple[str, int],
    error: ChannelError,
    *,
    got_to: datetime | None = None,
) -> None:
    """A poll failed: it is due again after the channel's own wish or ours, whichever is later. `got_to`: everything
    that was updated before is stored."""
    now, steps = runtime.clock(), _backoff(error)
    with runtime.begin(merchant_id, now) as session:
        session.run(
            _FAIL_POLL, channel=channel_id, kind=claimed[0], attempt=claimed[1], now=now, error=error.reason,
            got_to=got_to, after=error.retry_after_s or 0, backoff=list(steps), steps=len(steps),
        )  # fmt: skip


def _backoff(error: ChannelError) -> tuple[int, ...]:
    """A channel that throttles says when to come back; only where nobody knows is the pause made longer each time."""
    return BACKOFF_S[:1] if isinstance(error, Throttled) else BACKOFF_S


def store_documents(session: Session, channel_id: int, documents: Sequence[OrderDocument], at: datetime) -> int:
    """Store fetched orders for PROCESS; `at` is when the reading began. Returns how many said something new."""
    if not documents:
        return 0
    bodies = [None if d.missing else d.body for d in documents]
    return session.run(
        _STORE,
        channel=channel_id,
        at=at,
        now=session.now,
        keys=[d.order_key for d in documents],
        bodies=bodies,
        digests=[None if b is None else hashlib.blake2b(b, digest_size=16).digest() for b in bodies],
    )


def answer_rings(runtime: Runtime, merchant_id: int, channel_id: int) -> Read:
    """Fetch the orders that doorbells ask for, up to a page; other doorbells ask for a look at numbers. A doorbell that
    rings while its order is being fetched is a new one."""
    now = runtime.clock()
    with runtime.begin(merchant_id, now) as session:
        channel = get_channel(session, channel_id)
        connector, shop = runtime.connectors[channel.platform], shop_of(runtime, merchant_id, channel)
        rings = _claim_rings(runtime, session, channel_id, min(RINGS_MAX, connector.abilities.read_orders_max))
        keys = sorted({r.resource_key for r in rings if r.resource == "order"})
        others = [r for r in rings if r.resource != "order"]
        _look(session, channel_id, others)
        _end_rings(session, others, "done", None)
    if not keys:
        return Read(len(others))
    asked = [r for r in rings if r.resource == "order"]
    return _fetch(runtime, (merchant_id, channel_id), (connector, shop), keys, asked)


def _fetch(
    runtime: Runtime, at: tuple[int, int], vendor: tuple[Connector, Shop], keys: Sequence[str], rings: Sequence[Row]
) -> Read:
    merchant_id, channel_id = at
    connector, shop = vendor
    started_at = runtime.clock()
    try:
        documents = connector.read_orders_by_key(runtime.open_http(), shop, keys)
    except ChannelError as error:
        with runtime.begin(merchant_id, runtime.clock()) as session:
            _reopen_rings(session, rings, error)
        return Read(0, error.reason)
    with runtime.begin(merchant_id, runtime.clock()) as session:
        stored = store_documents(session, channel_id, documents, started_at)
        _end_rings(session, rings, "done", None)
    return Read(stored)


def _claim_rings(runtime: Runtime, session: Session, channel_id: int, limit: int) -> Sequence[Row]:
    deadline = session.now + timedelta(seconds=runtime.settings.sync.attempt_deadline_s)
    return session.rows(
        _CLAIM_RINGS, channel=channel_id, owner=runtime.worker, now=session.now, deadline=deadline, limit=limit
    )


def _end_rings(session: Session, rings: Sequence[Row], state: str, reason: str | None) -> None:
    if rings:
        session.run(
            _END_RINGS, state=state, reason=reason, now=session.now,
            ids=[r.inbox_id for r in rings], days=[r.received_on for r in rings],
        )  # fmt: skip


def _reopen_rings(session: Session, rings: Sequence[Row], error: ChannelError) -> None:
    """Not answered: they stay claimed until the pause is over and are then answered again; nothing is lost with
    them."""
    worst = max(ring.attempts for ring in rings)
    steps = _backoff(error)
    pause = max(error.retry_after_s or 0, steps[min(worst, len(steps)) - 1])
    session.run(
        """update inbox i set deadline = %(deadline)s, owner = null, reason = %(reason)s
           from unnest(%(ids)s::bigint[], %(days)s::date[]) d(inbox_id, received_on)
           where i.merchant_id = %(merchant_id)s and i.received_on = d.received_on and i.inbox_id = d.inbox_id
             and i.state = 'reading'""",
        deadline=session.now + timedelta(seconds=pause), reason=error.reason,
        ids=[r.inbox_id for r in rings], days=[r.received_on for r in rings],
    )  # fmt: skip


def _look(session: Session, channel_id: int, rings: Sequence[Row]) -> None:
    """Doorbells about stock or products: the numbers concerned are looked at."""
    belief.look_at(session, channel_id, [r.resource_key for r in rings if r.resource in ("stock", "product")])
