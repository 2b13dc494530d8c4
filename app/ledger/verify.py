"""Does the ledger keep its promises on the live data? Each check is one statement over what is stored."""

from __future__ import annotations

from dataclasses import dataclass

from app.core.db import Session
from app.ledger.seal import BROKEN

SHOWN_MAX = 20  # of each kind of fault

FLOWS = """
flows as (
    select item_id, from_location_id as location_id, from_state as state, -quantity as quantity
    from movement where merchant_id = %(merchant_id)s and from_location_id is not null
    union all
    select item_id, to_location_id, to_state, quantity
    from movement where merchant_id = %(merchant_id)s and to_location_id is not null
), sums as (
    select item_id, location_id,
           coalesce(sum(quantity) filter (where state = 'available'), 0) as available,
           coalesce(sum(quantity) filter (where state = 'committed'), 0) as committed,
           coalesce(sum(quantity) filter (where state = 'damaged'), 0) as damaged,
           coalesce(sum(quantity) filter (where state = 'quarantined'), 0) as quarantined,
           coalesce(sum(quantity) filter (where state = 'in_transit'), 0) as in_transit
    from flows group by item_id, location_id
)
"""
_BOOKS = """
booked as (
    select item_id,
           sum(case when debit = 'inventory' then amount when credit = 'inventory' then -amount else 0 end) as value
    from journal where merchant_id = %(merchant_id)s group by item_id
), layered as (
    select item_id, sum(quantity) as quantity, sum(value) as value
    from cost_layer where merchant_id = %(merchant_id)s and is_open group by item_id
), owned as (
    select item_id, sum(available + committed + damaged + quarantined + in_transit) as quantity
    from level where merchant_id = %(merchant_id)s group by item_id
)
"""

CHECKS = {
    "level_is_not_the_sum_of_its_movements": f"""
        with {FLOWS}
        select coalesce(s.item_id, l.item_id) as item_id, coalesce(s.location_id, l.location_id)::text as place
        from sums s full join (select * from level where merchant_id = %(merchant_id)s) l using (item_id, location_id)
        where (coalesce(s.available, 0), coalesce(s.committed, 0), coalesce(s.damaged, 0), coalesce(s.quarantined, 0),
               coalesce(s.in_transit, 0))
           is distinct from
              (coalesce(l.available, 0), coalesce(l.committed, 0), coalesce(l.damaged, 0), coalesce(l.quarantined, 0),
               coalesce(l.in_transit, 0))""",  # noqa: S608  constants only, here and below
    "history_can_be_changed": """
        select 0 as item_id, t.name as place
        from unnest(array['movement', 'journal', 'cost_adjustment', 'movement_purchase']) t(name)
        where not exists (select from pg_trigger g where g.tgrelid = t.name::regclass and g.tgname = 'append_only'
                          and g.tgenabled = 'O')
           or has_table_privilege(current_user, t.name, 'UPDATE')
           or has_table_privilege(current_user, t.name, 'DELETE')""",
    "purchase_is_not_what_was_booked": """
        select m.item_id, p.amount || ' ' || p.currency || ' at ' || p.rate as place
        from movement_purchase p join movement m using (merchant_id, movement_id)
        where merchant_id = %(merchant_id)s and abs(p.amount * p.rate - (
            select coalesce(sum(j.amount), 0) from journal j
            where j.merchant_id = p.merchant_id and j.posting_id = p.movement_id
              and j.credit = 'goods_received_not_invoiced')) > 0.00005""",
    "key_is_not_unique": """
        select min(item_id) as item_id, source || ' ' || source_key as place from movement
        where merchant_id = %(merchant_id)s group by source, source_key having count(*) > 1""",
    "value_is_not_that_of_the_layers": f"""
        with {_BOOKS}
        select c.item_id, 'cost' as place from item_cost c
        left join booked b using (item_id) left join layered l using (item_id) left join owned o using (item_id)
        where c.merchant_id = %(merchant_id)s
          and ((c.value, c.quantity) is distinct from (coalesce(b.value, 0), coalesce(o.quantity, 0))
               or (c.value, c.quantity) is distinct from (coalesce(l.value, 0), coalesce(l.quantity, 0)))
        union all
        select b.item_id, 'no cost row' from booked b
        where b.value <> 0 and not exists (
            select from item_cost c where c.merchant_id = %(merchant_id)s and c.item_id = b.item_id)""",  # noqa: S608
    "cost_crossed_the_border_unbooked": """
        select m.item_id, m.movement_id::text as place from movement m
        where m.merchant_id = %(merchant_id)s and (m.from_location_id is null) <> (m.to_location_id is null)
          and not exists (
              select from journal j where j.merchant_id = m.merchant_id and j.posting_id = m.movement_id)""",
    "order_position_is_not_its_movements": """
        select item_id, location_id::text as place from (
            select item_id, location_id, sum(committed) as committed from order_position
            where merchant_id = %(merchant_id)s group by item_id, location_id) p
        full join (
            select item_id, location_id, sum(quantity) as committed from (
                select item_id, from_location_id as location_id, -quantity as quantity from movement
                where merchant_id = %(merchant_id)s and source in ('order', 'before') and from_state = 'committed'
                union all
                select item_id, to_location_id, quantity from movement
                where merchant_id = %(merchant_id)s and source in ('order', 'before') and to_state = 'committed') f
            group by item_id, location_id) m using (item_id, location_id)
        where coalesce(p.committed, 0) <> coalesce(m.committed, 0)""",
    "sealed_history_was_changed": BROKEN,
}


@dataclass(frozen=True, slots=True)
class Finding:
    """A broken promise: which, and where (`item_id` 0 where it is about no item)."""

    check: str
    item_id: int
    place: str


def verify(session: Session) -> list[Finding]:
    """All checks; an empty list means that the ledger is sound. At most 20 findings of a kind."""
    return [
        Finding(check, row.item_id, row.place)
        for check, sql in CHECKS.items()
        for row in session.rows(f"select * from ({sql}) f limit {SHOWN_MAX}")  # noqa: S608  constants only
    ]
