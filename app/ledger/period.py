"""Accounting months: which day a fact is booked on, and closing a month for good.

A posting holds its month FOR SHARE and closing takes it FOR UPDATE, so that no commit can slip into a month whose
closing figures were just added up. Months close in order, and one that had no row when a later one was closed counts
as closed with it. Closing waits for nothing while it holds a month, so a posting may hold one more when it holds other
locks already.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from app.accounts import audit
from app.core.db import Pipeline, Row, Session
from app.core.errors import InvalidInput, NotFound
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
_LOCK = "select closed_at from period where merchant_id = %(merchant_id)s and month = %(month)s for update"
# Closing can't wait for a row that it does not see. So whoever makes a month's row holds the merchant and every later
# month that could be closed over it, and closing a month that has no row yet waits for whoever makes one.
_NO_MONTH_IS_CLOSED_UNSEEN = "select from merchant where merchant_id = %(merchant_id)s for share"
_NO_MONTH_IS_MADE = "select from merchant where merchant_id = %(merchant_id)s for no key update"
_NO_LATER_MONTH_IS_CLOSED = """
select from period where merchant_id = %(merchant_id)s and month > %(first)s and closed_at is null
order by month for share
"""
_ARE_MISSING = """
select exists (select from unnest(%(months)s::date[]) m where not exists (
    select from period p where p.merchant_id = %(merchant_id)s and p.month = m))
"""
# Nothing was booked in a month that had no row: it closed worth what the month before it did.
_INSERT = """
insert into period (merchant_id, month, closed_at, inventory_value, cogs)
select %(merchant_id)s, m, case when m < l.closed then %(now)s::timestamptz end,
       case when m < l.closed then coalesce((
           select b.inventory_value from period b where b.merchant_id = %(merchant_id)s and b.month < m
           order by b.month desc limit 1), 0) end,
       case when m < l.closed then 0 end
from unnest(%(months)s::date[]) m cross join (
    select max(month) as closed from period where merchant_id = %(merchant_id)s and closed_at is not null) l
where not exists (select from period p where p.merchant_id = %(merchant_id)s and p.month = m)
order by m on conflict do nothing
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
    if session.value(_ARE_MISSING, months=sorted(months)):
        session.run(_NO_MONTH_IS_CLOSED_UNSEEN)
        session.run(_NO_LATER_MONTH_IS_CLOSED, first=min(months))
        _make(session, sorted(months))


def end_of_day(day: date, time_zone: ZoneInfo) -> datetime:
    """The last instant of a local day."""
    following = datetime.combine(day + timedelta(days=1), time.min, time_zone)
    return following.astimezone(UTC) - timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Month:
    """An accounting month; its figures once it is closed: the stock's value at its end, its cost of goods sold."""

    month: date
    closed_at: datetime | None
    inventory_value: Decimal | None
    cogs: Decimal | None


def list_months(session: Session) -> Sequence[Month]:
    """Every month that has been booked in or closed, the first to come first."""
    rows = session.rows(
        """select month, closed_at, inventory_value, cogs from period where merchant_id = %(merchant_id)s
           order by month"""
    )
    return [Month(*row) for row in rows]


def close(session: Session, month: date) -> tuple[Decimal, Decimal]:
    """Close a month for good: (inventory value at its end, its cost of goods sold), stored. Raises InvalidInput when it
    is not over, PeriodClosed when it is closed or an earlier month with postings is open."""
    if month >= session.now.astimezone(get_merchant(session).time_zone).date().replace(day=1):
        raise InvalidInput("month_not_over", "only a month that is over can be closed", where="month")
    closed_at = _hold_to_close(session, month)
    _refuse_out_of_order(session, month, closed_at)
    figures = _closing_figures(session, month)
    session.run(
        """update period set closed_at = %(now)s, inventory_value = %(value)s, cogs = %(cogs)s
           where merchant_id = %(merchant_id)s and month = %(month)s""",
        now=session.now, value=figures[0], cogs=figures[1], month=month,
    )  # fmt: skip
    told = {"inventory_value": str(figures[0]), "cogs": str(figures[1])}
    audit.note(session, None, "month.closed", f"{month:%Y-%m}", after=told)
    return figures


def _hold_to_close(session: Session, month: date) -> datetime | None:
    """Wait for the postings that hold the month; when it was closed. Where nobody booked in it, there is no row to wait
    for: then for those that are about to make one, it or an earlier one."""
    row = session.row(_LOCK, month=month)
    if row is None:
        session.run(_NO_MONTH_IS_MADE)
        _make(session, [month])
        row = session.row(_LOCK, month=month)
    closed_at: datetime | None = None if row is None else row.closed_at
    return closed_at


def _refuse_out_of_order(session: Session, month: date, closed_at: datetime | None) -> None:
    if closed_at is not None:
        raise PeriodClosed("month_closed", f"{month:%Y-%m} is closed already")
    earlier = session.value(
        "select min(month) from period where merchant_id = %(merchant_id)s and month < %(month)s and closed_at is null",
        month=month,
    )
    if earlier is not None:
        raise PeriodClosed("earlier_month_open", f"close {earlier:%Y-%m} first")


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
    session.run(_INSERT, now=session.now, months=list(months))


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
