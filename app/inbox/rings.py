"""Doorbells that we ring ourselves: orders that have to be read afresh."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from app.core.db import Session

AGAIN_S = (5, 60, 600)  # after the first, second … document of an order that nobody could read
PLACED_S = (2, 5, 10, 30, 120, 600)  # after a reading of an order that the shop had not assigned to a place yet

_RING = """
insert into inbox (merchant_id, received_on, inbox_id, channel_id, kind, origin, topic, resource, resource_key,
    observed_at, received_at)
select %(merchant_id)s, (%(now)s at time zone 'UTC')::date, nextval('inbox_seq'), %(channel)s, 'doorbell', 'read',
    'again', 'order', a.order_key, a.observed_at, %(now)s
from unnest(%(keys)s::text[], %(observed)s::timestamptz[]) a(order_key, observed_at) order by a.order_key
"""
# Claimed by nobody until the pause is over. The documents that could not be read stand parked.
_RING_LATER = """
insert into inbox (merchant_id, received_on, inbox_id, channel_id, kind, origin, topic, resource, resource_key,
    observed_at, received_at, state, deadline)
select %(merchant_id)s, (%(now)s at time zone 'UTC')::date, nextval('inbox_seq'), %(channel)s, 'doorbell', 'read',
    'unreadable', 'order', p.order_key, %(now)s, %(now)s, 'reading',
    %(now)s + make_interval(secs => (%(pauses)s::int[])[p.times])
from (select resource_key as order_key, count(*) as times from inbox
      where merchant_id = %(merchant_id)s and channel_id = %(channel)s and state = 'parked' and resource = 'order'
        and resource_key = any(%(keys)s) group by resource_key) p
where p.times <= %(steps)s order by p.order_key
"""
_RING_UNPLACED = """
insert into inbox (merchant_id, received_on, inbox_id, channel_id, kind, origin, topic, resource, resource_key,
    observed_at, received_at, state, deadline)
select %(merchant_id)s, (%(now)s at time zone 'UTC')::date, nextval('inbox_seq'), %(channel)s, 'doorbell', 'read',
    'unplaced', 'order', k.order_key, %(now)s, %(now)s, 'reading', %(now)s + make_interval(secs => p.pause)
from (select distinct unnest(%(keys)s::text[]) as order_key) k cross join unnest(%(pauses)s::int[]) p(pause)
order by k.order_key, p.pause
"""
_END_UNPLACED = """
update inbox set state = 'done', reason = 'placed', done_at = %(now)s
where merchant_id = %(merchant_id)s and channel_id = %(channel)s and kind = 'doorbell' and state = 'reading'
  and owner is null and topic = 'unplaced' and resource_key = any(%(keys)s)
"""


def ring_again(session: Session, channel_id: int, orders: Mapping[str, datetime]) -> None:
    """Have orders read afresh, each (by its key) by a reading that begins after that time."""
    if orders:
        observed = list(orders.values())
        session.run(_RING, channel=channel_id, now=session.now, keys=list(orders), observed=observed)


def ring_unreadable(session: Session, channel_id: int, order_keys: Sequence[str]) -> None:
    """Have orders read again a while after a document of theirs was parked since nobody could read it: the shop's next
    answer may be whole. A few times; then it is for the readings that come anyway."""
    if order_keys:
        session.run(
            _RING_LATER, channel=channel_id, now=session.now, keys=list(order_keys), pauses=list(AGAIN_S),
            steps=len(AGAIN_S),
        )  # fmt: skip


def ring_unplaced(session: Session, channel_id: int, order_keys: Sequence[str]) -> None:
    """Have orders read again that the shop has not assigned to a place: it does so by itself, and tells nobody."""
    if order_keys:
        session.run(
            _RING_UNPLACED, channel=channel_id, now=session.now, keys=list(order_keys), pauses=list(PLACED_S),
        )  # fmt: skip


def end_unplaced(session: Session, channel_id: int, order_keys: Sequence[str]) -> None:
    """The orders have their places: what was still to be rung for them is not."""
    if order_keys:
        session.run(_END_UNPLACED, channel=channel_id, now=session.now, keys=list(order_keys))
