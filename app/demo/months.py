"""Inventory value and cost of goods sold, month by month, from the journal."""

from __future__ import annotations

from app.core.db import Session

_MONTHS = """
with m as (
    select date_trunc('month', posted_on)::date as month,
           sum(case when debit = 'inventory' then amount
                    when credit = 'inventory' then -amount else 0 end) as inventory,
           sum(case when debit = 'cost_of_goods_sold' then amount
                    when credit = 'cost_of_goods_sold' then -amount else 0 end) as cogs
    from journal where merchant_id = %(merchant_id)s group by 1
)
select to_char(month, 'YYYY-MM') as month, sum(inventory) over (order by month) as inventory_value, cogs
from m order by month
"""


def read_months(session: Session) -> list[dict[str, str]]:
    """`month`, `inventory_value` at its end and `cogs` in it, as text of exact amounts."""
    return [
        {"month": row.month, "inventory_value": str(row.inventory_value), "cogs": str(row.cogs)}
        for row in session.rows(_MONTHS)
    ]
