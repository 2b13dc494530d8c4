"""Products to be read by their key: an order or a delivery named one that no listing is, or told of it what no listing
says; or a catalogue that was read to its end did not name it any more.

Each is asked for once; what the channel does not have is asked for a few times more, further and further apart, and
then not for a week, however often it is named.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from app.core.db import Session
from connectors.base import CatalogueEntry

PAUSES_S = (60, 600, 3_600, 86_400)  # after the first, second … time that the channel had no such thing
AGAIN_S = 60  # what was just read is not read again sooner
FORGOTTEN = timedelta(days=7)
KEY_MAX = 200

_WANT = """
insert into product_wanted as w (merchant_id, channel_id, key, due_at, asked_at)
select distinct %(merchant_id)s::bigint, %(channel)s::bigint, k.key, %(now)s::timestamptz, %(now)s::timestamptz
from ({keys}) k(key) where length(k.key) between 1 and %(key_max)s order by k.key
on conflict (merchant_id, channel_id, key) do update
set due_at = greatest(excluded.due_at, w.read_at + make_interval(secs => %(again)s)), asked_at = excluded.asked_at
where w.due_at = 'infinity' and w.misses = 0
"""
# An order names a product; a delivery may tell no more than a number's key. A product that carries the number of its
# variations is no listing itself.
_TOLD = """
    select unnest(%(named)s::text[])
    union
    select coalesce(t.listing_key, t.stock_key)
    from unnest(%(keys)s::text[], %(stock_keys)s::text[], %(skus)s::text[], %(tracked)s::boolean[])
         t(listing_key, stock_key, sku, tracked)
    left join listing l on l.merchant_id = %(merchant_id)s and l.channel_id = %(channel)s
                       and l.listing_key = t.listing_key
    where case when l.listing_id is null then not exists (
                   select from stock_owner o where o.merchant_id = %(merchant_id)s and o.channel_id = %(channel)s
                   and o.stock_key = t.stock_key and o.state <> 'gone')
               else l.gone_at is not null or l.stock_key <> t.stock_key or l.sku is distinct from t.sku
                    or l.tracked <> coalesce(t.tracked, l.tracked) end
"""
# A key may be a part of one: WooCommerce rings with a variation's bare id (`14`, of `13/14`) or with the parent's.
_LISTED = """
    select l.listing_key from listing l
    where l.merchant_id = %(merchant_id)s and l.channel_id = %(channel)s and l.gone_at is null
      and (l.listing_key = any(%(keys)s) or l.stock_key = any(%(keys)s)
           or string_to_array(l.listing_key, '/') && %(keys)s::text[])
"""
_UNSEEN = """
    select l.listing_key from listing l
    where l.merchant_id = %(merchant_id)s and l.channel_id = %(channel)s and l.gone_at is null
      and (l.seen_at is null or l.seen_at < %(since)s)
"""
# A reading that failed keeps its pause.
_RING = """
update channel_poll set due_at = %(now)s
where merchant_id = %(merchant_id)s and channel_id = %(channel)s and kind = 'products' and due_at > %(now)s
  and failures = 0
"""
_GONE = """
with k as materialized (
    select l.listing_id from listing l
    where l.merchant_id = %(merchant_id)s and l.channel_id = %(channel)s and l.gone_at is null
      and l.listing_key <> all(%(found)s)
      and exists (select from unnest(%(keys)s::text[]) k(key) where l.listing_key = k.key or l.stock_key = k.key
                  or starts_with(l.listing_key, k.key || '/'))
    order by l.listing_id for update of l
)
update listing l set gone_at = %(now)s from k where l.merchant_id = %(merchant_id)s and l.listing_id = k.listing_id
returning l.listing_key, l.stock_key
"""
_RETIRE = """
with k as materialized (
    select o.owner_id from stock_owner o
    where o.merchant_id = %(merchant_id)s and o.channel_id = %(channel)s and o.stock_key = any(%(keys)s)
      and o.state <> 'gone'
      and not exists (select from listing l where l.merchant_id = o.merchant_id and l.channel_id = o.channel_id
                      and l.stock_key = o.stock_key and l.gone_at is null)
    order by o.owner_id for update of o
)
update stock_owner o set state = 'gone', reason = 'gone' from k
where o.merchant_id = %(merchant_id)s and o.owner_id = k.owner_id
"""
_ANSWERED = """
with k as materialized (
    select w.key, d.missing
    from product_wanted w join unnest(%(keys)s::text[], %(missing)s::boolean[]) d(key, missing) using (key)
    where w.merchant_id = %(merchant_id)s and w.channel_id = %(channel)s order by w.key for update of w
)
update product_wanted w
set due_at = case when k.missing and w.misses < %(steps)s
                  then %(now)s + make_interval(secs => (%(pauses)s::int[])[w.misses + 1])
                  else 'infinity'::timestamptz end,
    read_at = %(now)s, misses = case when k.missing then w.misses + 1 else 0 end
from k where w.merchant_id = %(merchant_id)s and w.channel_id = %(channel)s and w.key = k.key
"""


def want_told(
    session: Session, channel_id: int, unlisted: Collection[str], told: Sequence[Mapping[str, Any]] = ()
) -> None:
    """Orders named what no listing is, and deliveries told of products or numbers (`stock_key`, and where they say it
    `listing_key`, `sku`, `tracked`): those are read, and of these what no listing says."""
    unique = {(t.get("listing_key"), t["stock_key"], _text(t.get("sku")), t.get("tracked")) for t in told}
    keys, stock_keys, skus, tracked = (list(column) for column in zip(*unique, strict=True)) if unique else ([],) * 4
    if unlisted or unique:
        _want(
            session, channel_id, _TOLD, named=sorted(unlisted), keys=keys, stock_keys=stock_keys, skus=skus,
            tracked=tracked,
        )  # fmt: skip


def want_listed(session: Session, channel_id: int, keys: Collection[str]) -> None:
    """Something happened to what these keys name (or are a part of): known listings among them are read again."""
    named = sorted(key for key in keys if key)
    if named:
        _want(session, channel_id, _LISTED, keys=named)


def want_unseen(session: Session, channel_id: int, since: datetime) -> None:
    """The whole catalogue was read since: what it did not name is asked for, and only then held to be gone."""
    _want(session, channel_id, _UNSEEN, since=since)


def _want(session: Session, channel_id: int, which: str, **params: Any) -> None:
    statement = _WANT.format(keys=which)
    if session.run(statement, channel=channel_id, now=session.now, again=AGAIN_S, key_max=KEY_MAX, **params):
        session.run(_RING, channel=channel_id, now=session.now)


def _text(value: str | None) -> str | None:
    """As an import keeps a SKU: what the database can't hold counts as none."""
    return None if value is None or "\0" in value else value


def list_due(session: Session, channel_id: int, limit: int) -> list[str]:
    """Keys to be read now, longest wanted first."""
    rows = session.rows(
        """select key from product_wanted where merchant_id = %(merchant_id)s and channel_id = %(channel)s
           and due_at <= %(now)s and due_at < 'infinity' order by due_at, key limit %(limit)s""",
        channel=channel_id, now=session.now, limit=limit,
    )  # fmt: skip
    return [row.key for row in rows]


def find_next(session: Session, channel_id: int) -> datetime | None:
    """When the next is due."""
    at: datetime | None = session.value(
        """select min(due_at) from product_wanted where merchant_id = %(merchant_id)s and channel_id = %(channel)s
           and due_at < 'infinity'""",
        channel=channel_id,
    )
    return at


def answer(session: Session, channel_id: int, keys: Sequence[str], entries: Sequence[CatalogueEntry]) -> int:
    """The channel was asked for `keys` and showed `entries`, which are imported: listings that it did not show are
    gone, their numbers are written no more; returns how many."""
    found = [entry.listing_key for entry in entries]
    gone = session.rows(_GONE, channel=channel_id, now=session.now, keys=list(keys), found=found)
    retire(session, channel_id, [row.stock_key for row in gone])
    known = {row.listing_key for row in gone}
    missing = [not any(entry.speaks_of(key) for entry in entries) and key not in known for key in keys]
    session.run(
        _ANSWERED, channel=channel_id, now=session.now, keys=list(keys), missing=missing, pauses=list(PAUSES_S),
        steps=len(PAUSES_S),
    )  # fmt: skip
    return len(gone)


def retire(session: Session, channel_id: int, stock_keys: Sequence[str]) -> None:
    """Numbers among these that no listing carries any more are written no more."""
    if stock_keys:
        session.run(_RETIRE, channel=channel_id, keys=list(stock_keys))


def forget(session: Session, channel_id: int) -> None:
    """What was answered long ago may be asked for again."""
    session.run(
        """delete from product_wanted where merchant_id = %(merchant_id)s and channel_id = %(channel)s
           and due_at = 'infinity' and read_at < %(before)s""",
        channel=channel_id, before=session.now - FORGOTTEN,
    )  # fmt: skip
