"""How old a channel's numbers get before they follow a sale made elsewhere, and how orders cluster within that time.

Measured, not scheduled: from the sale to the row that told us of it, and from the number becoming due to its
acknowledged write, each at p99, so that retries and outages are in it. Kept per channel, measured anew every few hours.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.core.db import Row, Session
from app.publishing.buffer import HALF_LIFE_S, RECENT_MAX, RECENT_S, Pattern, Sums, fit

MEASURE_EVERY = timedelta(hours=6)
DELAYS_OVER = timedelta(days=14)
PATTERN_OVER = timedelta(days=91)
HISTORY = timedelta(days=182)  # rates look back so far; what is older counts for next to nothing
MEASURED_MIN = 100  # with fewer of them, never less than what is assumed without any
ASSUMED_ARRIVAL_S = 300.0
ASSUMED_PUSH_S = 60.0
STALENESS_MAX_S = 86_400.0
ATTEMPTS_MAX, ORDERS_MAX = 5_000, 50_000  # the latest looked at, per channel and merchant
SIZES_MAX = 200  # order sizes kept, the most frequent

# A listing's first write waited for its owner's consent, not for the channel: it does not count.
_PUSHES = f"""
select c.channel_id, percentile_cont(0.99) within group (order by extract(epoch from a.closed_at - r.due_since)) as p99,
       count(*) as measured
from channel c cross join lateral (
    select attempt_id, closed_at from push_attempt
    where merchant_id = c.merchant_id and channel_id = c.channel_id and state = 'done'
    order by attempt_id desc limit {ATTEMPTS_MAX}) a
join push_row r on r.merchant_id = c.merchant_id and r.attempt_id = a.attempt_id and r.outcome = 'written'
where c.merchant_id = %(merchant_id)s and a.closed_at > %(since)s
  and exists (select from push_row e where e.merchant_id = c.merchant_id and e.owner_id = r.owner_id
              and e.attempt_id < r.attempt_id and e.outcome = 'written')
group by c.channel_id
"""  # noqa: S608  constants only
# A shop's stamps are in its own time: how far that is from ours is known (app/listings/shop_clock.py).
_SOLD_AT = "s.placed_at - make_interval(secs => c.clock_skew_s)"
# What was sold before its channel was connected did not come late. The others' sales are what a channel learns late.
_ARRIVALS = f"""
with late as materialized (
    select s.channel_id, greatest(extract(epoch from s.recorded_at - ({_SOLD_AT})), 0) as seconds
    from (select * from sales_order where merchant_id = %(merchant_id)s order by order_id desc limit {ORDERS_MAX}) s
    join channel c on c.merchant_id = s.merchant_id and c.channel_id = s.channel_id and {_SOLD_AT} > c.created_at
    where s.recorded_at > %(since)s
)
select c.channel_id, percentile_cont(0.99) within group (order by l.seconds) as p99, count(*) as measured
from channel c join late l on l.channel_id <> c.channel_id
where c.merchant_id = %(merchant_id)s group by c.channel_id
"""  # noqa: S608  constants only
_SALES = f"""
    select l.item_id, s.placed_at, extract(epoch from s.placed_at - %(history)s)::float8 as t, sum(l.quantity) as units
    from (select s.order_id, {_SOLD_AT} as placed_at
          from (select order_id, channel_id, placed_at from sales_order
                where merchant_id = %(merchant_id)s order by order_id desc limit {ORDERS_MAX}) s
          join channel c on c.merchant_id = %(merchant_id)s and c.channel_id = s.channel_id) s
    join order_line l on l.merchant_id = %(merchant_id)s and l.order_id = s.order_id
    where l.item_id is not null and l.quantity > 0 and s.placed_at > %(history)s
    group by l.item_id, s.order_id, s.placed_at
"""  # noqa: S608  constants only
_SIZES = f"""
with sale as ({_SALES})
select units::bigint, count(*) as orders from sale group by units order by orders desc, units limit {SIZES_MAX}
"""  # noqa: S608  constants only
# For every sale, the item's orders within one staleness before it, and what was known of the item before that.
_SUMS = f"""
with sale as ({_SALES}), moment as (
    select placed_at, t - %(staleness)s as t, min(t) over (partition by item_id) as first,
           count(*) over (partition by item_id order by t
                          range between %(staleness)s preceding and current row exclude current row) as orders,
           sum(exp(t / %(tau)s)) over (partition by item_id order by t
                                       range between unbounded preceding and %(staleness)s preceding) as known,
           count(*) over (partition by item_id order by t
                          range between %(recent)s preceding and %(staleness)s preceding) as recent
    from sale
), measured as (
    select least(recent, {RECENT_MAX}) as recent, orders, (orders > 0)::int as y,
           known * exp(-t / %(tau)s) / (%(tau)s * (1 - exp(-greatest(t - first, %(life)s) / %(tau)s)))
               * %(staleness)s as x
    from moment where known is not null and placed_at > %(since)s
), weighed as (select *, 1 / (x + %(staleness)s / 864000) as w from measured)
select recent, count(*) as sales, sum(orders)::bigint as orders, sum(y)::bigint as any_orders, sum(w) as w,
       sum(w * x) as wx, sum(w * x * x) as wxx, sum(w * y) as wy, sum(w * x * y) as wxy
from weighed group by recent
""".replace("%(staleness)s", "%(staleness)s::float8").replace("%(recent)s", "%(recent)s::float8")  # noqa: S608
_WRITE = """
insert into channel_staleness (merchant_id, channel_id, arrival_s, push_s, arrivals, pushes, slopes, bases, follows,
                               sales, order_units, orders, measured_at)
values (%(merchant_id)s, %(channel)s, %(arrival)s, %(push)s, %(arrivals)s, %(pushes)s, %(slopes)s::float8[],
        %(bases)s::float8[], %(follows)s::float8[], %(sales)s, %(units)s::bigint[], %(orders)s::bigint[], %(now)s)
on conflict (merchant_id, channel_id) do update
set arrival_s = excluded.arrival_s, push_s = excluded.push_s, arrivals = excluded.arrivals, pushes = excluded.pushes,
    slopes = excluded.slopes, bases = excluded.bases, follows = excluded.follows, sales = excluded.sales,
    order_units = excluded.order_units, orders = excluded.orders, measured_at = excluded.measured_at
"""
LIFE_MIN_S = 7 * 86_400.0  # an item's rate is never taken over less
TAU_S = HALF_LIFE_S / 0.6931471805599453


@dataclass(frozen=True, slots=True)
class Delay:
    """A p99 in seconds, and over how many it was measured."""

    p99_s: float
    measured: int


@dataclass(frozen=True, slots=True)
class Staleness:
    """A channel's: until a sale elsewhere is known here (`arrival`), from there until the channel shows it (`push`);
    how orders cluster within the sum, from `sales` of them; the merchant's orders by units."""

    arrival: Delay
    push: Delay
    patterns: tuple[Pattern, ...]
    sales: int
    sizes: Mapping[int, float]
    measured_at: datetime

    @property
    def seconds(self) -> float:
        """From a sale elsewhere until this channel's number follows."""
        return _staleness_s(self.arrival, self.push)


def list_staleness(session: Session) -> dict[int, Staleness]:
    """By channel id, of the channels that were measured."""
    rows = session.rows("select * from channel_staleness where merchant_id = %(merchant_id)s")
    return {
        row.channel_id: Staleness(
            Delay(row.arrival_s, row.arrivals), Delay(row.push_s, row.pushes),
            tuple(Pattern(*figures) for figures in zip(row.slopes, row.bases, row.follows, strict=True)),
            row.sales, dict(zip(row.order_units, row.orders, strict=True)), row.measured_at,
        )
        for row in rows
    }  # fmt: skip


def is_measured(session: Session) -> bool:
    """Whether every channel of the merchant was measured lately."""
    old = session.row(
        """select from channel c left join channel_staleness s using (merchant_id, channel_id)
           where c.merchant_id = %(merchant_id)s and c.state <> 'disconnected'
             and (s.measured_at is null or s.measured_at <= %(before)s) limit 1""",
        before=session.now - MEASURE_EVERY,
    )
    return old is None


def measure_staleness(session: Session) -> None:
    """Measure every channel of the merchant; the number of statements depends on the channels alone."""
    for channel_id, staleness in read_staleness(session).items():
        _write(session, channel_id, staleness)


def read_staleness(session: Session) -> dict[int, Staleness]:
    """Every channel of the merchant measured now, by channel id; nothing is stored."""
    since = session.now - DELAYS_OVER
    arrivals = _delays(session.rows(_ARRIVALS, since=since), ASSUMED_ARRIVAL_S)
    pushes = _delays(session.rows(_PUSHES, since=since), ASSUMED_PUSH_S)
    sizes = {row.units: row.orders for row in session.rows(_SIZES, history=session.now - HISTORY)}
    channels = session.rows("select channel_id from channel where merchant_id = %(merchant_id)s order by channel_id")
    measured = {}
    for (channel_id,) in channels:
        arrival = arrivals.get(channel_id, Delay(ASSUMED_ARRIVAL_S, 0))
        push = pushes.get(channel_id, Delay(ASSUMED_PUSH_S, 0))
        sums = _read_sums(session, _staleness_s(arrival, push))
        patterns = tuple(fit(sums, _staleness_s(arrival, push)))
        sales = sum(s.sales for s in sums)
        measured[channel_id] = Staleness(arrival, push, patterns, sales, sizes, session.now)
    return measured


def _delays(rows: Iterable[Row], assumed_s: float) -> dict[int, Delay]:
    return {
        row.channel_id: Delay(
            float(row.p99) if row.measured >= MEASURED_MIN else max(float(row.p99), assumed_s), row.measured
        )
        for row in rows
    }


def _staleness_s(arrival: Delay, push: Delay) -> float:
    return min(max(arrival.p99_s + push.p99_s, 1.0), STALENESS_MAX_S)


def _read_sums(session: Session, staleness_s: float) -> list[Sums]:
    sums = [Sums()] * (RECENT_MAX + 1)
    for recent, *figures in session.rows(
        _SUMS,
        history=session.now - HISTORY,
        since=session.now - PATTERN_OVER,
        staleness=staleness_s,
        recent=staleness_s + RECENT_S,
        tau=TAU_S,
        life=LIFE_MIN_S,
    ):
        sums[recent] = Sums(*figures)
    return sums


def _write(session: Session, channel_id: int, staleness: Staleness) -> None:
    session.run(
        _WRITE,
        channel=channel_id,
        arrival=staleness.arrival.p99_s,
        push=staleness.push.p99_s,
        arrivals=staleness.arrival.measured,
        pushes=staleness.push.measured,
        slopes=[pattern.slope for pattern in staleness.patterns],
        bases=[pattern.base for pattern in staleness.patterns],
        follows=[pattern.follow for pattern in staleness.patterns],
        sales=staleness.sales,
        units=list(staleness.sizes),
        orders=list(staleness.sizes.values()),
        now=session.now,
    )
