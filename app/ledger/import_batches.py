"""What tables brought, batch by batch, and taking a batch back: its stock leaves by movements that name what it opened,
at what that was booked at; items stay.

Nothing is rewritten. What a batch opened may be opened again afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from app.accounts import audit
from app.core.db import Session
from app.core.errors import Conflict, NotFound
from app.ledger.models import BATCH_MAX, InsufficientStock, Movement, ReceiptUsed, State
from app.ledger.post import post

UNDO = "opening_undo"
SHOWN = 10

_NOTE = """
insert into import_batch (merchant_id, batch_id, name, items, openings, units, made_at, made_by)
values (%(merchant_id)s, nextval('import_batch_seq'), %(name)s, %(items)s, 0, 0, %(now)s, %(by)s) returning batch_id
"""
_MOVEMENTS = """
with added as (
    insert into import_batch_row (merchant_id, batch_id, movement_id)
    select %(merchant_id)s, %(batch)s, m from unnest(%(ids)s::bigint[]) m
)
update import_batch set openings = openings + %(number)s, units = units + %(units)s
where merchant_id = %(merchant_id)s and batch_id = %(batch)s
"""
_LIST = """
select batch_id, name, items, openings, units, made_at, made_by, undone_at, undone_by from import_batch
where merchant_id = %(merchant_id)s order by batch_id desc limit %(limit)s
"""
_TAKE_BACK = """
update import_batch set undone_at = %(now)s, undone_by = %(by)s
where merchant_id = %(merchant_id)s and batch_id = %(batch)s
returning name
"""
_OPENED = """
select m.movement_id, m.item_id, m.quantity, m.to_location_id, j.amount from import_batch_row r
join movement m on m.merchant_id = r.merchant_id and m.movement_id = r.movement_id
join journal j on j.merchant_id = m.merchant_id and j.posting_id = m.movement_id and j.line = 0
where r.merchant_id = %(merchant_id)s and r.batch_id = %(batch)s and r.movement_id > %(after)s
order by r.movement_id limit %(limit)s
"""
# Units of an item are alike: once some of it left its place, nobody can say that it was not what the batch brought.
_MOVED = """
select i.sku from movement m join item i using (merchant_id, item_id)
where m.merchant_id = %(merchant_id)s and m.movement_id = any(%(ids)s::bigint[])
  and (exists (select from movement s where s.merchant_id = m.merchant_id and s.item_id = m.item_id
               and s.movement_id > m.movement_id and s.from_location_id is not null
               and (s.source <> 'opening_undo' or s.reverses_movement_id is null))
       or exists (select from cost_adjustment a where a.merchant_id = m.merchant_id and a.item_id = m.item_id
                  and a.movement_id = m.movement_id))
order by m.movement_id limit 1
"""


@dataclass(frozen=True, slots=True)
class ImportBatch:
    """A table that was imported: items it made, opening stocks it posted, their units."""

    batch_id: int
    name: str
    items: int
    openings: int
    units: int
    made_at: datetime
    made_by: str
    undone_at: datetime | None
    undone_by: str


def note_batch(session: Session, name: str, items: int, by: str) -> int:
    """A new batch; returns its id."""
    batch_id: int = session.value(_NOTE, name=name, items=items, now=session.now, by=by)
    return batch_id


def note_movements(session: Session, batch_id: int, movement_ids: Sequence[int], units: int) -> None:
    """Movements that the batch posted."""
    if movement_ids:
        ids = list(movement_ids)
        session.run(_MOVEMENTS, batch=batch_id, ids=ids, number=len(ids), units=units)


def list_import_batches(session: Session) -> Sequence[ImportBatch]:
    """The latest few, newest first."""
    return [ImportBatch(*row) for row in session.rows(_LIST, limit=SHOWN)]


def undo_batch(session: Session, batch_id: int, by: str) -> tuple[int, int]:
    """Take a batch's stock out again: (opening stocks, units). Raises NotFound, Conflict the second time, and Conflict
    (`moved_since`) when some of it has been sold, moved or given another cost: then nothing is changed."""
    row = session.row(
        "select undone_at from import_batch where merchant_id = %(merchant_id)s and batch_id = %(batch)s for update",
        batch=batch_id,
    )
    if row is None:
        raise NotFound("unknown_batch", "no such import")
    if row.undone_at is not None:
        raise Conflict("undone_already", "this import was taken back already")
    name = session.value(_TAKE_BACK, batch=batch_id, now=session.now, by=by)
    after, openings, units = 0, 0, 0
    while rows := session.rows(_OPENED, batch=batch_id, after=after, limit=BATCH_MAX):
        back = [
            Movement(
                row.item_id, row.quantity, State.AVAILABLE, State.OPENING, UNDO, str(row.movement_id), session.now,
                from_location_id=row.to_location_id, value=row.amount, reason=f"taken back: {name}"[:200],
                reverses_movement_id=row.movement_id,
            )
            for row in rows
        ]  # fmt: skip
        _post(session, back, [row.movement_id for row in rows])
        after, openings, units = rows[-1].movement_id, openings + len(rows), units + sum(r.quantity for r in rows)
    told = {"openings": openings, "units": units}
    audit.note(session, by, "import.taken_back", f"import {batch_id}", after=told)
    return openings, units


def _post(session: Session, back: Sequence[Movement], opened: Sequence[int]) -> None:
    _refuse_moved(session, opened)
    try:
        post(session, back, forbid_negative=True)
    except (InsufficientStock, ReceiptUsed) as error:
        raise _moved("") from error
    _refuse_moved(session, opened)  # what others posted before the items were locked


def _refuse_moved(session: Session, opened: Sequence[int]) -> None:
    sku = session.value(_MOVED, ids=list(opened))
    if sku is not None:
        raise _moved(f" ({sku})")


def _moved(which: str) -> Conflict:
    told = f"some of it was sold or moved since{which}, or its cost was changed: correct it by counting instead"
    return Conflict("moved_since", told)
