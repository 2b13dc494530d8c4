"""What the stock was worth on a day and what was sold cost, straight from the journal."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from app.core.db import Session

_VALUE = """
select coalesce(sum(amount) filter (where debit = 'inventory'), 0)
     - coalesce(sum(amount) filter (where credit = 'inventory'), 0) as inventory_value,
       coalesce(sum(amount) filter (where debit = 'cost_of_goods_sold' and posted_on >= %(since)s), 0)
     - coalesce(sum(amount) filter (where credit = 'cost_of_goods_sold' and posted_on >= %(since)s), 0) as cogs
from journal where merchant_id = %(merchant_id)s and posted_on <= %(as_of)s
"""


@dataclass(frozen=True, slots=True)
class Worth:
    """The stock's value at the end of a day, and the cost of goods sold from a day to that one, both included."""

    inventory_value: Decimal
    cogs: Decimal


def worth_on(session: Session, *, since: date, as_of: date) -> Worth:
    """By the day each posting is booked on, in the merchant's time zone."""
    row = session.row(_VALUE, since=since, as_of=as_of)
    assert row is not None  # noqa: S101  an aggregate always has its row
    return Worth(row.inventory_value, row.cogs)
