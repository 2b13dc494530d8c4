"""Open orders that vanished or changed without a word: a hard delete tells nobody, and a lost webhook may have been
about an order that no window shows any more.

Every order that still holds stock is looked for by its key now and then. One that the channel does not show is read by
itself; only the channel's own "no such order" makes it missing, and then what is posted for it stays as it is. Orders
that are too old to be shown are not looked for, and what changed so lately that the next reading of changes lists it is
left to that.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from app.core.db import Session
from app.core.runtime import Runtime
from app.inbox.documents import Source, open_source, store_documents, take
from app.inbox.polls import Claim, Overtaken, claim_poll, end_poll, fail_poll, hold_poll
from app.inbox.read import Read, find_listed_from
from app.listings.channels import shown_from
from connectors.errors import ChannelError

PAGE = 500

# Each order is found by its key, whatever is thought of how many there are.
_OPEN = """
select p.order_id, o.order_key
from (select distinct order_id from order_position
      where merchant_id = %(merchant_id)s and committed > 0 and order_id > %(after)s) p
cross join lateral (
    select order_key, channel_id, frozen, coalesce(placed_at, recorded_at) as placed_at from sales_order o
    where o.merchant_id = %(merchant_id)s and o.order_id = p.order_id offset 0) o
where o.channel_id = %(channel)s and not o.frozen and coalesce(o.placed_at > %(shown_from)s, true)
order by p.order_id limit %(limit)s
"""


def check_known(runtime: Runtime, merchant_id: int, channel_id: int) -> Read:
    """Look for every order that still holds stock, if that is due and nobody else is at it."""
    now = runtime.clock()
    with runtime.begin(merchant_id, now) as session:
        claimed = claim_poll(runtime, session, channel_id, "known")
        if claimed is None:
            return Read()
        source = open_source(runtime, session, channel_id)
        listed_from = find_listed_from(runtime, session, channel_id)
    claim = Claim(merchant_id, channel_id, "known", claimed.attempt)
    stored = after = 0
    try:
        while True:
            with runtime.begin(merchant_id, runtime.clock()) as session:
                hold_poll(runtime, session, claim)
                oldest = shown_from(source.connector.abilities, source.shop.facts, session.now)
                after, keys = _page(session, channel_id, after, oldest)
            if not keys:
                break
            stored += _look_for(runtime, source, keys, listed_from)
    except ChannelError as error:
        fail_poll(runtime, claim, error)
        return Read(stored, error.reason)
    except Overtaken:
        return Read(stored)
    every_s = runtime.settings.sync.known_interval_s
    end_poll(runtime, claim, through=now, every_s=every_s)
    return Read(stored)


def _look_for(runtime: Runtime, source: Source, keys: Sequence[str], listed_from: datetime) -> int:
    """Store what is news about these orders; how many documents."""
    started_at = runtime.clock()
    heads = source.connector.read_heads_by_key(runtime.open_http(), source.shop, keys)
    shown = {head.order_key for head in heads}
    if source.connector.abilities.version_tells:
        heads = [head for head in heads if head.version is None or head.version < listed_from]
    stored = sum(taken.documents for taken in take(runtime, source, heads, started_at=started_at, topic="known"))
    hidden, size = [key for key in keys if key not in shown], source.connector.abilities.read_orders_max
    for start in range(0, len(hidden), size):
        part = hidden[start : start + size]
        documents = source.connector.read_orders_by_key(runtime.open_http(), source.shop, part)
        with runtime.begin(source.merchant_id, runtime.clock()) as session:
            stored += store_documents(session, source.channel_id, documents, started_at, topic="known")
    return stored


def _page(session: Session, channel_id: int, after: int, oldest: datetime | None) -> tuple[int, list[str]]:
    rows = session.rows(_OPEN, channel=channel_id, after=after, limit=PAGE, shown_from=oldest)
    return (rows[-1].order_id if rows else after), [row.order_key for row in rows]
