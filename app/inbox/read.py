"""READ: fetch what doorbells and polls ask for, in batches, with no transaction open; documents become rows.

The poll is the truth, the webhook a wake-up: a listing of what changed since the last one, with an overlap, of which
only what we do not know is fetched.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from app.core.db import Row, Session
from app.core.runtime import Runtime
from app.inbox.documents import Source, open_source, store_documents, take
from app.inbox.pace import find_pause_s
from app.inbox.polls import Claim, Overtaken, backoff, claim_poll, end_poll, fail_poll, hold_poll
from app.listings import belief
from app.listings.channels import ask_for_poll, get_channel
from app.listings.importing import request_import
from app.listings.shop_clock import in_its_time, note_skew, read_skew
from app.listings.wanted import want_listed
from connectors.base import Window
from connectors.errors import ChannelError
from connectors.http import Http

RINGS_MAX = 100  # doorbells taken up in one call
WINDOW_MAX = timedelta(days=7)
STAMP = timedelta(seconds=1)  # of a channel's "updated at": others of the same second may lie behind

# A reading that began after a doorbell rang says all that it was about. Our processes' clocks agree to within a second.
_END_ANSWERED = """
with rung as (
    select received_on, inbox_id, resource_key, observed_at from inbox
    where merchant_id = %(merchant_id)s and channel_id = %(channel)s and kind = 'doorbell'
      and (state = 'open' or state = 'reading' and deadline < %(now)s)
    order by inbox_id limit %(limit)s for update skip locked
), answered as (
    select received_on, inbox_id from rung cross join lateral (
        select from sales_order o where o.merchant_id = %(merchant_id)s and o.channel_id = %(channel)s
        and o.order_key = rung.resource_key and o.complete and o.located
        and o.read_at > rung.observed_at + interval '1 second' offset 0) o
)
update inbox i set state = 'done', reason = 'read_since', done_at = %(now)s from answered
where i.merchant_id = %(merchant_id)s and i.received_on = answered.received_on and i.inbox_id = answered.inbox_id
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


@dataclass(frozen=True, slots=True)
class Read:
    """What one call read: documents stored, and the failure's slug if it did not get through."""

    documents: int = 0
    error: str = ""


@dataclass(frozen=True, slots=True)
class _Reading:
    """A claimed poll of a window, in our time. `asked`: the same as the channel's clock has it, which was `skew` ahead
    when it was last measured. `read_through`: how far it had been read before."""

    claim: Claim
    window: Window
    asked: Window
    skew: timedelta
    read_through: datetime

    @property
    def started_at(self) -> datetime:
        """By our clock."""
        return self.window.until


def poll_orders(runtime: Runtime, merchant_id: int, channel_id: int, kind: str = "orders") -> Read:
    """Read all orders updated in the window since the last poll (with overlap), page by page; move on only when all of
    them are stored. A reading that a channel broke off (throttled, mostly) goes on where it was, or a rush would have
    it begin for ever. `kind` "sweep" reaches further back than "orders". Nothing when another process is at it."""
    now = runtime.clock()
    with runtime.begin(merchant_id, now) as session:
        reading = _claim_window(runtime, session, channel_id, kind)
        if reading is None:
            return Read()
        source = open_source(runtime, session, channel_id)
    stored, got_to, http = 0, None, runtime.open_http()
    try:
        for heads in source.connector.read_order_heads(http, source.shop, reading.asked):
            for taken in take(runtime, source, heads, started_at=reading.started_at):
                stored += taken.documents
                if source.connector.abilities.reads_in_order:
                    got_to = taken.through or got_to
            _hold(runtime, reading.claim)
    except ChannelError as error:
        fail_poll(runtime, reading.claim, error, got_to=got_to)
        return Read(stored, error.reason)
    except Overtaken:
        return Read(stored)
    _end(runtime, reading, http, source.connector.abilities.told_after_s)
    return Read(stored)


def _claim_window(runtime: Runtime, session: Session, channel_id: int, kind: str) -> _Reading | None:
    claimed = claim_poll(runtime, session, channel_id, kind)
    if claimed is None:
        return None
    skew, late = read_skew(session, channel_id), _listed_after(runtime, session, channel_id)
    overlap = timedelta(seconds=runtime.settings.sync.sweep_overlap_s) if kind == "sweep" else _overlap(runtime, late)
    oldest, since = session.now - WINDOW_MAX, claimed.read_through - overlap
    if claimed.resume_from is None and since < oldest and kind == "orders":  # nobody read for long: a back-fill
        request_import(session, channel_id, "orders", since=since, until=oldest)
    window = Window(max(since, oldest), session.now)
    asked = in_its_time(window, skew)
    if claimed.resume_from is not None:
        asked = Window(max(asked.since, claimed.resume_from - STAMP - late), asked.until)
    claim = Claim(session.merchant_id, channel_id, kind, claimed.attempt)
    return _Reading(claim, window, asked, skew, claimed.read_through)


def find_listed_from(runtime: Runtime, session: Session, channel_id: int) -> datetime:
    """What changed since then, by the channel's clock, the next reading of changes lists in any case."""
    through: datetime = session.value(
        """select read_through from channel_poll
           where merchant_id = %(merchant_id)s and channel_id = %(channel)s and kind = 'orders'""",
        channel=channel_id,
    )
    late = _listed_after(runtime, session, channel_id)
    return through + read_skew(session, channel_id) - _overlap(runtime, late)


def _overlap(runtime: Runtime, late: timedelta) -> timedelta:
    """How far a reading reaches back before the last one; `late`: what the channel lists so late comes on top."""
    return timedelta(seconds=runtime.settings.sync.poll_overlap_s) + late


def _listed_after(runtime: Runtime, session: Session, channel_id: int) -> timedelta:
    return timedelta(seconds=runtime.connectors[get_channel(session, channel_id).platform].abilities.listed_after_s)


def _hold(runtime: Runtime, claim: Claim) -> None:
    with runtime.begin(claim.merchant_id, runtime.clock()) as session:
        hold_poll(runtime, session, claim)


def _end(runtime: Runtime, reading: _Reading, http: Http, assumed_s: float) -> None:
    sync, claim, now = runtime.settings.sync, reading.claim, runtime.clock()
    every_s: float = sync.sweep_interval_s
    with runtime.begin(claim.merchant_id, now) as session:
        skew = note_skew(session, claim.channel_id, reading.skew, http.ahead)
        if claim.kind == "orders":
            every_s = find_pause_s(session, claim.channel_id, assumed_s=assumed_s, usual_s=sync.poll_interval_s)
    end_poll(
        runtime, claim, through=_read_through(reading, skew), every_s=every_s, whole=skew == reading.skew
    )  # fmt: skip


def _read_through(reading: _Reading, skew: timedelta) -> datetime:
    """How far the channel has been read, in our time. Where its clock turns out to be another than was thought, what
    was asked for is not what was meant: ahead of that, the end was missed, and behind it, the beginning."""
    off = skew - reading.skew
    return reading.read_through + off if off < timedelta(0) else reading.window.until - off


def answer_rings(runtime: Runtime, merchant_id: int, channel_id: int) -> Read:
    """Fetch the orders that doorbells ask for, some at a time; other doorbells ask for a look at numbers. A doorbell
    that rings while its order is being fetched is a new one; one whose order was read since it rang is answered."""
    now = runtime.clock()
    with runtime.begin(merchant_id, now) as session:
        source = open_source(runtime, session, channel_id)
        answered = session.run(_END_ANSWERED, channel=channel_id, now=now, limit=RINGS_MAX)
        rings = _claim_rings(runtime, session, channel_id)
        others = [r for r in rings if r.resource != "order"]
        _look(session, channel_id, others)
        _end_rings(session, others, "done", None)
    read = _fetch(runtime, source, [r for r in rings if r.resource == "order"])
    return replace(read, documents=read.documents + len(others) + answered)


def _fetch(runtime: Runtime, source: Source, rings: Sequence[Row]) -> Read:
    """The orders that these rings ask for. What was fetched before the channel failed is kept."""
    keys = list(dict.fromkeys(ring.resource_key for ring in rings))
    size, stored = source.connector.abilities.read_orders_max, 0
    for at in range(0, len(keys), size):
        part, started_at = keys[at : at + size], runtime.clock()
        try:
            documents = source.connector.read_orders_by_key(runtime.open_http(), source.shop, part)
        except ChannelError as error:
            with runtime.begin(source.merchant_id, runtime.clock()) as session:
                _reopen_rings(session, _asking_for(rings, keys[at:]), error)
            return Read(stored, error.reason)
        with runtime.begin(source.merchant_id, runtime.clock()) as session:
            stored += store_documents(session, source.channel_id, documents, started_at, topic="ring")
            _end_rings(session, _asking_for(rings, part), "done", None)
    return Read(stored)


def _asking_for(rings: Sequence[Row], keys: Collection[str]) -> list[Row]:
    return [ring for ring in rings if ring.resource_key in keys]


def _claim_rings(runtime: Runtime, session: Session, channel_id: int) -> Sequence[Row]:
    deadline = session.now + timedelta(seconds=runtime.settings.sync.attempt_deadline_s)
    return session.rows(
        _CLAIM_RINGS, channel=channel_id, owner=runtime.worker, now=session.now, deadline=deadline, limit=RINGS_MAX
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
    steps = backoff(error)
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
    """Doorbells about stock or products: the numbers concerned are looked at, the products read again; about the shop
    or what we may do there: it is asked."""
    belief.look_at(session, channel_id, [r.resource_key for r in rings if r.resource in ("stock", "product")])
    want_listed(session, channel_id, [r.resource_key for r in rings if r.resource == "product"])
    if any(r.resource == "app" for r in rings):
        ask_for_poll(session, channel_id, "shop")
