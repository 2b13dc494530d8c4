"""Orders as data: what a channel sold, what of it is booked, and what its lines hold and have shipped. Only reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from app.core.db import Session
from app.core.errors import NotFound

LINES_MAX = 1_000
_SELECT = """
select o.order_id, o.channel_id, c.name as channel, o.order_key, o.number, o.status, o.currency, o.placed_at,
       o.recorded_at, o.posting_no > 0 as booked
from sales_order o join channel c using (merchant_id, channel_id)
"""
_LIST = f"""
{_SELECT} where o.merchant_id = %(merchant_id)s and (%(before)s::bigint is null or o.order_id < %(before)s)
  and (%(channel)s::bigint is null or o.channel_id = %(channel)s)
  and (%(number)s::text is null or o.number = %(number)s)
order by o.order_id desc limit %(limit)s
"""
_ONE = f"{_SELECT} where o.merchant_id = %(merchant_id)s and o.order_id = %(id)s"
_LINES = f"""
select l.line_key, l.listing_key, l.sku, l.item_id, i.sku as item_sku, l.quantity, l.unit_price,
       coalesce(p.committed, 0) as committed, coalesce(p.shipped, 0) as shipped, coalesce(p.restocked, 0) as restocked,
       coalesce(p.damaged, 0) as damaged, coalesce(p.held, 0) as held
from order_line l left join item i on i.merchant_id = l.merchant_id and i.item_id = l.item_id
left join lateral (
    select sum(committed)::bigint as committed, sum(shipped)::bigint as shipped, sum(restocked)::bigint as restocked,
           sum(damaged)::bigint as damaged, sum(held)::bigint as held
    from order_position p where p.merchant_id = l.merchant_id and p.order_id = l.order_id and p.line_key = l.line_key
      and p.item_id = l.item_id) p on true
where l.merchant_id = %(merchant_id)s and l.order_id = %(id)s order by l.line_key limit {LINES_MAX}
"""  # noqa: S608  constants only


@dataclass(frozen=True, slots=True)
class Order:
    """An order as held. Not `booked`: it waits, such as for its product to be mapped."""

    order_id: int
    channel_id: int
    channel: str
    order_key: str
    number: str
    status: str
    currency: str | None
    placed_at: datetime | None
    recorded_at: datetime
    booked: bool


@dataclass(frozen=True, slots=True)
class OrderLine:
    """A line and what is booked of it over all places; of a kit the parts are in the movements."""

    line_key: str
    listing_key: str | None
    sku: str | None
    item_id: int | None
    item_sku: str | None
    quantity: int
    unit_price: Decimal | None
    committed: int
    shipped: int
    restocked: int
    damaged: int
    held: int


def list_orders(
    session: Session, *, channel_id: int | None, number: str | None, before: int | None, limit: int
) -> Sequence[Order]:
    """At most `limit` orders that came before order `before`, the latest first."""
    rows = session.rows(_LIST, channel=channel_id, number=number, before=before, limit=limit)
    return [Order(*row) for row in rows]


def get_order(session: Session, order_id: int) -> Order:
    """Raises NotFound, also for another merchant's."""
    row = session.row(_ONE, id=order_id)
    if row is None:
        raise NotFound("unknown_order", "no such order")
    return Order(*row)


def list_lines(session: Session, order_id: int) -> Sequence[OrderLine]:
    """The order's lines."""
    return [OrderLine(*row) for row in session.rows(_LINES, id=order_id)]
