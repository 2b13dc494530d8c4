"""How soon a channel's orders are read again. Where deliveries come late, reading pays as long as orders come; where
they are prompt, or nobody buys, it is only the safety net.

The delay is measured on deliveries alone (from the order's version to its receipt). From the sale to our knowing of it
would not do: reading more often makes that short, which would then be taken for prompt deliveries.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from math import inf, sqrt
from statistics import median

from app.core.db import Row, Session

POLL_MIN_S = 5.0
WORTH_S = 1.0  # a reading is worth its calls when it spares the orders it finds this much waiting, taken together
SHARE_MAX = 0.25  # of a shop's time that reading may take
RECENT = 10  # orders that tell how fast they come
SCANNED = 200  # of the merchant's latest orders, those are looked for among
LEARNT = 0.3  # what a batch's median moves the measured delay by
DELAY_MAX_S = 3_600.0  # what comes later was repeated after an outage

# How fast orders come is only looked up where it decides something.
_PACE = """
with latest as materialized (
    select order_id, channel_id, coalesce(placed_at, recorded_at) as at from sales_order
    where merchant_id = %(merchant_id)s order by order_id desc limit %(scanned)s
), recent as (select at from latest where channel_id = %(channel)s order by order_id desc limit %(recent)s)
select p.told_after_s, p.took_s, d.deaf, case when d.deaf or coalesce(p.told_after_s, %(assumed)s) > %(least)s then (
           select extract(epoch from greatest((%(now)s - min(at)) / count(*), %(now)s - max(at)))::float8
           from recent having count(*) > 0) end as gap_s
from channel_poll p cross join lateral (
    select exists (select from case_file f where f.merchant_id = p.merchant_id and f.channel_id = p.channel_id
                   and f.state = 'open' and f.subject = 'webhooks' and f.kind <> 'webhook_unneeded') as deaf) d
where p.merchant_id = %(merchant_id)s and p.channel_id = %(channel)s and p.kind = 'orders'
"""
_LEARN = """
update channel_poll set told_after_s = %(delay)s
where merchant_id = %(merchant_id)s and channel_id = %(channel)s and kind = 'orders'
"""
# A reading that failed keeps its pause.
_HASTEN = """
update channel_poll set due_at = %(due)s
where merchant_id = %(merchant_id)s and channel_id = %(channel)s and kind = 'orders'
  and due_at > %(due)s and failures = 0
"""


def pause_s(told_after_s: float, gap_s: float | None, took_s: float, usual_s: float) -> float:
    """Seconds until the next reading. `told_after_s`: how late deliveries come (inf: not at all); `gap_s`: between two
    orders as they come now, None without any; `took_s`: the last reading.

    With a gap g, reading every t makes orders wait t/2 on average and costs 1/t: together least at √(2g·worth). If
    deliveries come sooner than that, reading saves too little, and the usual pause it is.
    """
    if gap_s is None:
        return usual_s
    pause = max(POLL_MIN_S, took_s / SHARE_MAX, sqrt(2 * WORTH_S * max(gap_s, 0.0)))
    return min(pause, usual_s) if pause < told_after_s else usual_s


def learnt_s(known: float | None, delays: Sequence[float]) -> float | None:
    """The measured delay after some more deliveries, whose own are `delays`; `known` while they say the same."""
    if not delays:
        return known
    seen = min(max(median(delays), 0.0), DELAY_MAX_S)
    if known is None:
        return seen
    return known if abs(seen - known) <= max(1.0, known / 10) else known + LEARNT * (seen - known)


def find_pause_s(session: Session, channel_id: int, *, assumed_s: float, usual_s: float) -> float:
    """As things are now. `assumed_s`: the delay while none was measured."""
    row = _pace(session, channel_id, assumed_s)
    return usual_s if row is None else _pause_s(row, row.told_after_s, assumed_s, usual_s)


def follow(session: Session, channel_id: int, delays: Sequence[float], *, assumed_s: float, usual_s: float) -> None:
    """Orders were processed, deliveries among them so late: remember that, and read sooner if it pays now."""
    row = _pace(session, channel_id, assumed_s)
    if row is None:
        return
    delay = learnt_s(row.told_after_s, delays)
    if delay != row.told_after_s:
        session.run(_LEARN, channel=channel_id, delay=delay)
    pause = _pause_s(row, delay, assumed_s, usual_s)
    if pause < usual_s:
        session.run(_HASTEN, channel=channel_id, due=session.now + timedelta(seconds=pause))


def _pace(session: Session, channel_id: int, assumed_s: float) -> Row | None:
    return session.row(
        _PACE, channel=channel_id, now=session.now, scanned=SCANNED, recent=RECENT, assumed=assumed_s, least=POLL_MIN_S
    )


def _pause_s(row: Row, delay_s: float | None, assumed_s: float, usual_s: float) -> float:
    told = inf if row.deaf else assumed_s if delay_s is None else delay_s
    return pause_s(told, row.gap_s, row.took_s, usual_s)
