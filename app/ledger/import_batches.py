"""What tables brought, batch by batch, and taking a batch back: its stock leaves by movements of its own, items stay.

Nothing is rewritten. What a batch opened may be opened again afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from app.accounts import audit
from app.core.db import Session
from app.core.errors import Conflict, NotFound
from app.ledger.models import BATCH_MAX, InsufficientStock, Movement, State
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
select m.movement_id, m.item_id, m.quantity, m.to_location_id from import_batch_row r
join movement m on m.merchant_id = r.merchant_id and m.movement_id = r.movement_id
where r.merchant_id = %(merchant_id)s and r.batch_id = %(batch)s and r.movement_id > %(after)s
order by r.movement_id limit %(limit)s
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
    (`moved_since`) when some of it has been sold or moved: then nothing is changed."""
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
                from_location_id=row.to_location_id, reason=f"taken back: {name}"[:200],
            )
            for row in rows
        ]  # fmt: skip
        _post(session, back)
        after, openings, units = rows[-1].movement_id, openings + len(rows), units + sum(r.quantity for r in rows)
    told = {"openings": openings, "units": units}
    audit.note(session, by, "import.taken_back", f"import {batch_id}", after=told)
    return openings, units


def _post(session: Session, back: Sequence[Movement]) -> None:
    try:
        post(session, back, forbid_negative=True)
    except InsufficientStock as error:
        sku = session.value(
            """select i.sku from item i join level v using (merchant_id, item_id)
               where i.merchant_id = %(merchant_id)s and %(where)s
                     = 'item ' || i.item_id || ', location ' || v.location_id limit 1""",
            where=error.where,
        )
        told = f" ({sku})" if sku else ""
        raise Conflict(
            "moved_since", f"some of its stock has been sold or moved since{told}: correct it by counting instead"
        ) from error
