"""Accounting months: which day a fact is booked on, and closing a month for good.

A posting holds its month FOR SHARE and closing takes it FOR UPDATE, so that no commit can slip into a month whose
closing figures were just added up. Months close in order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from zoneinfo import ZoneInfo

from app.core.db import Session
from app.core.errors import NotFound
from app.ledger.models import CostMethod, PeriodClosed


@dataclass(frozen=True, slots=True)
class Merchant:
    """What posting needs to know of the merchant."""

    cost_method: CostMethod
    currency: str
    time_zone: ZoneInfo


def get_merchant(session: Session) -> Merchant:
    """The session's merchant; raises NotFound."""
    row = session.row("select cost_method, currency, time_zone from merchant where merchant_id = %(merchant_id)s")
    if row is None:
        raise NotFound("unknown_merchant", "no such merchant")
    return Merchant(CostMethod(row.cost_method), row.currency, zone(row.time_zone))


@lru_cache(maxsize=256)
def zone(name: str) -> ZoneInfo:
    """A time zone by name (immutable, so remembering it can't be wrong)."""
    return ZoneInfo(name)


def hold(session: Session, occurred: Sequence[datetime]) -> tuple[Merchant, list[date]]:
    """The accounting day of each instant, with its month held open until the transaction ends.

    The day is the local day if its month is open, else the first day of the first open month.
    """
    merchant = get_merchant(session)
    days = [instant.astimezone(merchant.time_zone).date() for instant in occurred]
    while True:
        months = sorted({day.replace(day=1) for day in days})
        closed = _hold_months(session, months)
        if not closed:
            return merchant, days
        opening = _first_open(session)
        days = [max(day, opening) if day.replace(day=1) in closed else day for day in days]


def close(session: Session, month: date) -> tuple[Decimal, Decimal]:
    """Close a month: (inventory value at its end, its cost of goods sold), stored. Raises PeriodClosed when it is
    closed or an earlier month with postings is open."""
    earlier = session.value(
        "select min(month) from period where merchant_id = %(merchant_id)s and month < %(month)s and closed_at is null",
        month=month,
    )
    if earlier is not None:
        raise PeriodClosed("earlier_month_open", f"close {earlier:%Y-%m} first")
    _make(session, [month])
    row = session.row(
        "select closed_at from period where merchant_id = %(merchant_id)s and month = %(month)s for update", month=month
    )
    if row is not None and row.closed_at is not None:
        raise PeriodClosed("month_closed", f"{month:%Y-%m} is closed")
    figures = _closing_figures(session, month)
    session.run(
        """update period set closed_at = %(now)s, inventory_value = %(value)s, cogs = %(cogs)s
           where merchant_id = %(merchant_id)s and month = %(month)s""",
        now=session.now, value=figures[0], cogs=figures[1], month=month,
    )  # fmt: skip
    return figures


def _hold_months(session: Session, months: Sequence[date]) -> set[date]:
    """Lock the months against closing; returns those that are closed already."""
    query = """select month, closed_at from period where merchant_id = %(merchant_id)s and month = any(%(months)s)
               order by month for share"""
    rows = session.rows(query, months=list(months))
    if len(rows) < len(months):
        _make(session, months)
        rows = session.rows(query, months=list(months))
    return {row.month for row in rows if row.closed_at is not None}


def _make(session: Session, months: Sequence[date]) -> None:
    session.run(
        """insert into period (merchant_id, month)
           select %(merchant_id)s, m from unnest(%(months)s::date[]) m order by m on conflict do nothing""",
        months=list(months),
    )


def _first_open(session: Session) -> date:
    """The first day after the last closed month."""
    day: date = session.value(
        """select (max(month) + interval '1 month')::date from period
           where merchant_id = %(merchant_id)s and closed_at is not null"""
    )
    return day


def _closing_figures(session: Session, month: date) -> tuple[Decimal, Decimal]:
    row = session.row(
        """select coalesce(sum(amount) filter (where debit = 'inventory'), 0)
                - coalesce(sum(amount) filter (where credit = 'inventory'), 0),
                  coalesce(sum(amount) filter (where debit = 'cost_of_goods_sold' and posted_on >= %(month)s), 0)
                - coalesce(sum(amount) filter (where credit = 'cost_of_goods_sold' and posted_on >= %(month)s), 0)
           from journal where merchant_id = %(merchant_id)s and posted_on < (%(month)s + interval '1 month')::date""",
        month=month,
    )
    assert row is not None  # noqa: S101  an aggregate always has its row
    return row[0], row[1]
