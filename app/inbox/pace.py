"""How soon a channel's orders are read again. Where deliveries come late or get lost, reading pays as long as orders
come; where they are prompt, or nobody buys, it is only the safety net.

The delay is measured on deliveries alone (from the order's version to its receipt). From the sale to our knowing of it
would not do: reading more often makes that short, which would then be taken for prompt deliveries.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from math import inf, sqrt
from statistics import median

from app.core.db import Row, Session
from app.inbox.orders import Seen
from app.listings.channels import hasten_orders

POLL_MIN_S = 5.0
WORTH_S = 1.0  # a reading is worth its calls when it spares the orders it finds this much waiting, taken together
SHARE_MAX = 0.25  # of a shop's time that reading may take
RECENT = 10  # orders that tell how fast they come
SCANNED = 200  # of the merchant's latest orders, those are looked for among
LEARNT = 0.3  # what a batch's median moves the measured delay by
DELAY_MAX_S = 3_600.0  # what comes later was repeated after an outage
MISSED_AFTER_S = 5.0  # and twice what deliveries mostly take: what a reading finds so late, nobody had told us of
MISSED_LEARNT = 0.05  # what one new order moves the share of missed ones by
MISSED_MIN = 0.002  # a smaller share is none

# How fast orders come is only looked up where it decides something.
_PACE = """
with latest as materialized (
    select order_id, channel_id, coalesce(placed_at, recorded_at) as at from sales_order
    where merchant_id = %(merchant_id)s order by order_id desc limit %(scanned)s
), recent as (select at from latest where channel_id = %(channel)s order by order_id desc limit %(recent)s)
select p.told_after_s, p.took_s, p.missed_share, d.deaf,
       case when d.deaf or p.missed_share > 0 or %(missed)s or coalesce(p.told_after_s, %(assumed)s) > %(least)s then (
           select extract(epoch from greatest((%(now)s - min(at)) / count(*), %(now)s - max(at)))::float8
           from recent having count(*) > 0) end as gap_s
from channel_poll p cross join lateral (
    select exists (select from case_file f where f.merchant_id = p.merchant_id and f.channel_id = p.channel_id
                   and f.state = 'open' and f.subject = 'webhooks' and f.kind <> 'webhook_unneeded') as deaf) d
where p.merchant_id = %(merchant_id)s and p.channel_id = %(channel)s and p.kind = 'orders'
"""
_LEARN = """
update channel_poll set told_after_s = %(delay)s, missed_share = %(missed)s
where merchant_id = %(merchant_id)s and channel_id = %(channel)s and kind = 'orders'
"""


def pause_s(told_after_s: float, gap_s: float | None, took_s: float, usual_s: float, missed: float = 0.0) -> float:
    """Seconds until the next reading. `told_after_s`: how late deliveries come (inf: not at all); `gap_s`: between two
    orders as they come now, None without any; `took_s`: the last reading; `missed`: the share of orders that no
    delivery tells of.

    With a gap g, reading every t makes orders wait t/2 on average and costs 1/t: together least at √(2g·worth). If
    deliveries come sooner than that, reading saves too little, except for the orders that they miss, whose gap is
    g/missed.
    """
    if gap_s is None:
        return usual_s
    least = max(POLL_MIN_S, took_s / SHARE_MAX)
    pause = max(least, _best_s(gap_s))
    if pause >= told_after_s:
        pause = max(least, _best_s(gap_s / missed)) if missed else usual_s
    return min(pause, usual_s)


def _best_s(gap_s: float) -> float:
    return sqrt(2 * WORTH_S * max(gap_s, 0.0))


def learnt_s(known: float | None, delays: Sequence[float]) -> float | None:
    """The measured delay after some more deliveries, whose own are `delays`; `known` while they say the same."""
    if not delays:
        return known
    seen = min(max(median(delays), 0.0), DELAY_MAX_S)
    if known is None:
        return seen
    return known if abs(seen - known) <= max(1.0, known / 10) else known + LEARNT * (seen - known)


def learnt_missed(known: float, told_after_s: float, found: Sequence[float | None]) -> float:
    """The share of missed orders after some more new ones. `found`: how old each was when a reading found it, None for
    one that a delivery told of. What a reading found earlier than a delivery could have told of it says nothing."""
    for age_s in found:
        if age_s is None or age_s > MISSED_AFTER_S + 2 * told_after_s:
            known += MISSED_LEARNT * ((age_s is not None) - known)
    return known if known >= MISSED_MIN else 0.0


def delays_s(seen: Sequence[Seen], skew: timedelta) -> list[float]:
    """How late the deliveries among them came; `skew`: how far the shop's clock is ahead of ours."""
    return [_age_s(s, skew) for s in seen if s.read_digest is None]


def found_s(new: Sequence[tuple[str, Seen]], skew: timedelta) -> list[float | None]:
    """How old new orders, by topic, were when a poll found them; None for those that a delivery told of."""
    return [_age_s(seen, skew) if topic == "read" else None for topic, seen in new if topic != "import"]


def _age_s(seen: Seen, skew: timedelta) -> float:
    return (seen.observed_at - seen.snapshot.version + skew).total_seconds()


def find_pause_s(session: Session, channel_id: int, *, assumed_s: float, usual_s: float) -> float:
    """As things are now. `assumed_s`: the delay while none was measured."""
    row = _pace(session, channel_id, assumed_s)
    return usual_s if row is None else _pause_s(row, row.told_after_s, row.missed_share, assumed_s, usual_s)


def follow(
    session: Session, channel_id: int, delays: Sequence[float], found: Sequence[float | None], *,
    assumed_s: float, usual_s: float,
) -> None:  # fmt: skip
    """Orders were processed, deliveries among them so late, and new ones found so late (see `learnt_missed`): remember
    that, and read sooner if it pays now."""
    row = _pace(session, channel_id, assumed_s, missed=any(found))
    if row is None:
        return
    delay = learnt_s(row.told_after_s, delays)
    missed = learnt_missed(row.missed_share, assumed_s if delay is None else delay, found)
    if delay != row.told_after_s or missed != row.missed_share:
        session.run(_LEARN, channel=channel_id, delay=delay, missed=missed)
    pause = _pause_s(row, delay, missed, assumed_s, usual_s)
    if pause < usual_s:
        hasten_orders(session, channel_id, session.now + timedelta(seconds=pause))


def _pace(session: Session, channel_id: int, assumed_s: float, *, missed: bool = False) -> Row | None:
    return session.row(
        _PACE, channel=channel_id, now=session.now, scanned=SCANNED, recent=RECENT, assumed=assumed_s, least=POLL_MIN_S,
        missed=missed,
    )  # fmt: skip


def _pause_s(row: Row, delay_s: float | None, missed: float, assumed_s: float, usual_s: float) -> float:
    told = inf if row.deaf else assumed_s if delay_s is None else delay_s
    return pause_s(told, row.gap_s, row.took_s, usual_s, missed)
