"""Posting: the only writer of movements, levels, layers and journal.

A batch of any size is a constant number of set-based statements in the caller's transaction. The order of locks is the
same for everybody: the period FOR SHARE, the item cost rows by item, the levels by item and place. Rows that are
missing are inserted as zeroes, in order and before any lock is held (the first try gives its locks back), so two
writers can neither lose an update nor wait for each other in a circle.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any

from app.core.db import ConstraintViolated, Pipeline, Session
from app.core.errors import InvalidInput, NotFound, Unavailable
from app.ledger import booking, period
from app.ledger.booking import MissingRows
from app.ledger.models import BATCH_MAX, OWNED, InsufficientStock, KeyConflict, Movement, Posted, check_movement

_Deltas = dict[tuple[int, int], list[int]]
_COLUMN = {state: column for column, state in enumerate(OWNED)}
_KEY_CONSTRAINT = "movement_source_key"
_TRIES_MAX = 3

_INSERT_MOVEMENTS = """
insert into movement (merchant_id, movement_id, item_id, quantity, from_state, from_location_id, to_state,
                      to_location_id, source, source_key, reason, reverses_movement_id, occurred_at, posted_on,
                      recorded_at)
select %(merchant_id)s, m.*, %(now)s
from unnest(%(ids)s::bigint[], %(items)s::bigint[], %(quantities)s::bigint[], %(from_states)s::stock_state[],
            %(from_places)s::bigint[], %(to_states)s::stock_state[], %(to_places)s::bigint[], %(sources)s::text[],
            %(keys)s::text[], %(reasons)s::text[], %(reverses)s::bigint[], %(occurred)s::timestamptz[],
            %(posted)s::date[]) m(movement_id, item_id) order by item_id
"""
_INSERT_LEVELS = """
insert into level (merchant_id, item_id, location_id)
select %(merchant_id)s, k.item_id, k.location_id
from unnest(%(items)s::bigint[], %(places)s::bigint[]) k(item_id, location_id)
where not exists (select from level l where l.merchant_id = %(merchant_id)s
                  and l.item_id = k.item_id and l.location_id = k.location_id)
order by k.item_id, k.location_id
on conflict do nothing
"""
# Joined in any other way than row by row along the key, updates would lock in another order and read whole tables.
_ALONG_THE_KEY = """
select set_config('enable_hashjoin', %(others)s, true), set_config('enable_mergejoin', %(others)s, true),
       set_config('enable_seqscan', %(others)s, true)
"""
_ADD_TO_LEVELS = """
update level l
set available = l.available + d.available, committed = l.committed + d.committed, damaged = l.damaged + d.damaged,
    quarantined = l.quarantined + d.quarantined, in_transit = l.in_transit + d.in_transit
from unnest(%(items)s::bigint[], %(places)s::bigint[], %(available)s::bigint[], %(committed)s::bigint[],
            %(damaged)s::bigint[], %(quarantined)s::bigint[], %(in_transit)s::bigint[])
     d(item_id, location_id, available, committed, damaged, quarantined, in_transit)
where l.merchant_id = %(merchant_id)s and l.item_id = d.item_id and l.location_id = d.location_id
"""
_TAKE_IDS = "select array_agg(nextval('posting_seq')) from generate_series(1, %(n)s)"
_KNOWN = """
select source, source_key, movement_id, item_id, quantity, from_state::text, from_location_id, to_state::text,
       to_location_id
from movement join unnest(%(sources)s::text[], %(keys)s::text[]) k(source, source_key) using (source, source_key)
where merchant_id = %(merchant_id)s
"""


def post(session: Session, movements: Sequence[Movement], *, forbid_negative: bool = False) -> Posted:
    """Post a batch, all or nothing, in the given order.

    A movement whose key was posted before with the same content does nothing; with other content it raises KeyConflict.
    `forbid_negative` is for movements by hand: InsufficientStock if an available number would end below 0 (a channel's
    order always posts). Raises InvalidInput for what can't be a movement, NotFound for an unknown item or location.
    """
    fresh = _without_repeats(session, movements)
    repeated = len(movements) - len(fresh)
    ids: dict[tuple[str, str], int] = {}
    for _ in range(_TRIES_MAX):
        try:
            with session.savepoint():
                return Posted(ids | _post_new(session, fresh, forbid_negative=forbid_negative), repeated)
        except MissingRows:
            _insert_rows(session, fresh)
        except ConstraintViolated as error:
            if error.name != _KEY_CONSTRAINT:
                raise
            known = _known_ids(session, fresh)
            ids |= known
            repeated += len(known)
            fresh = [m for m in fresh if (m.source, m.source_key) not in known]
    raise Unavailable("posting_contended", "others keep posting the same facts; try again")


def _without_repeats(session: Session, movements: Sequence[Movement]) -> list[Movement]:
    if len(movements) > BATCH_MAX:
        raise InvalidInput("batch_too_large", f"at most {BATCH_MAX} movements in one posting")
    seen: dict[tuple[str, str], Movement] = {}
    for movement in movements:
        check_movement(movement, session.now)
        first = seen.setdefault((movement.source, movement.source_key), movement)
        if first is not movement and _content(first) != _content(movement):
            raise KeyConflict(movement.source, movement.source_key)
    return list(seen.values())


def _content(movement: Movement) -> tuple[Any, ...]:
    return (
        movement.item_id, movement.quantity, movement.from_state, movement.from_location_id,
        movement.to_state, movement.to_location_id,
    )  # fmt: skip


def _known_ids(session: Session, movements: Sequence[Movement]) -> dict[tuple[str, str], int]:
    """The ids of those posted before; raises KeyConflict where the content differs."""
    wanted = {(m.source, m.source_key): m for m in movements}
    rows = session.rows(_KNOWN, sources=[s for s, _ in wanted], keys=[k for _, k in wanted])
    for row in rows:
        if tuple(row[3:]) != _content(wanted[row.source, row.source_key]):
            raise KeyConflict(row.source, row.source_key)
    return {(row.source, row.source_key): row.movement_id for row in rows}


def _post_new(session: Session, movements: Sequence[Movement], *, forbid_negative: bool) -> dict[tuple[str, str], int]:
    if not movements:
        return {}
    merchant, posted_on = period.hold(session, [m.occurred_at for m in movements])
    deltas = _deltas(movements)
    with session.pipeline() as line:
        line.run(_ALONG_THE_KEY, others="off")
        asked = booking.ask(line, movements)
        numbers = line.run(_TAKE_IDS, n=len(movements))
        levels = _change_levels(line, deltas)
        books = booking.open_books(asked, merchant.cost_method)
        ids = numbers.fetchone()[0]
        numbered = list(zip(ids, _name_issues(movements, ids), strict=True))
        _insert_movements(line, session.now, numbered, posted_on)
        booking.book(books, numbered)
        booking.write(line, session.now, books, dict(zip(ids, posted_on, strict=True)))
        line.run(_ALONG_THE_KEY, others="on")
    if levels.rowcount < len(deltas):
        raise MissingRows
    if forbid_negative:
        _refuse_negative(session, [key for key, delta in deltas.items() if delta[0] < 0], deltas)
    return {(m.source, m.source_key): movement_id for movement_id, m in numbered}


def take_ids(session: Session, number: int) -> list[int]:
    """Posting ids, taken while the items are locked: for one item their order is the order of booking (`rebuild`)."""
    ids: list[int] = session.value(_TAKE_IDS, n=number)
    return ids


def _name_issues(movements: Sequence[Movement], ids: Sequence[int]) -> list[Movement]:
    """Returns that name an issue of the same batch by its key get its id."""
    if all(m.reverses_key is None for m in movements):
        return list(movements)
    by_key = {m.source_key: movement_id for m, movement_id in zip(movements, ids, strict=True)}
    return [m if m.reverses_key is None else replace(m, reverses_movement_id=by_key[m.reverses_key]) for m in movements]


def _insert_movements(
    line: Pipeline, now: datetime, numbered: Sequence[tuple[int, Movement]], posted_on: Sequence[date]
) -> None:
    rows = [m for _, m in numbered]
    line.run(
        _INSERT_MOVEMENTS,
        now=now,
        ids=[movement_id for movement_id, _ in numbered],
        items=[m.item_id for m in rows],
        quantities=[m.quantity for m in rows],
        from_states=[m.from_state for m in rows],
        from_places=[m.from_location_id for m in rows],
        to_states=[m.to_state for m in rows],
        to_places=[m.to_location_id for m in rows],
        sources=[m.source for m in rows],
        keys=[m.source_key for m in rows],
        reasons=[m.reason for m in rows],
        reverses=[m.reverses_movement_id for m in rows],
        occurred=[m.occurred_at for m in rows],
        posted=list(posted_on),
    )


def _deltas(movements: Sequence[Movement]) -> _Deltas:
    """What a batch changes, by (item, place) in the order of locking: one number per owned state, as in `OWNED`."""
    deltas: defaultdict[tuple[int, int], list[int]] = defaultdict(lambda: [0] * len(OWNED))
    for m in movements:
        if m.from_location_id is not None:
            deltas[m.item_id, m.from_location_id][_COLUMN[m.from_state]] -= m.quantity
        if m.to_location_id is not None:
            deltas[m.item_id, m.to_location_id][_COLUMN[m.to_state]] += m.quantity
    return dict(sorted(deltas.items()))


def _insert_rows(session: Session, movements: Sequence[Movement]) -> None:
    """Zero rows for whatever the batch needs and is not there; while nothing is locked."""
    deltas = _deltas(movements)
    try:
        booking.insert_items(session, sorted({m.item_id for m in movements if booking.crosses(m)}))
        session.run(_INSERT_LEVELS, items=[item for item, _ in deltas], places=[place for _, place in deltas])
    except ConstraintViolated as error:
        raise _typed(error) from error


def _change_levels(line: Pipeline, deltas: _Deltas) -> Any:
    changes = dict(zip(OWNED, map(list, zip(*deltas.values(), strict=True)), strict=True))
    keys = {"items": [item for item, _ in deltas], "places": [place for _, place in deltas]}
    return line.run(_ADD_TO_LEVELS, **keys, **changes)


def _refuse_negative(session: Session, lowered: Sequence[tuple[int, int]], deltas: _Deltas) -> None:
    row = session.row(
        """select item_id, location_id, available from level
           join unnest(%(items)s::bigint[], %(places)s::bigint[]) k(item_id, location_id) using (item_id, location_id)
           where merchant_id = %(merchant_id)s and available < 0 limit 1""",
        items=[item for item, _ in lowered],
        places=[place for _, place in lowered],
    )
    if row is not None:
        before = row.available - deltas[row.item_id, row.location_id][0]
        raise InsufficientStock(row.item_id, row.location_id, before)


def _typed(error: ConstraintViolated) -> Exception:
    if error.name in ("level_merchant_id_item_id_fkey", "item_cost_merchant_id_item_id_fkey"):
        return NotFound("unknown_item", "no such item")
    if error.name == "level_merchant_id_location_id_fkey":
        return NotFound("unknown_location", "no such location")
    return error
