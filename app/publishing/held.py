"""What is held back for a number by its chance of overselling: read for a plan, and told in full for `why`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.core.db import Row, Session
from app.publishing.buffer import RECENT_S, Cap, Demand, HeldBack, bursts_elsewhere, cap_orders
from app.publishing.demand import DAY_S, RECENT_ORDERS
from app.publishing.staleness import Delay, Staleness, list_staleness

_HELD = f"""
select o.owner_id, d.units, d.low_below, {RECENT_ORDERS} as recent
from listing_demand d join stock_owner o using (merchant_id, owner_id)
where d.merchant_id = %(merchant_id)s and d.owner_id = any(%(owners)s)
"""  # noqa: S608  constants only
_DETAILS = f"""
select o.owner_id, o.channel_id, d.*, {RECENT_ORDERS} as recent_now
from listing_demand d join stock_owner o using (merchant_id, owner_id)
where d.merchant_id = %(merchant_id)s and d.owner_id = any(%(owners)s)
"""  # noqa: S608  constants only


@dataclass(frozen=True, slots=True)
class ByChance:
    """Why so many units are held back for a number. `target`: the chance of overselling that may be taken; orders a day
    on the others and on its own channel, over `orders` seen; `order_units`: mean units of an order; `recent`: orders
    right before, 2 stands for more; `bursts`: of orders elsewhere, expected within the staleness; `units` while fewer
    than `low_below` are available; `cap`: what a limit per order would save where bulk orders are what the units are
    for."""

    target: float
    others_per_day: float
    own_per_day: float
    orders: int
    order_units: float
    staleness_s: float
    arrival: Delay
    push: Delay
    bursts: float
    recent: int
    units: int
    low_below: int
    cap: Cap | None
    refreshed_at: datetime


def read_held(session: Session, owners: Sequence[Row]) -> dict[int, HeldBack]:
    """What is to be held back now, by owner id, of owner rows (owner_id, oversell_target); of those alone that have a
    target and are worked out."""
    wanted = [owner.owner_id for owner in owners if owner.oversell_target is not None]
    if not wanted:
        return {}
    rows = session.rows(_HELD, owners=wanted, recent_since=session.now - timedelta(seconds=RECENT_S))
    return {row.owner_id: HeldBack(row.units[row.recent], row.low_below[row.recent]) for row in rows}


def explain_held(session: Session, owners: Sequence[Row]) -> dict[int, ByChance]:
    """The same with its reasons."""
    wanted = [owner.owner_id for owner in owners if owner.oversell_target is not None]
    if not wanted:
        return {}
    known = list_staleness(session)
    rows = session.rows(_DETAILS, owners=wanted, recent_since=session.now - timedelta(seconds=RECENT_S))
    return {row.owner_id: _explain(row, known[row.channel_id]) for row in rows}


def _explain(row: Row, staleness: Staleness) -> ByChance:
    recent, target = row.recent_now, float(row.target)
    pattern = staleness.patterns[recent]
    sizes = tuple(zip(row.order_units, row.order_chances, strict=True))
    demand = Demand(row.own_per_day / DAY_S, row.others_per_day / DAY_S, sizes)
    return ByChance(
        target=target,
        others_per_day=row.others_per_day,
        own_per_day=row.own_per_day,
        orders=row.seen,
        order_units=sum(size * chance for size, chance in sizes),
        staleness_s=staleness.seconds,
        arrival=staleness.arrival,
        push=staleness.push,
        bursts=bursts_elsewhere(demand, pattern, staleness.seconds)[0],
        recent=recent,
        units=row.units[recent],
        low_below=row.low_below[recent],
        cap=cap_orders(demand, pattern, staleness.seconds, target),
        refreshed_at=row.refreshed_at,
    )
