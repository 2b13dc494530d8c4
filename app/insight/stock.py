"""Levels as data: what there is of each item at each place, page by page along the key. Only reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.core.db import Session

_SELECT = """
select l.item_id, i.sku, l.location_id, l.available, l.committed, l.damaged, l.quarantined, l.in_transit, l.on_hand
from level l join item i using (merchant_id, item_id)
"""
_LIST = f"""
{_SELECT} where l.merchant_id = %(merchant_id)s and (l.item_id, l.location_id) > (%(item_after)s, %(place_after)s)
  and (%(item)s::bigint is null or l.item_id = %(item)s)
  and (%(place)s::bigint is null or l.location_id = %(place)s)
order by l.item_id, l.location_id limit %(limit)s
"""
_NAMED = f"""
{_SELECT} join unnest(%(items)s::bigint[], %(places)s::bigint[]) k(item_id, location_id) using (item_id, location_id)
where l.merchant_id = %(merchant_id)s order by l.item_id, l.location_id
"""


@dataclass(frozen=True, slots=True)
class Stock:
    """Units of an item at a place, by what they are there for."""

    item_id: int
    sku: str
    location_id: int
    available: int
    committed: int
    damaged: int
    quarantined: int
    in_transit: int
    on_hand: int


def list_stock(
    session: Session, *, item_id: int | None, location_id: int | None, after: tuple[int, int], limit: int
) -> Sequence[Stock]:
    """At most `limit` levels behind (item, place), of one item, of one place, or all."""
    item_after, place_after = after
    rows = session.rows(
        _LIST, item=item_id, place=location_id, item_after=item_after, place_after=place_after, limit=limit
    )
    return [Stock(*row) for row in rows]


def list_stock_at(session: Session, pairs: Sequence[tuple[int, int]]) -> Sequence[Stock]:
    """The levels of these (item, place)."""
    ordered = sorted(set(pairs))
    rows = session.rows(_NAMED, items=[item for item, _ in ordered], places=[place for _, place in ordered])
    return [Stock(*row) for row in rows]
