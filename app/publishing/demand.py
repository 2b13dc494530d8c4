"""What each listing with an oversell target sells, and the units to hold back for it: worked out beside the pushing, so
that planning stays a cheap read. A number whose buffer changes is due (a trigger says so).
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from app.core.db import Row, Session
from app.core.runtime import Runtime
from app.publishing.buffer import RECENT_MAX, RECENT_S, UNITS_MAX, Demand, HeldBack, hold_back, mix_sizes
from app.publishing.staleness import (
    HISTORY,
    LIFE_MIN_S,
    TAU_S,
    Staleness,
    is_measured,
    list_staleness,
    measure_staleness,
    read_staleness,
)  # fmt: skip

REFRESH_EVERY = timedelta(hours=1)
OWNERS_MAX = 500  # worked out in one batch
BATCHES_MAX = 40  # in one call; the others wait for the next
LINES_MAX = 2_000  # of an item's orders, the latest
DAY_S = 86_400

# Who needs working out: never done, an hour old, or done for another target. The longest waiting first.
_STALE = f"""
select o.owner_id, o.channel_id, o.item_id, o.oversell_target from stock_owner o
join channel_staleness c using (merchant_id, channel_id)
left join listing_demand d using (merchant_id, owner_id)
where o.merchant_id = %(merchant_id)s and o.oversell_target is not null and o.item_id is not null
  and o.state = 'managed'
  and (d.owner_id is null or d.refreshed_at <= %(before)s or d.target <> o.oversell_target)
order by d.refreshed_at nulls first, o.owner_id limit {OWNERS_MAX}
"""  # noqa: S608  a constant only
# Orders that take from what a number counts: of its item, of kits that hold it, of its own parts if it is a kit; in the
# number's own units, part of one counted as one.
_ORDERS = f"""
with feeds as (
    select o.owner_id, o.channel_id, f.item_id, f.times, f.part from stock_owner o cross join lateral (
        select o.item_id, 1::bigint as times, 1::bigint as part
        union all
        select k.kit_item_id, k.quantity, 1 from kit_component k
        where k.merchant_id = o.merchant_id and k.component_item_id = o.item_id
        union all
        select k.component_item_id, 1, k.quantity from kit_component k
        where k.merchant_id = o.merchant_id and k.kit_item_id = o.item_id) f
    where o.merchant_id = %(merchant_id)s and o.owner_id = any(%(owners)s)
), taken as (
    select f.owner_id, l.order_id, s.channel_id = f.channel_id as own, s.placed_at,
           ceil(sum(l.quantity * f.times::numeric / f.part))::bigint as units
    from feeds f cross join lateral (
        select order_id, quantity from order_line l where l.merchant_id = %(merchant_id)s and l.item_id = f.item_id
        order by l.order_id desc limit {LINES_MAX}) l
    join sales_order s on s.merchant_id = %(merchant_id)s and s.order_id = l.order_id
    where l.quantity > 0 and s.placed_at > %(history)s
    group by f.owner_id, l.order_id, own, s.placed_at
)
select owner_id, own, least(units, {UNITS_MAX + 1}) as units, count(*) as orders, min(placed_at) as first_at,
       sum(exp(-greatest(extract(epoch from %(now)s - placed_at), 0) / %(tau)s))::float8 as weight
from taken group by owner_id, own, least(units, {UNITS_MAX + 1})
"""  # noqa: S608  constants only
_WRITE = """
insert into listing_demand (merchant_id, owner_id, target, own_per_day, others_per_day, seen, order_units,
                            order_chances, units, low_below, refreshed_at)
select %(merchant_id)s, u.owner_id, u.target, u.own, u.others, u.seen, u.order_units::bigint[],
       u.order_chances::float8[], u.units::bigint[], u.low_below::bigint[], %(now)s
from unnest(%(owners)s::bigint[], %(targets)s::numeric[], %(own)s::float8[], %(others)s::float8[], %(seen)s::bigint[],
            %(order_units)s::text[], %(order_chances)s::text[], %(units)s::text[], %(low_below)s::text[])
     u(owner_id, target, own, others, seen, order_units, order_chances, units, low_below)
order by u.owner_id
on conflict (merchant_id, owner_id) do update
set target = excluded.target, own_per_day = excluded.own_per_day, others_per_day = excluded.others_per_day,
    seen = excluded.seen, order_units = excluded.order_units, order_chances = excluded.order_chances,
    units = excluded.units, low_below = excluded.low_below, refreshed_at = excluded.refreshed_at
"""
_DROP = """
delete from listing_demand d using stock_owner o
where d.merchant_id = %(merchant_id)s and o.merchant_id = d.merchant_id and o.owner_id = d.owner_id
  and (o.oversell_target is null or o.item_id is null or o.state <> 'managed')
"""
# Orders right before, by owner: counted only as far as it matters.
RECENT_ORDERS = f"""
    (select count(*) from (
        select distinct l.order_id from order_line l
        where l.merchant_id = o.merchant_id and l.item_id = o.item_id order by l.order_id desc limit {RECENT_MAX}) l
     join sales_order s on s.merchant_id = o.merchant_id and s.order_id = l.order_id
     join channel c on c.merchant_id = s.merchant_id and c.channel_id = s.channel_id
     where s.placed_at > %(recent_since)s::timestamptz + make_interval(secs => c.clock_skew_s))
"""  # noqa: S608  a constant only
_RECENT = f"""
select o.owner_id, {RECENT_ORDERS} as recent from stock_owner o
where o.merchant_id = %(merchant_id)s and o.owner_id = any(%(owners)s)
"""  # noqa: S608  constants only
_CALM = f"""
update listing_demand d set recent = n.recent
from (select o.owner_id, {RECENT_ORDERS} as recent
      from listing_demand c join stock_owner o using (merchant_id, owner_id)
      where c.merchant_id = %(merchant_id)s) n
where d.merchant_id = %(merchant_id)s and d.owner_id = n.owner_id and d.recent <> n.recent
"""  # noqa: S608  constants only


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What one call did: whether the channels were measured anew, and for how many numbers units were worked out."""

    measured: bool
    owners: int


@dataclass(slots=True)
class _Orders:
    """An owner's orders: decayed, on its own channel and on the others; by units; the first one's age in seconds."""

    own: float = 0.0
    others: float = 0.0
    age_s: float = LIFE_MIN_S
    sizes: Counter[int] = field(default_factory=Counter)


def refresh_buffers(runtime: Runtime, merchant_id: int) -> Refreshed:
    """Measure the merchant's channels every few hours, work out what is an hour old, let go of buffers that a rush is
    over for. Repeated at once it does nothing. Work per batch of OWNERS_MAX is a constant number of statements."""
    now = runtime.clock()
    with runtime.begin(merchant_id, now) as session:
        wanted = session.row(
            """select from stock_owner where merchant_id = %(merchant_id)s and oversell_target is not null limit 1"""
        )
        session.run(_DROP)
        measured = wanted is not None and not is_measured(session)
        if measured:
            measure_staleness(session)
        known = list_staleness(session)
    if wanted is None:
        return Refreshed(measured=False, owners=0)
    done = 0
    for _ in range(BATCHES_MAX):
        batch = _refresh_batch(runtime, merchant_id, known)
        done += batch
        if batch < OWNERS_MAX:
            break
    with runtime.begin(merchant_id, now) as session:
        session.run(_CALM, recent_since=now - timedelta(seconds=RECENT_S))
    return Refreshed(measured, done)


def _refresh_batch(runtime: Runtime, merchant_id: int, known: Mapping[int, Staleness]) -> int:
    now = runtime.clock()
    with runtime.begin(merchant_id, now) as session:
        owners = [o for o in session.rows(_STALE, before=now - REFRESH_EVERY) if o.channel_id in known]
        orders = _read_orders(session, [owner.owner_id for owner in owners])
    if not owners:
        return 0
    demands = [demand_of(orders[o.owner_id], known[o.channel_id].sizes) for o in owners]
    held = [
        _hold_back(demand, known[owner.channel_id], float(owner.oversell_target))
        for owner, demand in zip(owners, demands, strict=True)
    ]
    with runtime.begin(merchant_id, now) as session:
        _write(session, owners, orders, demands=demands, held=held)
    return len(owners)


def _read_orders(session: Session, owners: list[int]) -> defaultdict[int, _Orders]:
    orders: defaultdict[int, _Orders] = defaultdict(_Orders)
    for row in session.rows(
        _ORDERS, owners=owners, history=session.now - HISTORY, now=session.now, tau=TAU_S
    ):  # fmt: skip
        some = orders[row.owner_id]
        if row.own:
            some.own += row.weight
        else:
            some.others += row.weight
        some.sizes[row.units] += row.orders
        some.age_s = max(some.age_s, (session.now - row.first_at).total_seconds())
    return orders


def demand_of(orders: _Orders, everybody: Mapping[int, float]) -> Demand:
    """Orders a second now, the latest counting most, over no less than a week; sizes drawn towards everybody's."""
    over_s = TAU_S * -math.expm1(-orders.age_s / TAU_S)
    return Demand(orders.own / over_s, orders.others / over_s, mix_sizes(orders.sizes, everybody))


def suppose_held(session: Session, wanted: Mapping[int, tuple[int, float]]) -> dict[int, HeldBack]:
    """What would be held back now for these owners: (channel id, chance of overselling) by owner id. Nothing is
    stored."""
    if not wanted:
        return {}
    known = list_staleness(session)
    if not known.keys() >= {channel_id for channel_id, _ in wanted.values()}:
        known = {**read_staleness(session), **known}
    orders = _read_orders(session, list(wanted))
    recent = session.rows(
        _RECENT, owners=list(wanted), recent_since=session.now - timedelta(seconds=RECENT_S)
    )  # fmt: skip
    held = {}
    for row in recent:
        channel_id, target = wanted[row.owner_id]
        staleness = known[channel_id]
        demand = demand_of(orders[row.owner_id], staleness.sizes)
        held[row.owner_id] = hold_back(demand, staleness.patterns[row.recent], staleness.seconds, target)
    return held


def _hold_back(demand: Demand, staleness: Staleness, target: float) -> list[HeldBack]:
    return [hold_back(demand, pattern, staleness.seconds, target) for pattern in staleness.patterns]


def _write(
    session: Session,
    owners: Sequence[Row],
    orders: Mapping[int, _Orders],
    *,
    demands: Sequence[Demand],
    held: Sequence[Sequence[HeldBack]],
) -> None:
    session.run(
        _WRITE,
        now=session.now,
        owners=[owner.owner_id for owner in owners],
        targets=[owner.oversell_target for owner in owners],
        own=[demand.own_per_s * DAY_S for demand in demands],
        others=[demand.others_per_s * DAY_S for demand in demands],
        seen=[sum(orders[owner.owner_id].sizes.values()) for owner in owners],
        order_units=[_literal([size for size, _ in demand.sizes]) for demand in demands],
        order_chances=[_literal([chance for _, chance in demand.sizes]) for demand in demands],
        units=[_literal([each.units for each in some]) for some in held],
        low_below=[_literal([each.low_below for each in some]) for some in held],
    )


def _literal(values: Sequence[float]) -> str:
    """A row's own array, which travels as text within an array of rows."""
    return "{" + ",".join(map(str, values)) + "}"
