"""Accounting months: which day a fact is booked on, and closing a month for good.

A posting holds its month FOR SHARE and closing takes it FOR UPDATE, so that no commit can slip into a month whose
closing figures were just added up. Months close in order. Closing waits for nothing while it holds a month, so a
posting may hold one more when it holds other locks already.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from app.core.db import Pipeline, Row, Session
from app.core.errors import NotFound
from app.ledger.models import CostMethod, MissingRows, PeriodClosed

_ZONES_REACH = timedelta(hours=14)  # the farthest a local time is from UTC
_MERCHANT = "select cost_method, currency, time_zone from merchant where merchant_id = %(merchant_id)s"
_HOLD = """
select month, closed_at from period where merchant_id = %(merchant_id)s and month = any(%(months)s::date[])
order by month for share
"""
_FIRST_OPEN = """
select (max(month) + interval '1 month')::date from period
where merchant_id = %(merchant_id)s and closed_at is not null
"""


@dataclass(frozen=True, slots=True)
class Merchant:
    """What posting needs to know of the merchant."""

    cost_method: CostMethod
    currency: str
    time_zone: ZoneInfo


def get_merchant(session: Session) -> Merchant:
    """The session's merchant; raises NotFound."""
    return _merchant(session.row(_MERCHANT))


def _merchant(row: Row | None) -> Merchant:
    if row is None:
        raise NotFound("unknown_merchant", "no such merchant")
    cost_method, currency, time_zone = row
    return Merchant(CostMethod(cost_method), currency, zone(time_zone))


@lru_cache(maxsize=256)
def zone(name: str) -> ZoneInfo:
    """A time zone by name (immutable, so remembering it can't be wrong)."""
    return ZoneInfo(name)


@dataclass(frozen=True, slots=True)
class Asked:
    """Answers on their way: the merchant, and every month that the instants may belong to, held."""

    merchant: Any
    months: Any


def ask(line: Pipeline, occurred: Collection[datetime]) -> Asked:
    """Hold the months of the instants against closing until the transaction ends."""
    return Asked(line.run(_MERCHANT), _hold(line, _months_about(occurred)))


def days(line: Pipeline, asked: Asked, occurred: Sequence[datetime]) -> tuple[Merchant, list[date]]:
    """The accounting day of each instant: the local day if its month is open, else the first day of the first open
    month. Raises MissingRows when a month has no row yet (`make_months`)."""
    merchant = _merchant(asked.merchant.fetchone())
    held = dict(asked.months.fetchall())
    by_instant = {}
    for instant in set(occurred):
        day = instant.astimezone(merchant.time_zone).date()
        if _closed(held, day):
            day = max(day, _hold_first_open(line, held))
        by_instant[instant] = day
    return merchant, [by_instant[instant] for instant in occurred]


def make_months(session: Session, occurred: Collection[datetime]) -> None:
    """Rows for all months that the instants may be booked in."""
    zone = get_merchant(session).time_zone
    months = {instant.astimezone(zone).date().replace(day=1) for instant in occurred}
    opening = session.value(_FIRST_OPEN)
    if opening is not None and min(months) < opening:
        months.add(opening)
    _make(session, sorted(months))


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


def _months_about(occurred: Collection[datetime]) -> set[date]:
    """Of each instant in any time zone."""
    utc = {instant.astimezone(UTC) for instant in occurred}
    return {(instant + off).date().replace(day=1) for instant in utc for off in (-_ZONES_REACH, _ZONES_REACH)}


def _hold(line: Pipeline, months: Collection[date]) -> Any:
    return line.run(_HOLD, months=sorted(months))


def _closed(held: Mapping[date, datetime | None], day: date) -> bool:
    month = day.replace(day=1)
    if month not in held:
        raise MissingRows
    return held[month] is not None


def _hold_first_open(line: Pipeline, held: dict[date, datetime | None]) -> date:
    """The first day that is open, its month held; as often as it closes meanwhile."""
    while True:
        opening: date = line.run(_FIRST_OPEN).fetchone()[0]
        if opening not in held:
            held.update(_hold(line, [opening]).fetchall())
        if not _closed(held, opening):
            return opening


def _make(session: Session, months: Sequence[date]) -> None:
    session.run(
        """insert into period (merchant_id, month)
           select %(merchant_id)s, m from unnest(%(months)s::date[]) m
           where not exists (select from period p where p.merchant_id = %(merchant_id)s and p.month = m)
           order by m on conflict do nothing""",
        months=list(months),
    )


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
