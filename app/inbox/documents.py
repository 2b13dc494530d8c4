"""What a channel listed becomes rows: only what is not known in that version is fetched, and what is known to the
letter is not stored again.

Where a channel's version does not tell everything (WooCommerce's stamp has one second, and deleting a refund does not
move it), whole documents are compared instead.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from app.core.db import Session
from app.core.runtime import Runtime
from app.listings.channels import get_channel, shop_of
from connectors.base import Connector, OrderDocument, OrderHead, Shop
from connectors.errors import Throttled

SETTLED_S = 10  # a version has whole seconds: one read so soon after it may have changed again within it

_WANTED = """
select h.n from unnest(%(keys)s::text[], %(versions)s::timestamptz[]) with ordinality h(order_key, version, n)
where not exists (
    select from sales_order o where o.merchant_id = %(merchant_id)s and o.channel_id = %(channel)s
    and o.order_key = h.order_key and o.complete and o.located
    and (o.version >= h.version and o.read_at > %(listed)s or o.version = h.version
         and o.read_at >= h.version + make_interval(secs => %(settled)s
        - (select clock_skew_s from channel where merchant_id = %(merchant_id)s and channel_id = %(channel)s)))
    offset 0)
order by h.n
"""
# What is known already to the letter is not stored again: an overlap would process every order twice.
_STORE = """
insert into inbox (merchant_id, received_on, inbox_id, channel_id, kind, origin, topic, resource, resource_key, body,
                   observed_at, received_at)
select %(merchant_id)s, (%(now)s at time zone 'UTC')::date, nextval('inbox_seq'), %(channel)s, 'document', 'read',
       %(topic)s, 'order', d.order_key, d.body, %(at)s, %(now)s
from unnest(%(keys)s::text[], %(bodies)s::bytea[], %(digests)s::bytea[]) with ordinality d(order_key, body, digest, n)
where not exists (select from sales_order o where o.merchant_id = %(merchant_id)s and o.channel_id = %(channel)s
                  and o.order_key = d.order_key and o.complete and o.read_digest = d.digest)
order by d.n
"""
# Once for each version; whoever works on an order right now will know better.
_CONFIRM = """
with k as materialized (
    select o.order_id from unnest(%(keys)s::text[], %(digests)s::bytea[]) d(order_key, digest)
    join sales_order o on o.merchant_id = %(merchant_id)s and o.channel_id = %(channel)s
         and o.order_key = d.order_key and o.read_digest = d.digest
    where o.complete and (o.read_at is null or o.read_at < %(at)s
                          and o.read_at < o.version + make_interval(secs => %(settled)s
        - (select clock_skew_s from channel where merchant_id = %(merchant_id)s and channel_id = %(channel)s)))
    order by o.order_id for update of o skip locked
)
update sales_order o set read_at = %(at)s from k where o.merchant_id = %(merchant_id)s and o.order_id = k.order_id
"""
# What was read as it is known: a document of it that nobody could read before is not waited for any more.
_READABLE = """
update inbox i set state = 'done', reason = 'superseded', done_at = %(now)s
from unnest(%(keys)s::text[], %(digests)s::bytea[]) d(order_key, digest)
join sales_order o on o.merchant_id = %(merchant_id)s and o.channel_id = %(channel)s and o.order_key = d.order_key
                  and o.complete and o.read_digest = d.digest
where i.merchant_id = %(merchant_id)s and i.channel_id = %(channel)s and i.state = 'parked' and i.resource = 'order'
  and i.resource_key = d.order_key and i.observed_at < %(at)s
"""
_END_PARKED = """
update inbox i set state = 'done', reason = 'superseded', done_at = %(now)s
from unnest(%(keys)s::text[], %(observed)s::timestamptz[]) d(order_key, observed_at)
where i.merchant_id = %(merchant_id)s and i.channel_id = %(channel)s and i.state = 'parked' and i.resource = 'order'
  and i.resource_key = d.order_key and i.observed_at < coalesce(d.observed_at, 'infinity')
"""
_Numbered = tuple[int, OrderHead]  # with its place in the page


@dataclass(frozen=True, slots=True)
class Source:
    """A channel to read from, as a step needs it."""

    merchant_id: int
    channel_id: int
    connector: Connector
    shop: Shop


@dataclass(frozen=True, slots=True)
class Taken:
    """Documents stored just now. `through`: of a listing in order, everything up to this version is stored."""

    documents: int
    through: datetime | None


def open_source(runtime: Runtime, session: Session, channel_id: int) -> Source:
    """Raises NotFound."""
    channel = get_channel(session, channel_id)
    shop = shop_of(runtime, session.merchant_id, channel)
    return Source(session.merchant_id, channel_id, runtime.connectors[channel.platform], shop)


def take(
    runtime: Runtime, source: Source, heads: Sequence[OrderHead], *, started_at: datetime, topic: str = "read"
) -> Iterator[Taken]:
    """Store what a page of a listing names and we do not know, some orders at a time, so that a channel that breaks off
    costs little. `started_at` is when the reading began. Raises ChannelError."""
    with runtime.begin(source.merchant_id, runtime.clock()) as session:
        listed_at = session.now
        wanted = _wanted(session, source, list(enumerate(heads)), listed_at)
    through, size = _through(heads), source.connector.abilities.read_orders_max
    while wanted:
        part = wanted[:size]
        try:
            documents = _fetched(runtime, source, [head for _, head in part])
        except Throttled:
            if size == 1:
                raise
            size = max(1, size // 4)  # what fits is kept; all at once might never fit
            continue
        with runtime.begin(source.merchant_id, runtime.clock()) as session:
            stored = store_documents(session, source.channel_id, documents, started_at, topic=topic)
            wanted = _wanted(session, source, wanted[size:], listed_at)  # less what others read meanwhile
        yield Taken(stored, through[part[-1][0]])
    if heads:
        yield Taken(0, through[-1])


def _fetched(runtime: Runtime, source: Source, heads: Sequence[OrderHead]) -> list[OrderDocument]:
    """Their documents: the listing's own, or read by key."""
    documents = [head.document for head in heads if head.document is not None]
    keys = [head.order_key for head in heads if head.document is None]
    if keys:
        documents += source.connector.read_orders_by_key(runtime.open_http(), source.shop, keys)
    return documents


def _wanted(session: Session, source: Source, heads: Sequence[_Numbered], listed_at: datetime) -> Sequence[_Numbered]:
    """Those not known in their version. What was read since they were listed is."""
    if not heads or not source.connector.abilities.version_tells:
        return heads
    rows = session.rows(
        _WANTED, channel=source.channel_id, settled=SETTLED_S, listed=listed_at,
        keys=[head.order_key for _, head in heads], versions=[head.version for _, head in heads],
    )  # fmt: skip
    return [heads[row.n - 1] for row in rows]


def _through(heads: Sequence[OrderHead]) -> list[datetime | None]:
    """Up to which version everything is listed, at each place of the page. An order that changed after it was listed
    shows a newer version than its neighbours: it says nothing about those behind it."""
    through: list[datetime | None] = []
    for head in reversed(heads):
        later = through[-1] if through else None
        versions = [at for at in (head.version, later) if at is not None]
        through.append(min(versions, default=None))
    return through[::-1]


def store_documents(
    session: Session, channel_id: int, documents: Sequence[OrderDocument], at: datetime, *, topic: str = "read"
) -> int:
    """Store fetched orders for PROCESS; `at` is when the reading began. Returns how many said something new."""
    if not documents:
        return 0
    keys, bodies = [d.order_key for d in documents], [None if d.missing else d.body for d in documents]
    digests = [None if b is None else hashlib.blake2b(b, digest_size=16).digest() for b in bodies]
    new = session.run(
        _STORE, channel=channel_id, topic=topic, at=at, now=session.now, keys=keys, bodies=bodies, digests=digests
    )
    if new < len(documents):
        session.run(_CONFIRM, channel=channel_id, at=at, settled=SETTLED_S, keys=keys, digests=digests)
        session.run(_READABLE, channel=channel_id, at=at, now=session.now, keys=keys, digests=digests)
    return new


def end_parked(session: Session, channel_id: int, orders: Mapping[str, datetime | None]) -> None:
    """Documents of these orders (by key) that were parked before then, whatever for and whenever (None): what was read
    since tells it all, or waits in their place."""
    if orders:
        session.run(_END_PARKED, channel=channel_id, now=session.now, keys=list(orders), observed=list(orders.values()))
