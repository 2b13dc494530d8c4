"""Items as people look for them: pages of a hundred in a stated order, searched by SKU, name or barcode, with levels.

Every page is found by its key, never by counting off, so the last page of 100,000 items costs what the first one does.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from decimal import Decimal

import orjson

from app.core.db import Session
from app.core.errors import InvalidInput
from app.listings.lookup import contains

PAGE_ROWS = 100
SEARCH_MAX = 200
_CURSOR_MAX = 4_000
# What may be sorted by: (column, direction, comparison). The item's id settles ties.
SORTS = {
    "sku": ("i.sku", "asc", ">"),
    "-sku": ("i.sku", "desc", "<"),
    "name": ("i.name", "asc", ">"),
    "-name": ("i.name", "desc", "<"),
}

# A kit has, at each place, what its scarcest component allows.
_LEVELS = """
left join lateral (
    select sum(l.available)::bigint as available, sum(l.committed)::bigint as committed,
           sum(l.on_hand)::bigint as on_hand
    from level l where l.merchant_id = i.merchant_id and l.item_id = i.item_id) v on true
left join lateral (
    select sum(p.units)::bigint as available from (
        select greatest(0, min(floor(coalesce(l.available, 0)::numeric / k.quantity))) as units
        from location p join kit_component k on k.merchant_id = p.merchant_id and k.kit_item_id = i.item_id
        left join level l on l.merchant_id = p.merchant_id and l.item_id = k.component_item_id
                          and l.location_id = p.location_id
        where p.merchant_id = i.merchant_id group by p.location_id) p) kit on i.kind = 'kit'
left join item_cost w on w.merchant_id = i.merchant_id and w.item_id = i.item_id
"""
_COLUMNS = """
i.item_id, i.sku, i.name, i.barcode, i.kind, coalesce(kit.available, v.available, 0) as available,
coalesce(v.committed, 0) as committed, coalesce(v.on_hand, 0) as on_hand, coalesce(w.value, 0) as value
"""
_FOUND = "(i.sku ilike %(like)s or i.name ilike %(like)s or i.barcode ilike %(like)s)"


@dataclass(frozen=True, slots=True)
class ItemRow:
    """An item with its units over all places and what they are worth. A kit has no units of its own, only what its
    components allow."""

    item_id: int
    sku: str
    name: str
    barcode: str | None
    kind: str
    available: int
    committed: int
    on_hand: int
    value: Decimal


@dataclass(frozen=True, slots=True)
class ItemPage:
    """A page of items; `next_cursor` leads on, None at the end."""

    rows: Sequence[ItemRow]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class LevelRow:
    """An item's units at one place."""

    location_id: int
    location: str
    available: int
    committed: int
    damaged: int
    quarantined: int
    in_transit: int
    on_hand: int


def list_items(
    session: Session, *, search: str = "", sort: str = "sku", cursor: str | None = None, rows_max: int = PAGE_ROWS
) -> ItemPage:
    """A page of items whose SKU, name or barcode contains `search`. Raises InvalidInput: `unknown_sort`, `bad_cursor`,
    `search_too_long`."""
    if sort not in SORTS:
        raise InvalidInput("unknown_sort", f"one of {', '.join(SORTS)}", where="sort")
    if len(search) > SEARCH_MAX or "\0" in search:
        raise InvalidInput("search_too_long", f"at most {SEARCH_MAX} characters of text", where="q")
    column, direction, comparison = SORTS[sort]
    wanted = ["i.merchant_id = %(merchant_id)s"]
    if search.strip():
        wanted.append(_FOUND)
    value, item_id = _open_cursor(cursor) if cursor else ("", 0)
    if cursor:
        wanted.append(f"({column}, i.item_id) {comparison} (%(value)s, %(id)s)")
    sql = f"""select {_COLUMNS} from item i {_LEVELS} where {" and ".join(wanted)}
              order by {column} {direction}, i.item_id {direction} limit %(limit)s"""  # noqa: S608  from SORTS
    found = session.rows(sql, like=contains(search.strip()), value=value, id=item_id, limit=rows_max + 1)
    rows = [ItemRow(*row) for row in found[:rows_max]]
    return ItemPage(rows, _cursor(rows[-1], sort) if len(found) > rows_max else None)


def get_item_row(session: Session, item_id: int) -> ItemRow:
    """One item with its units and worth; the id must be of an item that was just read."""
    sql = f"select {_COLUMNS} from item i {_LEVELS} where i.merchant_id = %(merchant_id)s and i.item_id = %(item)s"  # noqa: S608
    return ItemRow(*session.rows(sql, item=item_id)[0])


def available_by_sku(session: Session, skus: Collection[str]) -> dict[str, int]:
    """What is available of these items over all places, by SKU; unknown ones are left out."""
    sql = f"select {_COLUMNS} from item i {_LEVELS} where i.merchant_id = %(merchant_id)s and i.sku = any(%(skus)s)"  # noqa: S608
    return {row.sku: row.available for row in session.rows(sql, skus=list(skus))}


def list_levels(session: Session, item_id: int) -> Sequence[LevelRow]:
    """The item's units at every place that ever held some, first to serve first."""
    rows = session.rows(
        """select l.location_id, p.name, l.available, l.committed, l.damaged, l.quarantined, l.in_transit, l.on_hand
           from level l join location p using (merchant_id, location_id)
           where l.merchant_id = %(merchant_id)s and l.item_id = %(item)s order by p.priority, p.location_id""",
        item=item_id,
    )
    return [LevelRow(*row) for row in rows]


def _cursor(row: ItemRow, sort: str) -> str:
    value = row.sku if sort.endswith("sku") else row.name
    return base64.urlsafe_b64encode(orjson.dumps([value, row.item_id])).rstrip(b"=").decode("ascii")


def _open_cursor(cursor: str) -> tuple[str, int]:
    bad = InvalidInput("bad_cursor", "follow the link from the page before", where="after")
    if len(cursor) > _CURSOR_MAX or not cursor.isascii():
        raise bad
    try:
        opened = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, orjson.JSONDecodeError):
        raise bad from None
    match opened:
        case [str(value), int(item_id)] if "\0" not in value and abs(item_id) < 1 << 63:
            return value, item_id
        case _:
            raise bad
