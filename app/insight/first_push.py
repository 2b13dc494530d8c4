"""What a channel would be sent first, to be looked at: pages, and the whole as a table. Only reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from app.core.db import Row, Session
from app.core.errors import InvalidInput
from app.core.table import Cell
from app.listings.lookup import contains
from app.publishing.first_push import KINDS
from app.publishing.why_text import STEPS

PAGE_ROWS = 100
SEARCH_MAX = 200
EXPORT_ROWS = 2_000  # at a time
COLUMNS = ("sku", "product", "location", "shows", "would_show", "change", "kind", "why")

_ROWS = """
select r.owner_id, r.kind, r.shown, r.target, r.reasons, i.sku, i.name, o.location_key,
       coalesce((select string_agg(distinct l.name, ', ') from channel_location c join location l
                 using (merchant_id, location_id)
                 where c.merchant_id = o.merchant_id and c.channel_id = o.channel_id
                   and c.location_key = o.location_key and o.location_key <> ''), '') as location
from first_push_row r
join stock_owner o on o.merchant_id = r.merchant_id and o.owner_id = r.owner_id
join item i on i.merchant_id = r.merchant_id and i.item_id = o.item_id
where r.merchant_id = %(merchant_id)s and r.channel_id = %(channel)s and r.owner_id > %(after)s
  and (%(kind)s::text is null or r.kind = %(kind)s)
  and (%(like)s::text is null or i.sku ilike %(like)s or i.name ilike %(like)s)
order by r.owner_id limit %(limit)s
"""


@dataclass(frozen=True, slots=True)
class ShownNumber:
    """A number: what the shop shows (None: not known yet), what it would be sent, and the steps to that."""

    owner_id: int
    kind: str
    shown: int | None
    target: int
    steps: Sequence[tuple[str, int]]
    sku: str
    name: str
    location: str

    @property
    def change(self) -> int | None:
        """Units up or down."""
        return None if self.shown is None else self.target - self.shown


@dataclass(frozen=True, slots=True)
class NumberPage:
    """A page of numbers; `next_after` leads on, None at the end."""

    rows: Sequence[ShownNumber]
    next_after: int | None


def list_numbers(
    session: Session, channel_id: int, *, kind: str | None = None, search: str = "", after: int = 0,
    rows_max: int = PAGE_ROWS,
) -> NumberPage:  # fmt: skip
    """A page of what was laid out. Raises InvalidInput for an unknown kind or an overlong search."""
    if kind is not None and kind not in KINDS:
        raise InvalidInput("bad_kind", f"one of {', '.join(KINDS)}", where="kind")
    if len(search) > SEARCH_MAX or "\0" in search:
        raise InvalidInput("search_too_long", f"at most {SEARCH_MAX} characters of text", where="q")
    like = contains(search.strip()) if search.strip() else None
    found = session.rows(_ROWS, channel=channel_id, kind=kind, like=like, after=after, limit=rows_max + 1)
    rows = [_number(row) for row in found[:rows_max]]
    return NumberPage(rows, rows[-1].owner_id if len(found) > rows_max else None)


def _number(row: Row) -> ShownNumber:
    steps = [(what, units) for what, units in row.reasons]
    return ShownNumber(row.owner_id, row.kind, row.shown, row.target, steps, row.sku, row.name, row.location)


def export_numbers(session: Session, channel_id: int) -> Iterator[Sequence[Cell]]:
    """All of it as rows of `COLUMNS`, some at a time."""
    after: int | None = 0
    while after is not None:
        page = list_numbers(session, channel_id, after=after, rows_max=EXPORT_ROWS)
        for one in page.rows:
            why = "; ".join(f"{STEPS.get(what, what)}: {units}" for what, units in one.steps)
            yield (one.sku, one.name, one.location, one.shown, one.target, one.change, one.kind, why)
        after = page.next_after
